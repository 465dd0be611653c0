import {Deadline} from '../../common/deadline.js';
import {countOf, hasCode, SystemError} from '../../common/errors.js';
import {type Boundaries, boundariesOf, incompleteRecord} from '../../common/framing/boundaries.js';
import {type Framing, FramingError, RecordDecoder, separatorOf} from '../../common/framing/framing.js';
import {readInput} from '../../common/input.js';
import {print} from '../../common/output.js';
import type {Progress} from '../../common/terminal/progress.js';
import {isReady} from '../../common/waiting.js';
import {F_UNLCK, F_WRLCK, native, PIPE_BUF, POLLOUT} from '../../native/index.js';
import {sendAsLines} from './json-lines.js';

/**
 * Sends records to a FIFO with several senders, each record whole.
 *
 * The kernel guarantees that a write of up to PIPE_BUF bytes is whole; a larger write is not (pipe(7)). So all senders
 * of records take the same lock, on the FIFO itself, for each batch of records: a larger record cannot be interleaved
 * with another. The lock dies with its holder. And so that a sender killed at any moment leaves no half record behind,
 * no write may be interrupted half way: it has up to PIPE_BUF bytes of whole records, or it goes into an empty pipe
 * that has room for all of it, where write(2) does not sleep. Only a record larger than the pipe cannot be written
 * whole that way; it is streamed under the lock.
 */

const bufferBytes = 1024 ** 2;
/** Where the senders' lock lies: one byte that no process reads. */
const lockStart = 0;

/** Takes the lock that all senders of records share; false when other senders kept it too long. fcntl(2) */
export function lockSenders(writer: number, timeoutMs: number): boolean {
	try {
		if (timeoutMs === 0) native.ofdSetlk(writer, F_WRLCK, lockStart, 1);
		else native.ofdSetlkw(writer, F_WRLCK, lockStart, 1, timeoutMs);
		return true;
	} catch (error) {
		if (hasCode(error, 'ETIMEDOUT', 'EAGAIN', 'EACCES')) return false;
		throw error;
	}
}

const unlockSenders = (writer: number) => native.ofdSetlk(writer, F_UNLCK, lockStart, 1);

export interface RecordSending {
	/** The FIFO, open for writing, non-blocking. */
	writer: number;
	shown: string;
	framing: Framing;
	/** How long to wait for the lock or for room, each time; negative: without limit. */
	timeoutMs: number;
	/** The descriptor that gets a copy, -1 for none. */
	copyTo: number;
	progress: Progress | undefined;
}

/**
 * Sends the records of stdin. Blocks. `missing` tells what the wait that timed out was for, if one did; the records
 * that were sent are whole.
 */
export function sendRecords(sending: RecordSending): {records: number; missing: 'lock' | 'room' | undefined} {
	const sender = new RecordSender(sending);
	try {
		if (sending.framing === 'json') sender.sendJson();
		else sender.sendStream();
		return {records: sender.records, missing: undefined};
	} catch (error) {
		if (error instanceof WaitTimedOut) return {records: sender.records, missing: error.missing};
		if (hasCode(error, 'EPIPE'))
			throw new SystemError(
				`cannot send to ${sending.shown}: the reader left after ${countOf(sender.records, 'record')}`,
			);
		if (error instanceof FramingError) throw explainRecord(error, sender.records);
		throw error;
	}
}

export const explainRecord = (error: FramingError, sent: number): SystemError =>
	new SystemError(`cannot send record ${sent + 1} of stdin: ${error.message} (${countOf(sent, 'record')} sent)`);

/** Why sending ended early: other senders kept the lock, or the reader did not read. */
class WaitTimedOut extends Error {
	constructor(readonly missing: 'lock' | 'room') {
		super(missing);
	}
}

class RecordSender {
	records = 0;
	private readonly boundaries: Boundaries;
	private readonly separator: number | undefined;

	constructor(private readonly sending: RecordSending) {
		this.separator = separatorOf(sending.framing);
		this.boundaries = boundariesOf(sending.framing);
	}

	/** The framing of stdin is that of the FIFO: records are passed on unchanged, one buffer at a time. */
	sendStream(): void {
		const buffer = Buffer.allocUnsafe(bufferBytes);
		let filled = 0;
		for (;;) {
			const count = this.readInput(buffer, filled);
			if (count === 0) break;
			filled += count;
			let end = this.boundaries.lastEnd(buffer, 0, filled);
			if (end > 0) this.sendWhole(buffer, 0, end);
			else if (filled === buffer.length) end = this.streamLongRecord(buffer, filled);
			else continue;
			buffer.copyWithin(0, end, filled);
			filled -= end;
		}
		if (filled > 0) this.sendLast(buffer.subarray(0, filled));
	}

	/** Each line of stdin is a JSON object; its contents are sent as a line. */
	sendJson(): void {
		const decoder = new RecordDecoder('json');
		const buffer = Buffer.allocUnsafe(bufferBytes);
		const send = (lines: Buffer) => this.sendWhole(lines, 0, lines.length);
		for (let count = this.readInput(buffer, 0); count > 0; count = this.readInput(buffer, 0))
			sendAsLines(decoder.push(buffer.subarray(0, count)), send);
		sendAsLines(decoder.end(), send);
	}

