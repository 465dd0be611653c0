import {countOf, kernelError, quoted, SystemError} from '../../common/errors.js';
import type {ClusterAddress} from '../../common/formats/cluster-address.js';
import {boundariesBy, separatedBy} from '../../common/framing/boundaries.js';
import {tell} from '../../common/output.js';
import {highestPriority, type Message, type Queue, type Receipts} from '../../objects/queue/queue.js';
import {type Channel, closeChannel, openChannel} from '../channel.js';
import {attemptOnCluster} from '../refusal.js';
import type {QueueMethods} from '../worker/queue/queue.js';
import type {ReceivedBatch, Sent} from './format.js';

/** Maximum bytes of the messages in one batch. */
const mostBatchBytes = 1024 ** 2;

/** A queue on a cluster. What it sends is stored when the call returns; what it receives stays there until it is confirmed. */
export class ClusterQueue implements Queue {
	readonly keepsRescued = false;
	private lastReceipts: readonly string[] = [];
	/** One receiver at a time: the hands of a worker wait in turn. */
	private receiving: Promise<unknown> = Promise.resolve();

	private constructor(
		readonly address: ClusterAddress,
		private readonly channel: Channel,
		readonly maxmsg: number | undefined,
		readonly msgsize: number,
	) {}

	/** @throws Refusal `no-such` where it does not exist. */
	static open(address: ClusterAddress): ClusterQueue {
		const channel = openChannel(address);
		try {
			const {maxmsg, msgsize} = channel.call<QueueMethods, 'queueOpen'>('queueOpen', [address.name]);
			return new ClusterQueue(address, channel, maxmsg ?? undefined, msgsize);
		} catch (error) {
			closeChannel(channel);
			throw error;
		}
	}

	get shownName(): string {
		return this.address.shown;
	}

	private get name(): string {
		return this.address.name;
	}

	get messages(): number {
		return this.attempt('look at', () => {
			const [status] = this.channel.call<QueueMethods, 'queueStatus'>('queueStatus', [[this.name]]);
			return status?.messages ?? 0;
		});
	}

	/** What is put back is not stored anew: it never left the queue. */
	readonly isRemoved = false;

	private attempt<Result>(what: string, call: () => Result): Result {
		return attemptOnCluster(`cannot ${what} ${quoted(this.shownName)}`, call, {
			'no-such': {text: 'it has been removed', reason: 'no-queue', subject: this.shownName},
		});
	}

	send(message: Uint8Array | string, {priority = 0, timeoutMs = -1} = {}): boolean {
		const data = typeof message === 'string' ? Buffer.from(message) : message;
		if (data.length > this.msgsize) throw this.explainSend(kernelError('EMSGSIZE', 'mq_send'), data.length);
		return this.problemOf(this.sendBatch(data, [data.length], priority, timeoutMs), timeoutMs) === '';
	}

	trySend(message: Uint8Array | string, priority = 0): boolean {
		return this.send(message, {priority, timeoutMs: 0});
	}

	sendRecords(buffer: Buffer, filled: number, separator: number, priority: number, timeoutMs: number) {
		const {firstEnd, before, behind} = separator < 0 ? boundariesBy(separator) : separatedBy(separator);
		const pieces: Buffer[] = [];
		const ends: number[] = [];
		const uses: number[] = [];
		let [used, total, problem] = [0, 0, ''];
		for (let end = firstEnd(buffer, 0, filled); end >= 0 && end <= filled; end = firstEnd(buffer, used, filled)) {
			const record = buffer.subarray(used + before, end - behind);
			if (record.length > this.msgsize) {
				problem = 'EMSGSIZE';
				break;
			}
			pieces.push(record);
			total += record.length;
			ends.push(total);
			used = end;
			uses.push(used);
		}
		if (pieces.length === 0) return {used: 0, records: 0, problem};
		const sent = this.sendBatch(Buffer.concat(pieces), ends, priority, timeoutMs);
		const notSent = this.problemOf(sent, timeoutMs);
		if (notSent === '') return {used, records: sent.sent, problem};
		return {used: uses[sent.sent - 1] ?? 0, records: sent.sent, problem: notSent};
	}

	private sendBatch(data: Uint8Array, ends: readonly number[], priority: number, timeoutMs: number): Sent {
		// A copy of its own, and not the whole memory that a small buffer lies in.
		const batch = {bytes: new Uint8Array(data), ends: Uint32Array.from(ends), priority};
		return this.attempt('send to', () =>
			this.channel.call<QueueMethods, 'queueSend'>('queueSend', [this.name, batch, timeoutMs]),
		);
	}

	private problemOf({unknown, problem}: Sent, timeoutMs: number): string {
		if (problem === 'lost')
			tell(
				`no answer from the cluster: of ${countOf(unknown, 'message')} it is not known whether ${unknown === 1 ? 'it was' : 'they were'} stored`,
			);
		if (problem === '') return '';
		return timeoutMs === 0 ? 'EAGAIN' : 'ETIMEDOUT';
	}

