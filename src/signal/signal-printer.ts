import {fstatSync} from 'node:fs';
import {countOf, hasCode} from '../common/errors.js';
import {explainStdout, printBytes, stdout, tellError} from '../common/output.js';
import {native} from '../native/index.js';
import {formatLine, rawSignal, receivedSignal} from './received-signal.js';

const newline = 10;

/** Signals on stdout, a line each. What was taken from the kernel and did not get through is said. */
export class SignalPrinter {
	private readonly isPipe = fstatSync(stdout).isFIFO();
	/** What was written last and may lie unread in the pipe, the latest piece behind. */
	private recent: Buffer[] = [];
	private recentBytes = 0;

	constructor(private readonly json: boolean) {}

	/** Writes those of a batch that `wanted` lists by position. */
	print(fields: Int32Array, wanted: readonly number[]): void {
		let text = '';
		for (const at of wanted)
			text += this.json ? `${JSON.stringify(receivedSignal(rawSignal(fields, at)))}\n` : formatLine(fields, at);
		this.write(Buffer.from(text, 'latin1'));
	}

	private write(bytes: Buffer): void {
		let done = 0;
		try {
			while (done < bytes.length) done += printBytes(bytes, done, bytes.length - done);
		} catch (error) {
			if (hasCode(error, 'EPIPE')) this.remember(bytes.subarray(0, done));
			const unread = hasCode(error, 'EPIPE') ? this.unreadLines() : 0;
			const lost = unread + linesIn(bytes.subarray(done));
			if (lost > 0) tellError(`${countOf(lost, 'signal')} had been taken and could not be printed`);
			throw explainStdout(error);
		}
		this.remember(bytes);
	}

	/** The reader has left while we waited: what it has not read is lost. */
	readerLeft(): void {
		const unread = this.unreadLines();
		if (unread > 0) tellError(`${countOf(unread, 'signal')} had been taken and nobody read them`);
	}

	private remember(bytes: Buffer): void {
		if (!this.isPipe || bytes.length === 0) return;
		this.recent.push(bytes);
		this.recentBytes += bytes.length;
		const capacity = native.fcntlGetpipeSz(stdout);
		while (this.recentBytes - (this.recent[0] as Buffer).length > capacity)
			this.recentBytes -= (this.recent.shift() as Buffer).length;
	}

	/** A pipe tells how much is unread, also when its reader has gone. */
	private unreadLines(): number {
		if (!this.isPipe) return 0;
		let left = native.ioctlFionread(stdout);
		let lines = 0;
		for (const piece of [...this.recent].reverse()) {
			if (left <= 0) break;
			lines += linesIn(piece.subarray(Math.max(0, piece.length - left)));
			left -= piece.length;
		}
		return lines;
	}
}

function linesIn(bytes: Buffer): number {
	let count = 0;
	for (let at = bytes.indexOf(newline); at >= 0; at = bytes.indexOf(newline, at + 1)) count++;
	return count;
}
