import {fstatSync} from 'node:fs';
import {countOf, hasCode} from '../common/errors.js';
import {explainStdout, printBytes, stdout, tellError} from '../common/output.js';
import {isReady} from '../common/waiting.js';
import {native, POLLOUT} from '../native/index.js';
import {mostLineBytes, rawSignal, receivedSignal, writeLine} from '../objects/signals/received-signal.js';

const newline = 10;

/** Who is told to end waits so long for a reader to make room. */
const roomMs = 200;
/** When there is room at all there is for as much. */
const piece = 256;

/** Signals on stdout, a line each. What was taken from the kernel and did not get through is said. */
export class SignalPrinter {
	/** Used again and again: many small ones would pile up until the garbage collector comes. */
	private readonly lines: Buffer;
	private readonly unread: Unread | undefined;
	/** A caught signal that came while something was printed. */
	private stop: unknown;

	/** @param batch as many are printed at once at most */
	constructor(
		private readonly json: boolean,
		batch: number,
	) {
		this.lines = Buffer.allocUnsafe(batch * mostLineBytes);
		this.unread = fstatSync(stdout).isFIFO() ? new Unread() : undefined;
	}

	/** Writes the first `count` of a batch. */
	print(fields: Int32Array, count: number): void {
		if (this.json) {
			let text = '';
			for (let at = 0; at < count; at++) text += `${JSON.stringify(receivedSignal(rawSignal(fields, at)))}\n`;
			const bytes = Buffer.from(text, 'latin1');
			this.write(bytes, bytes.length);
			return;
		}
		let end = 0;
		for (let at = 0; at < count; at++) end = writeLine(this.lines, end, fields, at);
		this.write(this.lines, end);
	}

	private write(bytes: Buffer, length: number): void {
		let done = 0;
		try {
			while (done < length) {
				try {
					done += this.stop ? printSoon(bytes, done, length, this.stop) : printBytes(bytes, done, length - done);
				} catch (error) {
					if (this.stop || !hasCode(error, 'EINTR')) throw error;
					// What was taken is still printed, where there is somebody to take it.
					this.stop = error;
				}
			}
		} catch (error) {
			this.unread?.remember(bytes, done);
			const unread = hasCode(error, 'EPIPE') ? (this.unread?.count() ?? 0) : 0;
			const lost = unread + linesIn(bytes.subarray(done, length));
			if (lost > 0) tellError(`${countOf(lost, 'signal')} had been taken and could not be printed`);
			throw explainStdout(error);
		}
		this.unread?.remember(bytes, length);
	}

	/** What came while something was printed ends us now: throws it. */
	heedStop(): void {
		if (this.stop) throw this.stop;
	}

	/** The reader has left while we waited: what it has not read is lost. */
	readerLeft(): void {
		const unread = this.unread?.count() ?? 0;
		if (unread > 0) tellError(`${countOf(unread, 'signal')} had been taken and nobody read them`);
	}
}

/** A piece of what is left, waiting a moment at most; then what told us to stop is thrown. */
function printSoon(bytes: Buffer, from: number, to: number, stop: unknown): number {
	if (!isReady(stdout, POLLOUT, roomMs)) throw stop;
	return printBytes(bytes, from, Math.min(piece, to - from));
}

/** What was written to a pipe last. A pipe tells how much of that is unread, also when its reader has gone. */
class Unread {
	private readonly ring: Buffer;
	private written = 0;

	constructor() {
		this.ring = Buffer.alloc(native.fcntlGetpipeSz(stdout));
	}

	remember(bytes: Buffer, length: number): void {
		this.written += length;
		const from = Math.max(0, length - this.ring.length);
		const start = (this.written - (length - from)) % this.ring.length;
		const copied = bytes.copy(this.ring, start, from, length);
		bytes.copy(this.ring, 0, from + copied, length);
	}

	/** Lines of which a part is unread. */
	count(): number {
		const {ring, written} = this;
		const left = Math.min(native.ioctlFionread(stdout), ring.length, written);
		const start = (written - left) % ring.length;
		const first = ring.subarray(start, start + left);
		return linesIn(first) + linesIn(ring.subarray(0, left - first.length));
	}
}

function linesIn(bytes: Buffer): number {
	let count = 0;
	for (let at = bytes.indexOf(newline); at >= 0; at = bytes.indexOf(newline, at + 1)) count++;
	return count;
}
