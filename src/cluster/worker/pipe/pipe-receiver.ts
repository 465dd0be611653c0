import {AckPolicy, DeliverPolicy} from '@nats-io/jetstream';
import {createInbox, type Msg, nanos, nuid, type Subscription} from '@nats-io/transport-node';
import {
	batchBytes,
	mostInHand,
	newsSubject,
	type PipeBatch,
	type PipeEvent,
	readDescription,
	readerSubject,
	streamOf,
	writerSubject,
	writersSubject,
} from '../../pipe/format.js';
import {sleep} from '../connection.js';
import {Refused, refusalOf, refuse, removed} from '../errors.js';
import {PipeConfirmations} from './pipe-confirmations.js';
import {PipeGaps} from './pipe-gaps.js';
import {type Arrived, keyOf, PipeOrder, readArrived, readReply, type SenderState} from './pipe-order.js';
import {answerAt, type PipeStream} from './pipe-stream.js';

/** How often a consumer with nothing to deliver reports that it is there. */
const heartbeatMs = 2000;
/** A message stays with its reader: when one is lost on the way, the reader notices and begins anew. */
const ackWaitMs = 3_600_000;
const tickMs = 1000;
/** How long a consumer may deliver nothing that can be handed on, while something is stored; the one after it has twice the time. */
const shortestQuietMs = 5000;
const longestQuietMs = 60_000;
const retryMs = 250;
const nothing = new Uint8Array(0);
/** A reader that the server has no connection to may be connecting again. */
const readerGraceMs = 2000;
/** The same for a sender, and for one whose servers have had trouble. */
const senderGraceMs = {usually: 10_000, afterTrouble: 60_000};

/**
 * The reader of one pipe. Its consumer on the server is the only one that the stream may have, so it is a lock too. Whenever something
 * may have been lost on the way, the consumer is made anew and delivers again what has not been confirmed; what we have is recognised.
 */
export class PipeReceiver {
	private readonly id = nuid.next();
	generation = 0;
	private consumer = '';
	private deliveries: Subscription | undefined;
	private presence: Subscription | undefined;
	/** The number of the last message or heartbeat of this consumer. */
	private lastDelivery = 0;
	private lastHeardAt = 0;
	/** Messages that the server has not delivered yet. */
	private pending = 0;
	private isRestarting = false;
	/** How many messages the server delivers before some are confirmed. */
	private mostInHand = mostInHand;
	/** The last message that came, when we looked, and since when it is the last. */
	private lastSeen = {index: 0, at: 0};
	private quietMs = shortestQuietMs;
	private ticker: NodeJS.Timeout | undefined;
	/** What has come and is not confirmed: by sender and number, since the server counts anew when it has lost something. */
	readonly inHand = new Map<string, Arrived>();
	private lastIndex = 0;
	/** Ends the requests whose answers will not come. */
	readonly onRestart = new Set<() => void>();
	private readonly confirmations: PipeConfirmations;
	private readonly order = new PipeOrder();
	private readonly gaps: PipeGaps;
	private readonly ready: Arrived[] = [];
	/** What the other thread writes next: it has done so before it asks for more. */
	private readonly room = new Uint8Array(new SharedArrayBuffer(batchBytes));
	/** What the other thread has, by its index. */
	private readonly given = new Map<number, Arrived>();
	private readonly cutShort: PipeBatch['cutShort'] = [];
	private partlyRead: {sequence: number; bytes: number} | undefined;
	private failure: unknown;
	private hasToldOver = false;
	/** The pipe was removed when everything of it had come. */
	private isRemoved = false;
	private hasTriedToLeave = false;
	private wake = (): void => {};

	constructor(private readonly stream: PipeStream) {
		this.confirmations = new PipeConfirmations(stream, this);
		this.gaps = new PipeGaps(stream, this.order);
		const {connection} = stream;
		connection.onClose.add(() => this.close());
		connection.onReconnect.add(() => {
			for (const sender of this.order.senders.values()) sender.missingSince = undefined;
			void this.restart();
		});
	}