	/** The end of stdin: a last line without its newline is still a record, half a frame is not. */
	private sendLast(rest: Buffer): void {
		if (this.separator === undefined) throw incompleteRecord(this.boundaries, rest);
		const record = Buffer.concat([rest, Buffer.of(this.separator)]);
		this.sendWhole(record, 0, record.length);
	}

	/** Waits for stdin, and notices when the reader of the FIFO leaves meanwhile. */
	private readInput(buffer: Buffer, offset: number): number {
		const count = readInput(buffer, offset, this.sending.writer);
		if (count !== 'gone') return count;
		throw new SystemError(
			`cannot send to ${this.sending.shown}: the reader left after ${countOf(this.records, 'record')}`,
		);
	}

	private sendWhole(bytes: Buffer, start: number, end: number): void {
		const {writer, timeoutMs} = this.sending;
		if (!lockSenders(writer, timeoutMs)) throw new WaitTimedOut('lock');
		try {
			for (let at = start; at < end; ) at = this.sendSome(bytes, at, end);
		} finally {
			unlockSenders(writer);
		}
	}

	/** As many records as can be written without an interruption of the write. */
	private sendSome(bytes: Buffer, start: number, end: number): number {
		const {writer} = this.sending;
		let next = start;
		if (native.ioctlFionread(writer) > 0) next = this.boundaries.lastEnd(bytes, start, Math.min(end, start + PIPE_BUF));
		if (next === start) {
			this.waitUntilEmpty();
			next = this.boundaries.lastEnd(bytes, start, Math.min(end, start + native.fcntlGetpipeSz(writer)));
			if (next === start) next = this.boundaries.firstEnd(bytes, start, end);
		}
		this.write(bytes, start, next);
		this.wentThrough(bytes, start, next, this.boundaries.count(bytes, start, next));
		return next;
	}

	/**
	 * A record that does not fit the buffer: the lock is held until its end has been read from stdin. Returns the offset
	 * up to which the buffer is used.
	 */
	private streamLongRecord(buffer: Buffer, filled: number): number {
		const {writer, timeoutMs} = this.sending;
		if (!lockSenders(writer, timeoutMs)) throw new WaitTimedOut('lock');
		try {
			let rest = this.separator === undefined ? this.boundaries.firstEnd(buffer, 0, filled) : Number.POSITIVE_INFINITY;
			this.write(buffer, 0, filled);
			this.wentThrough(buffer, 0, filled, 0);
			rest -= filled;
			for (;;) {
				const count = this.readInput(buffer, 0);
				if (count === 0) {
					if (this.separator === undefined) throw new FramingError(`it is incomplete: ${rest} bytes are missing`);
					const last = Buffer.of(this.separator);
					this.write(last, 0, 1);
					this.wentThrough(last, 0, 1, 1);
					return filled;
				}
				const found = this.separator === undefined ? rest : this.boundaries.firstEnd(buffer, 0, count);
				const end = found < 0 || found > count ? count : found;
				this.write(buffer, 0, end);
				const isOver = found >= 0 && found <= count;
				this.wentThrough(buffer, 0, end, isOver ? 1 : 0);
				rest -= end;
				if (!isOver) continue;
				// The next bytes belong to the next records: the caller continues there.
				buffer.copyWithin(filled - (count - end), end, count);
				return filled - (count - end);
			}
		} finally {
			unlockSenders(writer);
		}
	}

	private write(bytes: Buffer, start: number, end: number): void {
		for (let at = start; at < end; ) {
			const written = native.write(this.sending.writer, bytes, at, end - at);
			if (written >= 0) at += written;
			else this.waitForRoom();
		}
	}

	private wentThrough(bytes: Buffer, start: number, end: number, records: number): void {
		this.records += records;
		this.sending.progress?.add(records);
		if (this.sending.copyTo >= 0) print(bytes.subarray(start, end));
	}

	private waitForRoom(): void {
		if (!isReady(this.sending.writer, POLLOUT, this.sending.timeoutMs)) throw new WaitTimedOut('room');
	}

	/** No event wakes a writer when a pipe becomes empty: look again, at growing intervals. */
	private waitUntilEmpty(): void {
		const {writer, timeoutMs} = this.sending;
		let before = -1;
		let deadline = new Deadline(timeoutMs);
		let pauseMs = 0;
		for (;;) {
			const queued = native.ioctlFionread(writer);
			if (queued === 0) return;
			if (queued !== before) {
				before = queued;
				deadline = new Deadline(timeoutMs);
				pauseMs = 0;
			} else if (deadline.hasPassed) {
				throw new WaitTimedOut('room');
			}
			if (isReady(writer, 0, pauseMs))
				throw new SystemError(
					`cannot send to ${this.sending.shown}: the reader left after ${countOf(this.records, 'record')}`,
				);
			pauseMs = Math.min(10, pauseMs + 1);
		}
	}
}
