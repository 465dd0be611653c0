import {closeSync} from 'node:fs';
import {countOf, hasCode, SystemError} from '../../common/errors.js';
import {boundariesOf, separatedBy} from '../../common/framing/boundaries.js';
import {
	type Framing,
	headerBytes,
	jsonRecord,
	mostRecordBytes,
	RecordDecoder,
	separatorOf,
} from '../../common/framing/framing.js';
import {explainStdout, print, printBytes} from '../../common/output.js';
import type {Progress} from '../../common/terminal/progress.js';
import {growPipe} from '../../common/transfer.js';
import {AT_FDCWD, LOCK_EX, LOCK_NB, LOCK_UN, native, O_WRONLY} from '../../native/index.js';

/**
 * Receives records from a FIFO without losing any.
 *
 * Bytes that were read from a pipe cannot be put back. So they are first copied by tee(2) into a pipe of our own and
 * written to stdout, and only the bytes that were written are then read from the FIFO. A receiver whose output fails,
 * or that has received the number of records it wanted, leaves the rest to the next receiver. Receivers of records hold
 * a lock meanwhile (flock(2) on the FIFO, which does not conflict with the senders' lock), so that each record goes to
 * one of them.
 */

const bufferBytes = 1024 ** 2;

export interface Receipt {
	/** Bytes taken from the FIFO. */
	taken: number;
	/** There is no data now. */
	isEmpty: boolean;
	/** The wanted number of records is complete. */
	isComplete: boolean;
}

export class RecordReceiver implements Disposable {
	records = 0;
	private readonly look: [number, number];
	private readonly nowhere: number;
	private readonly buffer = Buffer.allocUnsafe(bufferBytes);
	private readonly output: RecordWriter;
	private isLocked = false;

	constructor(
		framing: Framing,
		private readonly most: number,
		private readonly progress: Progress | undefined,
	) {
		this.look = native.pipe2(0);
		growPipe(this.look[1]);
		this.nowhere = native.openat(AT_FDCWD, '/dev/null', O_WRONLY, 0, -1);
		this.output = recordWriter(framing);
	}

	/** Whether a record has begun whose end has not arrived yet. */
	get isInsideRecord(): boolean {
		return this.output.isInsideRecord;
	}

	/**
	 * Takes the data that is there now and writes it to stdout. Waits for stdout, and `timeoutMs` at most for other
	 * receivers (negative: without limit): undefined when another receiver kept the lock.
	 */
	receive(reader: number, timeoutMs: number): Receipt | undefined {
		if (!this.isLocked && !lockReceivers(reader, timeoutMs)) return undefined;
		this.isLocked = true;
		try {
			return this.receiveLocked(reader);
		} finally {
			// The rest of a record that has begun must not go to another receiver.
			if (!this.isInsideRecord) this.unlock(reader);
		}
	}

	private unlock(reader: number): void {
		this.isLocked = false;
		native.flock(reader, LOCK_UN, -1);
	}

	private receiveLocked(reader: number): Receipt {
		const [outgoing, incoming] = this.look;
		const seen = native.tee(reader, incoming, bufferBytes);
		if (seen <= 0) return {taken: 0, isEmpty: true, isComplete: false};
		for (let at = 0; at < seen; ) at += native.read(outgoing, this.buffer, at, seen - at);
		const before = this.output.records;
		try {
			this.output.write(this.buffer.subarray(0, seen), this.most - this.records);
		} finally {
			this.take(reader, this.output.used);
			const news = this.output.records - before;
			this.records += news;
			this.progress?.add(news);
		}
		return {taken: this.output.used, isEmpty: false, isComplete: this.records >= this.most};
	}

	/** Reads and discards, from the FIFO, the bytes that have been delivered. */
	private take(reader: number, bytes: number): void {
		for (let left = bytes; left > 0; ) {
			const moved = native.splice(reader, this.nowhere, left);
			// A program that does not use the lock has read the bytes.
			if (moved <= 0) return;
			left -= moved;
		}
	}

	/** The last writer has closed the FIFO: a record that has begun is over. */
	finish(): void {
		const before = this.output.records;
		this.output.finish();
		this.records += this.output.records - before;
		this.isLocked = false;
	}

	/** The bytes that stopping now would lose: read from the FIFO and not yet delivered. */
	get undelivered(): number {
		return this.output.undelivered;
	}

	[Symbol.dispose](): void {
		for (const descriptor of [...this.look, this.nowhere]) closeSync(descriptor);
	}
}