	private get name(): string {
		return this.stream.name;
	}

	get signal(): AbortSignal {
		return this.stream.connection.closing.signal;
	}

	/** Becomes the reader; false when another one had it all the time. */
	async connect(timeoutMs: number): Promise<boolean> {
		const end = timeoutMs < 0 ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
		const unbound = new Map<string, number>();
		for (let isFirst = true; !(await this.begin()); isFirst = false) {
			const holder = await this.readerOnServer();
			if (holder?.isThere === false) {
				const since = unbound.get(holder.consumer) ?? performance.now();
				unbound.set(holder.consumer, since);
				if (timeoutMs === 0 || performance.now() - since >= readerGraceMs) {
					await this.stream.removeReader(holder.consumer);
					continue;
				}
			} else unbound.clear();
			if (performance.now() >= end || this.signal.aborted) return false;
			if (isFirst && holder?.isThere)
				this.stream.connection.tell('another process receives from it; waiting until it ends');
			await sleep(Math.min(retryMs, end - performance.now()), this.signal);
		}
		const {config} = await this.stream.info();
		this.partlyRead = readDescription(config.description).partlyRead;
		await this.answer();
		this.ticker = setInterval(() => void this.look(), tickMs);
		return true;
	}

	/** Senders that look for a reader find us. */
	private async answer(): Promise<void> {
		const client = await this.stream.connection.client();
		this.presence = answerAt(client, readerSubject(this.name));
		client.publish(newsSubject(this.name), 'reader' satisfies PipeEvent);
		await client.flush();
	}

	/** Makes our consumer; false where there is one of another reader. */
	private async begin(): Promise<boolean> {
		const {connection} = this.stream;
		const [client, {consumers}] = await Promise.all([connection.client(), connection.streams()]);
		this.generation++;
		const inbox = createInbox();
		this.deliveries?.unsubscribe();
		this.lastDelivery = 0;
		// What waits for an earlier message takes no room from that one.
		this.mostInHand = mostInHand + 2 * this.order.heldCount;
		const {generation} = this;
		this.deliveries = client.subscribe(inbox, {callback: (_, message) => this.take(message, generation)});
		const consumer = `${this.id}-${generation}`;
		try {
			const {num_pending} = await consumers.add(streamOf(this.name), {
				durable_name: consumer,
				deliver_subject: inbox,
				deliver_policy: DeliverPolicy.All,
				ack_policy: AckPolicy.Explicit,
				ack_wait: nanos(ackWaitMs),
				max_deliver: -1,
				max_ack_pending: this.mostInHand,
				idle_heartbeat: nanos(heartbeatMs),
			});
			this.consumer = consumer;
			this.lastHeardAt = performance.now();
			// Some may have been delivered before this answer.
			if (this.lastDelivery === 0) this.pending = num_pending;
			return true;
		} catch (error) {
			this.deliveries.unsubscribe();
			const reason = refusalOf(error)?.reason;
			if (reason === 'taken') return false;
			// Its last user has removed it, between our look and now.
			if (reason === 'no-such' && !this.presence) {
				await this.stream.makeAgain();
				return false;
			}
			if (reason !== 'timeout' && reason !== 'no-jetstream') throw error;
			if (this.signal.aborted) throw error;
			await sleep(retryMs, this.signal);
			return false;
		}
	}

	private async readerOnServer(): Promise<{consumer: string; isThere: boolean} | undefined> {
		const found = await this.stream.reader();
		return found && {...found, isThere: found.isThere && !found.consumer.startsWith(this.id)};
	}

	private async restart(): Promise<void> {
		// The first one is still being made, which is tried again as well.
		if (this.isRestarting || this.consumer === '' || this.signal.aborted) return;
		this.isRestarting = true;
		this.deliveries?.unsubscribe();
		for (const call of [...this.onRestart]) call();
		try {
			await this.stream.removeReader(this.consumer);
			while (!(await this.begin()) && !this.signal.aborted) {
				const holder = await this.readerOnServer();
				if (holder?.isThere) refuse('taken', 'another process has taken it over while we had no connection');
				if (holder) await this.stream.removeReader(holder.consumer);
			}
		} catch (error) {
			this.fail(error);
		} finally {
			this.isRestarting = false;
			this.wake();
		}
	}