	explainSend(error: unknown, length: number): unknown {
		const tried = `cannot send to ${quoted(this.shownName)}`;
		const {code} = error as {code?: string};
		if (code === 'EMSGSIZE')
			return new SystemError(`${tried}: the message has ${length} bytes and the queue takes ${this.msgsize}`, {
				reason: 'message-too-long',
				cause: error,
			});
		if (code === 'EINVAL')
			return new SystemError(`${tried}: the priority must be between 0 and ${highestPriority}`, {cause: error});
		return error;
	}

	receive({timeoutMs = -1, watched = -1} = {}): Message | undefined {
		return messageOf(this.receiveBatch(1, timeoutMs, watched));
	}

	tryReceive(): Message | undefined {
		return this.receive({timeoutMs: 0});
	}

	private receiveBatch(most: number, timeoutMs: number, watched: number): ReceivedBatch {
		return this.attempt('receive from', () =>
			this.channel.call<QueueMethods, 'queueReceive'>(
				'queueReceive',
				[this.name, most, mostBatchBytes, timeoutMs],
				watched,
			),
		);
	}

	receiveMany(
		buffer: Buffer,
		separator: number,
		most: number,
		watched: number,
		timeoutMs: number,
		index: Int32Array,
	): number {
		// What does not fit the buffer, with its frame, would have to go back.
		const mostBytes = Math.max(0, buffer.length - 8 * Math.min(most, index.length / 3));
		const {
			bytes,
			index: found,
			receipts,
		} = this.attempt('receive from', () =>
			this.channel.call<QueueMethods, 'queueReceive'>(
				'queueReceive',
				[this.name, Math.min(most, Math.floor(index.length / 3)), mostBytes, timeoutMs],
				watched,
			),
		);
		let at = 0;
		for (let i = 0; i < receipts.length; i++) {
			const [start = 0, length = 0, priority = 0] = found.subarray(3 * i, 3 * i + 3);
			if (separator === -1) at = buffer.writeUInt32BE(length, at);
			buffer.set(bytes.subarray(start, start + length), at);
			index.set([at, length, priority], 3 * i);
			at += length;
			if (separator >= 0) buffer[at++] = separator;
		}
		this.lastReceipts = receipts;
		return receipts.length;
	}

	readonly receipts: Receipts = this.makeReceipts();

	private makeReceipts(): Receipts {
		const queue = this;
		return {
			get ofLast() {
				return queue.lastReceipts;
			},
			confirm(receipts) {
				if (receipts.length > 0)
					queue.channel.callAtEnd<QueueMethods, 'queueConfirm'>('queueConfirm', [queue.name, receipts]);
			},
			giveBack(receipts) {
				if (receipts.length > 0)
					queue.channel.callAtEnd<QueueMethods, 'queueGiveBack'>('queueGiveBack', [queue.name, receipts]);
			},
		};
	}

	async receiveLater(timeoutMs: number, stopped: Promise<void>): Promise<Message | undefined> {
		let isStopped = false;
		void stopped.then(() => {
			isStopped = true;
			void this.channel.callLater<QueueMethods, 'queueStopReceiving'>('queueStopReceiving', [this.name]);
		});
		const before = this.receiving;
		const mine = before
			.catch(() => undefined)
			.then(() =>
				isStopped
					? undefined
					: this.channel.callLater<QueueMethods, 'queueReceive'>('queueReceive', [
							this.name,
							1,
							mostBatchBytes,
							timeoutMs,
						]),
			);
		this.receiving = mine;
		try {
			const batch = await mine;
			return batch && messageOf(batch);
		} catch (error) {
			return this.attempt('receive from', () => {
				throw error;
			});
		}
	}

	/** Takes one and gives it back: the server has no other way to tell. */
	wait(timeoutMs = -1): boolean {
		const {receipts} = this.receiveBatch(1, timeoutMs, -1);
		this.receipts.giveBack(receipts);
		return receipts.length > 0;
	}

	waitForRoomInBackground(): Promise<boolean> {
		return Promise.resolve(true);
	}

	purge(): number {
		return this.attempt('purge', () => this.channel.call<QueueMethods, 'queuePurge'>('queuePurge', [this.name]));
	}

	isSameAs(other: Queue): boolean {
		return other instanceof ClusterQueue && other.channel === this.channel && other.name === this.name;
	}

	[Symbol.dispose](): void {
		closeChannel(this.channel);
	}

	close(): void {
		this[Symbol.dispose]();
	}
}

function messageOf({bytes, index, receipts: [receipt]}: ReceivedBatch): Message | undefined {
	if (receipt === undefined) return undefined;
	return {data: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), priority: index[2] as number, receipt};
}
