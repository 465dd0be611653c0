import {countOf, kernelError, SystemError} from '../../common/errors.js';
import {lengthOfFirst} from '../../common/framing/boundaries.js';
import {type Framing, FramingError, parseJsonRecord, separatorOf} from '../../common/framing/framing.js';
import {takeInputRecords} from '../../common/framing/input-records.js';
import {readInput} from '../../common/input.js';
import {stdin, tell} from '../../common/output.js';
import type {Progress} from '../../common/terminal/progress.js';
import {growPipe} from '../../common/transfer.js';
import {highestPriority, type Queue} from './queue.js';
import {split} from './split.js';

const readBytes = 1024 ** 2;

export interface Sending {
	priority: number | undefined;
	/** How long to wait for room, each time; negative: without limit. */
	timeoutMs: number;
	/** Records that are too long are sent in parts. */
	splits: boolean;
	progress: Progress | undefined;
}

/** Sends messages to a queue, from words or from stdin. Every method returns whether all were sent in time. */
export class MessageSender {
	/** Records sent. */
	sent = 0;

	constructor(
		private readonly queue: Queue,
		private readonly sending: Sending,
	) {}

	sendAll(messages: readonly string[]): boolean {
		return messages.every((message) => this.sendRecord(Buffer.from(message)));
	}

	sendInput(framing: Framing): boolean {
		growPipe(stdin);
		if (framing === 'raw' || framing === 'json' || this.sending.splits) return this.sendDecoded(framing);
		return this.sendBuffers(framing);
	}

	/** Records are cut and sent in C, one buffer at a time. */
	private sendBuffers(framing: Framing): boolean {
		const {priority = 0, timeoutMs, progress} = this.sending;
		const separator = separatorOf(framing) ?? -1;
		const buffer = Buffer.allocUnsafe(Math.max(readBytes, this.queue.msgsize + 8));
		let filled = 0;
		for (;;) {
			const count = readInput(buffer, filled);
			if (count === 0) break;
			filled += count;
			const {used, records, problem} = this.queue.sendRecords(buffer, filled, separator, priority, timeoutMs);
			this.sent += records;
			progress?.add(records);
			if (problem === 'EAGAIN' || problem === 'ETIMEDOUT') return false;
			if (problem !== '') throw this.refused(problem, lengthOfFirst(buffer.subarray(used, filled), separator));
			buffer.copyWithin(0, used, filled);
			filled -= used;
			if (filled === buffer.length) throw this.tooLong(`more than ${filled}`);
		}
		if (filled === 0) return true;
		if (separator < 0) throw this.broken(new FramingError(`it is incomplete: ${filled} bytes arrived`));
		return this.sendRecord(buffer.subarray(0, filled));
	}

	/** Any framing, one record at a time. */
	private sendDecoded(framing: Framing): boolean {
		try {
			return takeInputRecords(framing, (record) => this.sendDecodedRecord(framing, record));
		} catch (error) {
			throw error instanceof FramingError ? this.broken(error) : error;
		}
	}

	private sendDecodedRecord(framing: Framing, record: Buffer): boolean {
		if (framing !== 'json') return this.sendRecord(record);
		if (record.length === 0) return true;
		const {data, fields} = parseJsonRecord(record);
		const {priority = 0} = fields;
		if (typeof priority !== 'number' || !Number.isInteger(priority) || priority < 0 || priority > highestPriority)
			throw new FramingError(`its "priority" is not a number from 0 to ${highestPriority}`);
		return this.sendRecord(data, priority);
	}

	private sendRecord(record: Buffer, ownPriority = 0): boolean {
		const {priority = ownPriority, timeoutMs, splits, progress} = this.sending;
		const parts = splits ? split(record, this.queue.msgsize) : [record];
		let partsSent = 0;
		for (const part of parts) {
			if (part.length > this.queue.msgsize) throw this.tooLong(String(part.length));
			if (!this.queue.send(part, {priority, timeoutMs})) {
				if (partsSent > 0) tell(`sent only ${countOf(partsSent, 'part')} of record ${this.sent + 1}`);
				return false;
			}
			partsSent++;
		}
		this.sent++;
		progress?.add(1);
		return true;
	}

	private refused(problem: string, length: number): unknown {
		if (problem === 'EMSGSIZE') return this.tooLong(String(length));
		return this.queue.explainSend(kernelError(problem, 'mq_send'), length);
	}

	private tooLong(length: string): SystemError {
		const {shownName, msgsize} = this.queue;
		return new SystemError(
			`cannot send to '${shownName}': message ${this.sent + 1} has ${length} bytes and the queue takes ${msgsize}`,
			{reason: 'record-too-long'},
		).followedBy(`; ${countOf(this.sent, 'message')} sent`);
	}

	private broken(error: FramingError): SystemError {
		return new SystemError(
			`cannot send record ${this.sent + 1} of stdin: ${error.message} (${countOf(this.sent, 'message')} sent)`,
		);
	}
}