	fail(error: unknown): void {
		if (this.signal.aborted) return;
		const isRemoved = refusalOf(error)?.reason === 'no-such';
		// The last sender removes a temporary pipe, perhaps after we have found that it is still there.
		if (isRemoved && this.hasAll) this.isRemoved = true;
		else this.failure ??= isRemoved ? new Refused(removed) : error;
		this.wake();
	}

	private take(message: Msg, generation: number): void {
		const {headers, data, reply} = message;
		if (generation !== this.generation) return;
		this.lastHeardAt = performance.now();
		if (headers && headers.code > 0) {
			// A heartbeat: the last message that it tells of has to be here.
			if (Number(headers.get('Nats-Last-Consumer') || this.lastDelivery) !== this.lastDelivery) void this.restart();
			return;
		}
		const delivery = readReply(reply);
		if (!delivery) return;
		if (delivery.number !== this.lastDelivery + 1) {
			void this.restart();
			return;
		}
		this.lastDelivery = delivery.number;
		this.pending = delivery.pending;
		const arrived = readArrived({sequence: delivery.sequence, subject: reply as string, generation}, headers, data);
		const known = this.inHand.get(keyOf(arrived));
		if (known) {
			if (known.receipt.sequence !== delivery.sequence) known.copies.push(known.receipt);
			known.receipt = arrived.receipt;
			// It may be confirmed by another way at this moment: this delivery wants to be, too.
			if (this.confirmations.includes(known)) message.respond('+ACK');
			return;
		}
		arrived.index = ++this.lastIndex;
		this.inHand.set(keyOf(arrived), arrived);
		const taken = this.order.take(arrived);
		if (!taken) {
			this.confirmations.add([arrived]);
			return;
		}
		this.ready.push(...taken.ready);
		this.confirmations.add(taken.dropped);
		this.wake();
	}

	private confirmWritten(indexes: readonly number[]): void {
		for (const index of indexes) {
			const arrived = this.given.get(index);
			this.given.delete(index);
			if (arrived) this.confirmations.add([arrived]);
		}
	}

	/** What has come, as much as there is room for, or one message; nothing when nothing came in time. `written` has been written to the end. */
	async receive(written: readonly number[], timeoutMs: number): Promise<PipeBatch> {
		this.confirmWritten(written);
		const end = timeoutMs < 0 ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
		while (this.ready.length === 0 && this.cutShort.length === 0) {
			if (this.failure) throw this.failure;
			// To wait for other senders would be in vain.
			if (this.isRemoved && this.hasToldOver && !this.hasTriedToLeave) throw new Refused(removed);
			if (this.signal.aborted || this.isRemoved) break;
			const leftMs = end - performance.now();
			if ((leftMs <= 0 && !this.willCome) || (this.isOver && !this.hasToldOver)) break;
			const woken = new Promise<void>((resolve) => {
				this.wake = resolve;
			});
			const over = new AbortController();
			const stop = () => over.abort();
			this.signal.addEventListener('abort', stop, {once: true});
			await Promise.race([woken, sleep(Math.max(20, Math.min(leftMs, 2 ** 30)), over.signal)]);
			this.signal.removeEventListener('abort', stop);
			stop();
		}
		this.hasTriedToLeave = false;
		return this.takeBatch();
	}

	/** What is stored already counts as being there, if it can come. */
	private get willCome(): boolean {
		if (!this.stream.connection.isConnected || this.inHand.size >= this.mostInHand) return false;
		return this.pending > 0 || this.isRestarting;
	}

