import {countOf, SystemError} from '../../common/errors.js';
import {lengthOfFirst} from '../../common/framing/boundaries.js';
import {type Framing, FramingError, parseJsonRecord, separatorOf} from '../../common/framing/framing.js';
import {takeInputRecords} from '../../common/framing/input-records.js';
import {readInput} from '../../common/input.js';
import {stdin} from '../../common/output.js';
import type {Progress} from '../../common/terminal/progress.js';
import {growPipe} from '../../common/transfer.js';
import {native} from '../../native/index.js';
import {type Ring, whole} from './ring.js';

const readBytes = 256 * 1024;

export interface Sending {
	/** How long to wait for room, each time; negative: without limit. */
	timeoutMs: number;
	progress: Progress | undefined;
}

/** Sends records to a ring, from words or from stdin. Every method returns whether all were sent in time. */
export class RingSender {
	/** Records sent. */
	sent = 0;

	constructor(
		private readonly ring: Ring,
		private readonly sending: Sending,
	) {}

	sendAll(records: readonly string[]): boolean {
		return records.every((record) => this.sendRecord(Buffer.from(record)));
	}

	sendInput(framing: Framing): boolean {
		growPipe(stdin);
		return framing === 'raw' || framing === 'json' ? this.sendDecoded(framing) : this.sendBuffers(framing);
	}

	/** Records are cut and sent in C, one buffer at a time. */
	private sendBuffers(framing: Framing): boolean {
		const separator = separatorOf(framing) ?? -1;
		let buffer = Buffer.allocUnsafe(readBytes);
		let filled = 0;
		for (;;) {
			const count = readInput(buffer, filled);
			if (count === 0) break;
			filled += count;
			const used = this.push(buffer, filled, separator);
			if (used < 0) return false;
			buffer.copyWithin(0, used, filled);
			filled -= used;
			if (filled === buffer.length) buffer = this.larger(buffer);
		}
		if (filled === 0) return true;
		if (separator < 0) throw this.broken(new FramingError(`it is incomplete: ${countOf(filled, 'byte')} arrived`));
		return this.sendRecord(buffer.subarray(0, filled));
	}

	/** How many bytes have been used; -1 when there was no room in time. */
	private push(buffer: Buffer, filled: number, separator: number): number {
		const {used, records, problem} = native.ringSend(
			this.ring.handle,
			buffer,
			0,
			filled,
			separator,
			this.sending.timeoutMs,
		);
		this.sent += records;
		this.sending.progress?.add(records);
		if (problem === 'EAGAIN' || problem === 'ETIMEDOUT') return -1;
		if (problem !== '') throw this.refused(problem, lengthOf(buffer.subarray(used, filled), separator));
		return used;
	}

	/** For a record that did not fit; a record that no ring of this size takes is refused at once. */
	private larger(buffer: Buffer): Buffer<ArrayBuffer> {
		if (buffer.length > this.ring.mostBytes) throw this.refused('EMSGSIZE', `more than ${buffer.length} bytes`);
		const doubled = Buffer.allocUnsafe(2 * buffer.length);
		buffer.copy(doubled);
		return doubled;
	}

	/** Any framing, one record at a time. */
	private sendDecoded(framing: Framing): boolean {
		const sendOne = (record: Buffer) => {
			if (framing !== 'json') return this.sendRecord(record);
			return record.length === 0 || this.sendRecord(parseJsonRecord(record).data);
		};
		try {
			return takeInputRecords(framing, sendOne);
		} catch (error) {
			throw error instanceof FramingError ? this.broken(error) : error;
		}
	}

	private sendRecord(record: Buffer): boolean {
		return this.push(record, record.length, whole) >= 0;
	}

	private refused(problem: string, length: number | string): unknown {
		const error = this.ring.explainProblem(
			'send to',
			problem,
			`record ${this.sent + 1} has ${typeof length === 'number' ? countOf(length, 'byte') : length}`,
		);
		return error instanceof SystemError ? error.followedBy(`; ${countOf(this.sent, 'record')} sent`) : error;
	}

	private broken(error: FramingError): SystemError {
		return new SystemError(
			`cannot send record ${this.sent + 1} of stdin: ${error.message} (${countOf(this.sent, 'record')} sent)`,
		);
	}
}

/** The bytes of the record that was refused. */
const lengthOf = (bytes: Buffer, separator: number): number =>
	separator === whole ? bytes.length : lengthOfFirst(bytes, separator);
