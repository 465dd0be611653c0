import {Deadline} from '../../common/deadline.js';
import {hasCode, SystemError} from '../../common/errors.js';
import {encodeRecord, type Framing, jsonRecord, separatorOf} from '../../common/framing/framing.js';
import {stdout, tellError} from '../../common/output.js';
import type {Progress} from '../../common/terminal/progress.js';
import {putBack, receiptsOf} from './put-back.js';
import type {Message, Queue} from './queue.js';
import {rescuedOf} from './rescued-messages.js';
import {Joiner} from './split.js';
import {type Batch, StdoutDelivery} from './stdout-delivery.js';

const batchBytes = 65_536;
/** While the reader of stdout has not read all, this often is looked whether it has. */
const confirmSliceMs = 100;
/** At most this many messages are received at once, if many fit a batch. */
const mostInBatch = 1024;

export interface Receiving {
	framing: Framing;
	/** Complete after this many records. */
	most: number;
	/** How long to wait for a message, each time; negative: without limit. */
	timeoutMs: number;
	/** Parts are joined. */
	joins: boolean;
	/** All messages that are queued now are wanted: a part that is not there is missing for good. */
	waitsForNothing: boolean;
	progress: Progress | undefined;
}

/** The memory of batches until they have been read. */
interface Arena {
	buffer: Buffer;
	index: Int32Array;
	usedBytes: number;
	usedIndex: number;
	/** The batches that may still be needed. */
	batches: number;
}

/**
 * Moves messages from a queue to stdout. Messages that were received and could not be delivered are returned to the
 * queue.
 */
export class MessageReceiver {
	/** Records written to stdout. */
	received = 0;
	/** Records that were given up: their rest did not come. */
	dropped = 0;
	private readonly delivery: StdoutDelivery;
	/**
	 * Memory whose batches have all been read, for reuse: otherwise it would pile up until the garbage collector runs.
	 */
	private readonly spare: Arena[] = [];
	private arena: Arena | undefined;

	constructor(
		private readonly queue: Queue,
		private readonly receiving: Receiving,
	) {
		this.delivery = new StdoutDelivery(queue);
	}

	/** Until the wanted number has been received (true), or there was none in time (false). */
	run(): boolean {
		const {framing, joins} = this.receiving;
		try {
			const isComplete =
				joins || framing === 'json' ? this.receiveSingly() : this.receiveRescued() || this.receiveBatches();
			this.delivery.finish();
			return isComplete;
		} catch (error) {
			if (hasCode(error, 'EPIPE')) this.delivery.readerLeft();
			throw error;
		}
	}

	/** Receives what an earlier receiver could not return to the queue; returns whether that is all that is wanted. */
	private receiveRescued(): boolean {
		using rescued = rescuedOf(this.queue);
		const {framing, most, progress} = this.receiving;
		if (!rescued) return false;
		while (this.received < most) {
			this.delivery.allowance();
			const message = rescued.take();
			if (!message) return false;
			this.delivery.deliver(asBatch(framing, message.data, message.priority, [message]), 1);
			this.received++;
			progress?.add(1);
		}
		return true;
	}

	/** Framed in C, as many as there are and may be written. */
	private receiveBatches(): boolean {
		const {framing, most, timeoutMs, progress} = this.receiving;
		const separator = separatorOf(framing) ?? (framing === 'length' ? -1 : -2);
		const {msgsize} = this.queue;
		while (this.received < most) {
			const allowed = Math.min(this.delivery.allowance(), most - this.received);
			const arena = this.arenaFor(msgsize);
			const buffer = arena.buffer.subarray(arena.usedBytes);
			const index = arena.index.subarray(arena.usedIndex);
			const count = this.whileConfirming(timeoutMs, (ms) =>
				this.queue.receiveMany(buffer, separator, allowed, stdout, ms, index),
			);
			if (count === 0) return false;
			const receipts = this.queue.receipts?.ofLast;
			const end = (i: number) => (index[3 * i] as number) + (index[3 * i + 1] as number) + (separator >= 0 ? 1 : 0);
			const bytes = buffer.subarray(0, end(count - 1));
			arena.usedBytes += bytes.length;
			arena.usedIndex += 3 * count;
			arena.batches++;
			const release = () => this.release(arena);
			this.delivery.deliver(
				{bytes, expand: () => expand(buffer, index, count, end, receipts), release, ...(receipts ? {receipts} : {})},
				count,
			);
			this.received += count;
			progress?.add(count);
		}
		return true;
	}