	private takeBatch(): PipeBatch {
		let total = 0;
		let count = 0;
		for (const arrived of this.ready) {
			const {length} = this.dataOf(arrived);
			if (count > 0 && total + length > this.room.length) break;
			total += length;
			count++;
		}
		const bytes = total <= this.room.length ? this.room.subarray(0, total) : new Uint8Array(total);
		const pieces = new Float64Array(2 * count);
		let [at, finished] = [0, 0];
		for (const [i, arrived] of this.ready.splice(0, count).entries()) {
			const data = this.dataOf(arrived);
			bytes.set(data, at);
			at += data.length;
			// It is not needed any more, and the message may stay in hand for a while.
			arrived.data = nothing;
			pieces.set([arrived.index, at], 2 * i);
			this.given.set(arrived.index, arrived);
			const sender = this.order.senders.get(arrived.sender) as SenderState;
			sender.bytes += data.length;
			if (arrived.mark === 'end') finished++;
			if (arrived.mark === 'left') this.cut(sender);
			else sender.isOpen = arrived.mark !== 'end';
		}
		this.hasToldOver = this.isOver;
		return {bytes, pieces, finished, cutShort: this.cutShort.splice(0), isOver: this.hasToldOver};
	}

	/** Nothing more is stored, and no sender is known that will send more. */
	private get isOver(): boolean {
		return this.hasAll && !this.isRestarting;
	}

	private get hasAll(): boolean {
		if (this.ready.length > 0 || this.pending > 0) return false;
		const senders = [...this.order.senders.values()];
		return senders.length > 0 && !senders.some(({isOpen}) => isOpen);
	}

	private dataOf({mark, data, receipt}: Arrived): Uint8Array {
		if (mark === 'begin' || mark === 'left') return nothing;
		return receipt.sequence === this.partlyRead?.sequence ? data.subarray(this.partlyRead.bytes) : data;
	}

	private cut(sender: SenderState): void {
		sender.isOpen = false;
		this.cutShort.push({...sender.user, bytes: sender.bytes});
	}

	private async look(): Promise<void> {
		try {
			await this.tick();
		} catch (error) {
			const reason = refusalOf(error)?.reason ?? '';
			if (!['timeout', 'no-jetstream', 'no-consumer'].includes(reason)) this.fail(error);
		}
	}

	private async tick(): Promise<void> {
		const {connection} = this.stream;
		if (!connection.isConnected || this.isRestarting) return;
		if (performance.now() - this.lastHeardAt > 3 * heartbeatMs) return this.restart();
		if (this.ready.length > 0) return;
		if (this.pending > 0) await this.countPending();
		const gaps = this.given.size === 0 ? await this.gaps.ask(this.generation) : 'nothing';
		if (this.pending === 0 && gaps === 'gone') return this.restart();
		if (this.pending === 0 && gaps === 'lost')
			refuse('lost', 'the servers have lost a part of it that its sender does not have any more');
		if (await this.isStuck()) return this.restart();
		if (this.pending > 0) return;
		if (this.generation > 1 && (await this.hasLeftovers())) return this.restart();
		// Where nothing can be asked for, a later message tells what an earlier reader has had.
		if (gaps !== 'nothing' || (this.order.heldCount > 0 && this.order.missing().length === 0))
			await this.stream.makeRoom();
		for (const sender of this.order.senders.values())
			if ((sender.isOpen || sender.held.size > 0) && performance.now() - sender.lastHeardAt > 2 * tickMs)
				await this.lookAfter(sender);
	}

	/**
	 * Nothing can be handed on, and nothing comes although something is stored: what would have come may have been lost on the way, or
	 * the server waits for the confirmation of what waits here for an earlier message.
	 */
	private async isStuck(): Promise<boolean> {
		const now = performance.now();
		const isBusy = this.ready.length > 0 || this.given.size > 0 || this.confirmations.areUnderWay;
		if (isBusy || this.lastSeen.index !== this.lastIndex) {
			this.lastSeen = {index: this.lastIndex, at: now};
			this.quietMs = shortestQuietMs;
			if (isBusy) return false;
		}
		if (this.inHand.size >= this.mostInHand) return true;
		if (now - this.lastSeen.at < this.quietMs) return false;
		this.lastSeen.at = now;
		this.quietMs = Math.min(2 * this.quietMs, longestQuietMs);
		if (this.pending > 0 || this.inHand.size > 0) return true;
		const {lastIndex} = this;
		const {state} = await this.stream.info();
		return state.messages > 0 && lastIndex === this.lastIndex;
	}

