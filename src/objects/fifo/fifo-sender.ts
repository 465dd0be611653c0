import {closeSync} from 'node:fs';
import {quoted} from '../../common/errors.js';
import type {Framing} from '../../common/framing/framing.js';
import {stdin} from '../../common/output.js';
import {explainMove, growPipe, moveBytes, setPipeSize} from '../../common/transfer.js';
import type {Fifo} from './fifo.js';
import type {Missing, PipeSender, SendSettings} from './pipe.js';
import {lockSenders, sendRecords} from './record-sender.js';

/** A FIFO that is written to. */
export class FifoSender implements PipeSender {
	private writer: number | undefined;

	constructor(
		private readonly fifo: Fifo,
		private readonly size: number | undefined,
	) {}

	get shownName(): string {
		return this.fifo.shownName;
	}

	get cleansUp(): boolean {
		return this.fifo.isTemporary;
	}

	connect(timeoutMs: number): boolean {
		this.writer = timeoutMs === 0 ? this.fifo.tryOpenWriter() : this.fifo.openWriter(timeoutMs);
		if (this.writer === undefined) return false;
		if (this.size === undefined) growPipe(this.writer);
		else setPipeSize(this.writer, this.size, quoted(this.shownName));
		growPipe(stdin);
		return true;
	}

	sendBytes({isRecord, copyTo, timeoutMs, progress}: SendSettings & {isRecord: boolean}): {
		bytes: number;
		missing: Missing;
	} {
		const writer = this.writer as number;
		// All of stdin as one record is a stream: records of other senders must not be mixed into it.
		if (isRecord && !lockSenders(writer, timeoutMs)) return {bytes: 0, missing: 'lock'};
		try {
			const {bytes, ended} = moveBytes({input: stdin, output: writer, copyTo, outputTimeoutMs: timeoutMs, progress});
			return {bytes, missing: ended ? undefined : 'room'};
		} catch (error) {
			throw explainMove(error, {to: quoted(this.shownName)});
		}
	}

	sendRecords(settings: SendSettings & {framing: Framing}): {records: number; missing: Missing} {
		return sendRecords({...settings, writer: this.writer as number, shown: quoted(this.shownName)});
	}

	[Symbol.dispose](): void {
		try {
			this.fifo.close();
		} finally {
			if (this.writer !== undefined) closeSync(this.writer);
			this.writer = undefined;
		}
	}

	close(): void {
		this[Symbol.dispose]();
	}
}