	/**
	 * Waits for a message; meanwhile what the reader of stdout has read is confirmed to a queue that wants that, so that none of it is
	 * received again when we are killed.
	 */
	private whileConfirming<Found>(timeoutMs: number, receive: (timeoutMs: number) => Found): Found {
		if (!this.queue.receipts) return receive(timeoutMs);
		const deadline = new Deadline(timeoutMs);
		for (;;) {
			const isWaiting = this.delivery.confirmRead();
			const found = receive(deadline.waitMs(isWaiting ? confirmSliceMs : undefined));
			if (found || deadline.hasPassed) return found;
		}
	}

	/** Memory with room for at least one message, and for no more than are wanted. Many small batches share it. */
	private arenaFor(msgsize: number): Arena {
		const current = this.arena;
		const leastBytes = msgsize + 8;
		if (current && current.buffer.length - current.usedBytes >= leastBytes && current.usedIndex < current.index.length)
			return current;
		const wanted = Math.min(this.receiving.most - this.received, mostInBatch);
		const fresh = this.spare.pop() ?? {
			buffer: Buffer.allocUnsafe(Math.max(leastBytes, Math.min(wanted * leastBytes, batchBytes))),
			index: new Int32Array(3 * wanted),
			usedBytes: 0,
			usedIndex: 0,
			batches: 0,
		};
		this.arena = fresh;
		if (current?.batches === 0) this.recycle(current);
		return fresh;
	}

	private release(arena: Arena): void {
		arena.batches--;
		if (arena.batches === 0 && arena !== this.arena) this.recycle(arena);
	}

	private recycle(arena: Arena): void {
		arena.usedBytes = 0;
		arena.usedIndex = 0;
		this.spare.push(arena);
	}

	/** One message after another: as JSON, or joined from parts. */
	private receiveSingly(): boolean {
		const {framing, most, timeoutMs, joins, waitsForNothing, progress} = this.receiving;
		const joiner = new Joiner();
		const losses = new LossReport(joiner);
		using rescued = rescuedOf(this.queue);
		let isRescued = rescued !== undefined;
		try {
			while (this.received < most) {
				this.delivery.allowance();
				let message: Message | undefined = isRescued ? rescued?.take() : undefined;
				isRescued = message !== undefined;
				message ??= this.whileConfirming(timeoutMs, (ms) => this.queue.receive({timeoutMs: ms, watched: stdout}));
				if (!message) {
					if (joiner.pending.length > 0 && waitsForNothing)
						throw new SystemError(
							`cannot join: ${joiner.describeMissing()}, and the queue is empty (returned the parts to the queue)`,
						);
					return false;
				}
				const record = joins
					? join(joiner, message, this.queue)
					: {record: message.data, priority: message.priority, parts: [message]};
				losses.tellNow();
				if (!record) continue;
				this.delivery.deliver(asBatch(framing, record.record, record.priority, record.parts), 1);
				this.received++;
				progress?.add(1);
			}
			return true;
		} finally {
			losses.tellRest();
			this.dropped = joiner.dropped.records;
			putBack(this.queue, joiner.pending);
		}
	}
}

/** Reports what a joiner gives up: at once, but less and less often, since a sender may send nothing but first parts. */
class LossReport {
	private told = 0;
	private next = 1;

	constructor(private readonly joiner: Joiner) {}

	tellNow(): void {
		if (this.joiner.dropped.records < this.next) return;
		this.next = 2 * this.joiner.dropped.records;
		this.tellRest();
	}

	tellRest(): void {
		const {parts} = this.joiner.dropped;
		if (parts > this.told) tellError(this.joiner.describeDropped());
		this.told = parts;
	}
}

function join(joiner: Joiner, message: Message, queue: Queue) {
	try {
		return joiner.add(message);
	} catch (error) {
		putBack(queue, [message]);
		throw error;
	}
}

function expand(
	buffer: Buffer,
	index: Int32Array,
	count: number,
	end: (i: number) => number,
	receipts: readonly string[] | undefined,
) {
	return Array.from({length: count}, (_, i) => {
		const [start, length, priority] = index.subarray(3 * i, 3 * i + 3) as unknown as [number, number, number];
		const receipt = receipts?.[i];
		const message = {data: buffer.subarray(start, start + length), priority, ...(receipt ? {receipt} : {})};
		return {end: end(i), messages: [message]};
	});
}

function asBatch(framing: Framing, record: Buffer, priority: number, parts: Message[]): Batch {
	const bytes =
		framing === 'json'
			? Buffer.from(`${JSON.stringify({...jsonRecord(record), priority})}\n`)
			: framing === 'lines' || framing === 'null'
				? Buffer.concat([record, Buffer.of(separatorOf(framing) as number)])
				: encodeRecord(framing, record);
	return {bytes, expand: () => [{end: bytes.length, messages: parts}], receipts: receiptsOf(parts)};
}