	/**
	 * A leader that dies may take along that a message was confirmed, so that it stays in the stream and no consumer delivers it any
	 * more, but a new one does: and we know that we had it.
	 */
	private async hasLeftovers(): Promise<boolean> {
		if (this.inHand.size > 0) return false;
		const {state} = await this.stream.info();
		return state.messages > 0 && this.inHand.size === 0 && this.pending === 0 && this.ready.length === 0;
	}

	/** Messages that were deleted before they were delivered do not come. */
	private async countPending(): Promise<void> {
		const {lastDelivery, generation} = this;
		const {consumers} = await this.stream.connection.streams();
		const {num_pending} = await consumers.info(streamOf(this.name), this.consumer);
		if (lastDelivery !== this.lastDelivery || generation !== this.generation) return;
		this.pending = num_pending;
		this.wake();
	}

	/** A sender that has not answered for long enough has died. */
	private async lookAfter(sender: SenderState): Promise<void> {
		const answers = await this.stream.answers(writerSubject(this.name, sender.id));
		if (answers !== false) {
			sender.missingSince = undefined;
			return;
		}
		sender.missingSince ??= performance.now();
		const graceMs = this.generation > 1 ? senderGraceMs.afterTrouble : senderGraceMs.usually;
		if (performance.now() - sender.missingSince < graceMs || this.pending > 0) return;
		this.confirmations.add(this.order.dropHeld(sender));
		if (sender.isOpen) this.cut(sender);
		this.wake();
	}

	/**
	 * Stops being the reader, unless a sender has found us meanwhile: false. With `isTemporary` the pipe is removed, unless it is
	 * needed.
	 */
	async leave(written: readonly number[]): Promise<boolean> {
		this.confirmWritten(written);
		this.hasTriedToLeave = true;
		if (this.isRemoved) {
			await this.finish();
			return true;
		}
		await this.confirmations.done();
		if (this.failure) throw this.failure;
		this.presence?.unsubscribe();
		const hasWriter = await this.stream.answers(writersSubject(this.name));
		const info = await this.stream.tryInfo();
		if (hasWriter !== false || (info?.state.messages ?? 0) > 0) {
			await this.answer();
			if (hasWriter === false && this.isOver) await this.restart();
			return false;
		}
		await this.finish();
		if (info && readDescription(info.config.description).isTemporary) await this.stream.remove().catch(() => undefined);
		return true;
	}

	/** Stops in the middle: of the first message that was not written to the end, the other thread knows how much was read. */
	async stop(written: readonly number[], partlyRead: {index: number; bytes: number} | undefined): Promise<void> {
		const arrived = partlyRead && this.given.get(partlyRead.index);
		this.confirmWritten(written);
		await this.confirmations.done();
		if (partlyRead && arrived) {
			const {sequence} = arrived.receipt;
			const before = this.partlyRead?.sequence === sequence ? this.partlyRead.bytes : 0;
			await this.stream.describe({partlyRead: {sequence, bytes: before + partlyRead.bytes}});
		}
		await this.finish();
		const info = await this.stream.tryInfo();
		if (!info || info.state.messages > 0 || !readDescription(info.config.description).isTemporary) return;
		if ((await this.stream.answers(writersSubject(this.name))) === false)
			await this.stream.remove().catch(() => undefined);
	}

	private async finish(): Promise<void> {
		clearInterval(this.ticker);
		this.presence?.unsubscribe();
		this.deliveries?.unsubscribe();
		if (this.consumer !== '') await this.stream.removeReader(this.consumer);
		this.consumer = '';
		this.generation = 0;
	}

	private async close(): Promise<void> {
		if (this.consumer !== '') await this.finish();
		clearInterval(this.ticker);
	}
}