/** The lock that all receivers of records share; false when another receiver kept it too long. flock(2) */
function lockReceivers(reader: number, timeoutMs: number): boolean {
	try {
		native.flock(reader, timeoutMs === 0 ? LOCK_EX | LOCK_NB : LOCK_EX, timeoutMs === 0 ? -1 : timeoutMs);
		return true;
	} catch (error) {
		if (hasCode(error, 'ETIMEDOUT', 'EAGAIN')) return false;
		throw error;
	}
}

/** Writes records to stdout, from pieces of the stream that they came in. */
export interface RecordWriter {
	records: number;
	/** How many bytes of the last piece are delivered. */
	used: number;
	undelivered: number;
	isInsideRecord: boolean;
	/** Writes at most this many records of this piece. */
	write(bytes: Buffer, most: number): void;
	finish(): void;
}

export const recordWriter = (framing: Framing): RecordWriter =>
	framing === 'json' ? new JsonWriter() : new StreamWriter(framing);

/**
 * The framing of stdout is that of the FIFO: bytes are passed on unchanged, and only the ends of records are searched.
 */
class StreamWriter implements RecordWriter {
	records = 0;
	used = 0;
	readonly undelivered = 0;
	isInsideRecord = false;
	private readonly separator: number | undefined;
	private readonly header = Buffer.alloc(headerBytes);
	private headerFilled = 0;
	private bodyLeft = 0;

	constructor(framing: Framing) {
		this.separator = separatorOf(framing);
	}

	write(bytes: Buffer, most: number): void {
		this.used = 0;
		const end =
			this.separator === undefined ? this.walkLengths(bytes, most) : this.walkLines(bytes, most, this.separator);
		while (this.used < end) {
			try {
				this.used += printBytes(bytes, this.used, end - this.used);
			} catch (error) {
				throw explainStdout(error);
			}
		}
	}

	private walkLines(bytes: Buffer, most: number, separator: number): number {
		const {end, count} = separatedBy(separator).take(bytes, 0, bytes.length, most);
		this.records += count;
		if (count < most) {
			this.isInsideRecord = end < bytes.length;
			return bytes.length;
		}
		this.isInsideRecord = false;
		return end;
	}

	private walkLengths(bytes: Buffer, most: number): number {
		let at = 0;
		let found = 0;
		while (at < bytes.length && found < most) {
			if (this.headerFilled < headerBytes) {
				const count = bytes.copy(this.header, this.headerFilled, at, at + headerBytes - this.headerFilled);
				this.headerFilled += count;
				at += count;
				if (this.headerFilled < headerBytes) break;
				this.bodyLeft = this.header.readUInt32BE();
			}
			const step = Math.min(this.bodyLeft, bytes.length - at);
			at += step;
			this.bodyLeft -= step;
			if (this.bodyLeft > 0) break;
			this.headerFilled = 0;
			found++;
		}
		this.records += found;
		this.isInsideRecord = this.headerFilled > 0;
		return at;
	}

	finish(): void {
		if (!this.isInsideRecord) return;
		this.isInsideRecord = false;
		if (this.separator === undefined) {
			const missing = this.headerFilled < headerBytes ? 'its length' : `${this.bodyLeft} bytes`;
			this.headerFilled = 0;
			throw new SystemError(
				`the last record is incomplete: its sender left before sending ${missing} (${countOf(this.records, 'whole record')} received)`,
			);
		}
		print(Uint8Array.of(this.separator));
		this.records++;
	}
}

const lines = boundariesOf('lines');

/** Reads lines and prints one JSON object per line. */
class JsonWriter implements RecordWriter {
	records = 0;
	used = 0;
	private readonly decoder = new RecordDecoder('lines', mostRecordBytes);

	get isInsideRecord(): boolean {
		return this.decoder.pending > 0;
	}

	get undelivered(): number {
		return this.decoder.pending;
	}

	write(bytes: Buffer, most: number): void {
		this.used = 0;
		const wanted = this.limit(bytes, most);
		const lines: string[] = [];
		for (const record of this.decoder.push(wanted)) lines.push(`${JSON.stringify(jsonRecord(record))}\n`);
		if (lines.length > 0) print(lines.join(''));
		this.used = wanted.length;
		this.records += lines.length;
	}

	private limit(bytes: Buffer, most: number): Buffer {
		const {end, count} = lines.take(bytes, 0, bytes.length, most);
		return count < most ? bytes : bytes.subarray(0, end);
	}

	finish(): void {
		for (const record of this.decoder.end()) {
			print(`${JSON.stringify(jsonRecord(record))}\n`);
			this.records++;
		}
	}
}
