import {countOf, explain, hasCode, quoted, SystemError} from '../../common/errors.js';
import {separatedBy} from '../../common/framing/boundaries.js';
import {
	encodeRecord,
	type Framing,
	FramingError,
	parseJsonRecord,
	RecordDecoder,
	separatorOf,
} from '../../common/framing/framing.js';
import {readInput} from '../../common/input.js';
import {stdin} from '../../common/output.js';
import type {Progress} from '../../common/terminal/progress.js';
import {growPipe} from '../../common/transfer.js';
import type {LocalSocket} from '../../objects/socket/local-socket.js';
import {growSocket} from '../stream/duplex.js';

const inputBytes = 1024 ** 2;

export interface RecordSending {
	framing: Framing;
	/** How long to wait for the peer, each time; negative: without limit. */
	timeoutMs: number;
	progress: Progress | undefined;
}

/**
 * Sends records to a listening process: in their framing on a stream, else one per packet. Every method returns whether
 * all were sent in time.
 */
export class RecordSender {
	/** Records that were handed to the kernel. */
	sent = 0;
	/** All of them were sent, and the peer has not read them. */
	isUnread = false;
	private readonly isStream: boolean;

	constructor(
		private readonly socket: LocalSocket,
		private readonly sending: RecordSending,
	) {
		this.isStream = socket.type === 'stream';
		if (this.isStream) growSocket(socket.descriptor);
	}

	sendAll(messages: readonly string[]): boolean {
		return this.explained(() => this.sendRecords(messages.map((message) => Buffer.from(message))) && this.finish());
	}

	sendInput(): boolean {
		growPipe(stdin);
		const {framing} = this.sending;
		const decoder = new RecordDecoder(framing);
		const buffer = Buffer.allocUnsafe(inputBytes);
		const separator = framing === 'json' ? undefined : separatorOf(framing);
		if (this.isStream && separator !== undefined)
			return this.explained(() => this.sendSeparated(buffer, separator) && this.finish());
		return this.explained(() => {
			for (let count = readInput(buffer, 0); count > 0; count = readInput(buffer, 0)) {
				const piece = buffer.subarray(0, count);
				// All of stdin is one record, however long: it is sent as it is read.
				if (framing === 'raw' && this.isStream) {
					if (!this.write(piece, () => 0)) return false;
				} else if (!this.sendRecords(decoder.push(piece))) {
					return false;
				}
			}
			if (framing === 'raw' && this.isStream) this.sent = 1;
			else if (!this.sendRecords(decoder.end())) return false;
			return this.finish();
		});
	}

	/**
	 * Bytes are passed on unchanged, whole records at a time: a sender that is killed leaves no half record behind. Only
	 * a record that is longer than the buffer is sent in pieces.
	 */
	private sendSeparated(buffer: Buffer, separator: number): boolean {
		const boundaries = separatedBy(separator);
		const countIn = (bytes: Buffer) => boundaries.count(bytes, 0, bytes.length);
		let filled = 0;
		let isInside = false;
		for (let count = readInput(buffer, 0); count > 0; count = readInput(buffer, filled)) {
			filled += count;
			const last = boundaries.lastEnd(buffer, 0, filled);
			const end = last > 0 ? last : filled === buffer.length ? filled : 0;
			if (end > 0) {
				isInside = last === 0;
				if (!this.write(buffer.subarray(0, end), countIn)) return false;
			}
			buffer.copyWithin(0, end, filled);
			filled -= end;
		}
		if (filled === 0 && !isInside) return true;
		return this.write(Buffer.concat([buffer.subarray(0, filled), Buffer.of(separator)]), countIn);
	}

	/** An invalid record must not prevent the valid records before it from being sent. */
	private sendRecords(records: Iterable<Buffer>): boolean {
		const framed: Buffer[] = [];
		let failure: unknown;
		try {
			for (const record of records) {
				if (this.sending.framing === 'json' && record.length === 0) continue;
				const data = this.sending.framing === 'json' ? parseJsonRecord(record).data : record;
				if (this.isStream) framed.push(this.frame(data));
				else if (!this.sendPacket(data)) return false;
			}
		} catch (error) {
			failure = error;
		}
		if (framed.length > 0 && !this.write(Buffer.concat(framed), (bytes) => countWhole(framed, bytes.length)))
			return false;
		if (failure) throw failure;
		return true;
	}

	/** The contents of JSON objects are sent as lines. */
	private frame(data: Buffer): Buffer {
		return encodeRecord(this.sending.framing === 'json' ? 'lines' : this.sending.framing, data);
	}

	private sendPacket(data: Buffer): boolean {
		try {
			if (!this.socket.send(data, {timeoutMs: this.sending.timeoutMs})) return false;
		} catch (error) {
			if (!hasCode(error, 'EMSGSIZE')) throw error;
			throw new FramingError(
				`its ${data.length} bytes are more than a packet can have (see: sysctl net.core.wmem_max)`,
			);
		}
		this.sent++;
		this.sending.progress?.add(1);
		return true;
	}

	/** `recordsIn` counts the records that end within the bytes sent. */
	private write(bytes: Buffer, recordsIn: (taken: Buffer) => number): boolean {
		let taken = 0;
		const onTaken = (count: number) => {
			taken = count;
		};
		try {
			return this.socket.send(bytes, {timeoutMs: this.sending.timeoutMs, onTaken});
		} finally {
			const records = recordsIn(bytes.subarray(0, taken));
			this.sent += records;
			this.sending.progress?.add(records);
		}
	}

	/** Ends the output; waits until the peer has read all of it. */
	private finish(): boolean {
		if (this.socket.type === 'dgram') return true;
		this.socket.endOutput();
		this.isUnread = !this.socket.waitUntilRead(this.sending.timeoutMs);
		return !this.isUnread;
	}

	private explained<Result>(work: () => Result): Result {
		const shown = quoted(this.socket.shownName);
		try {
			return work();
		} catch (error) {
			if (error instanceof FramingError)
				throw new SystemError(
					`cannot send record ${this.sent + 1} to ${shown}: ${error.message} (${countOf(this.sent, 'record')} sent)`,
				);
			if (hasCode(error, 'EPIPE', 'ECONNRESET', 'ECONNREFUSED', 'ENOTCONN'))
				throw new SystemError(
					`cannot send to ${shown}: the receiver left before reading all data (${countOf(this.sent, 'record')} sent)`,
				);
			throw explain(`cannot send to ${shown}`, error);
		}
	}
}

/** How many of these, one after the other, lie wholly within this many bytes. */
function countWhole(pieces: readonly Buffer[], bytes: number): number {
	let end = 0;
	const cut = pieces.findIndex((piece) => {
		end += piece.length;
		return end > bytes;
	});
	return cut < 0 ? pieces.length : cut;
}
