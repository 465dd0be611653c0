import {AckPolicy} from '@nats-io/jetstream';
import {createInbox, type Msg, nuid, type Subscription} from '@nats-io/transport-node';
import {
	ackWaitMs,
	allSubjectsOf,
	consumerOf,
	priorityOf,
	streamOf,
	subjectOf,
	withoutMark,
} from '../../queue/format.js';
import {type Connection, requestTimeoutMs, sleep} from '../connection.js';
import {Refused, refusalOf} from '../errors.js';

const ns = (ms: number): number => ms * 1_000_000;
/** How long a pull request lives; meanwhile the server reports now and then that it still has it. */
const pullMs = 30_000;
const heartbeatMs = 2000;
/** How many confirmed messages are remembered. */
const mostConfirmed = 65_536;

export interface Arrived {
	data: Uint8Array;
	priority: number;
	/** Where to confirm it: the message's own reply subject. */
	receipt: string;
}

/** A request for messages, until it is used up. */
interface Pull {
	priority: number;
	left: number;
	/** The server has said that there is no more. */
	end(): void;
	lastHeardAt: number;
}

/**
 * Receives from one queue. Each priority has a consumer of its own on the server, shared by all receivers. What has arrived stays ours
 * until it is confirmed or given back: meanwhile the server is told now and then that it is being worked on.
 */
export class QueueConsumer {
	private readonly inbox = createInbox();
	private subscription: Subscription | undefined;
	private denied: Error | undefined;
	private readonly pulls = new Map<string, Pull>();
	private readonly known = new Set<number>();
	/** By receipt: the identity of the message. */
	private readonly inHand = new Map<string, string>();
	/** By identity: where the message lies in the stream. */
	private readonly places = new Map<string, string>();
	/**
	 * The identities of the last ones, in order: after a lost connection the server may deliver a message again whose confirmation
	 * got lost, and may store one again that its sender has sent again.
	 */
	private readonly confirmed = new Set<string>();
	/** Receipts of confirmed messages of which the server may not know, since the connection was lost. */
	private readonly unheard = new Set<string>();
	/** What has arrived and no call has taken yet. */
	private readonly ready: Arrived[] = [];
	/** Set while a call waits: what arrives is taken, and the call is told. */
	private onArrival: (() => void) | undefined;
	private marker: NodeJS.Timeout | undefined;

	constructor(
		private readonly connection: Connection,
		private readonly name: string,
	) {
		connection.onClose.add(() => this.giveBackAll());
		connection.onReconnect.add(() => void this.confirmUnheard());
		connection.onDenied.add((error) => {
			// To ask for messages, or to confirm them.
			if (error.operation !== 'publish' || !error.subject.includes(`.${streamOf(name)}.`)) return;
			this.denied ??= error;
			for (const {end} of this.pulls.values()) end();
		});
	}

	/** Up to `most` messages, the highest priority first; none when there was none in time (negative: without limit). */
	async receive(most: number, timeoutMs: number): Promise<Arrived[]> {
		const end = timeoutMs < 0 ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
		const stop = new AbortController();
		this.stopWaiting = () => stop.abort();
		const isOver = () => performance.now() >= end || this.isStopped || stop.signal.aborted;
		try {
			for (;;) {
				await this.connection.retry(() => this.takeAvailable(most), timeoutMs, stop.signal);
				if (this.denied) throw this.denied;
				if (this.ready.length === 0 && !isOver()) await this.waitForArrival(end, stop.signal);
				if (this.ready.length > 0) return this.takeReady(most);
				if (isOver()) return [];
			}
		} catch (error) {
			// There is no server at this moment.
			if (stop.signal.aborted && refusalOf(error)?.reason === 'timeout') return [];
			throw error;
		} finally {
			this.stopWaiting = () => {};
		}
	}

	/** Ends the current call, also while there is no server. */
	stopWaiting: () => void = () => {};

	private get isStopped(): boolean {
		return this.connection.closing.signal.aborted;
	}

	private takeReady(most: number): Arrived[] {
		const sorted = this.ready.splice(0).sort((a, b) => b.priority - a.priority);
		// Two requests may have been answered at once.
		void this.giveBack(sorted.slice(most).map(({receipt}) => receipt));
		return sorted.slice(0, most);
	}

	/** What there is now, the highest priority first. */
	private async takeAvailable(most: number): Promise<void> {
		const counts = await this.countByPriority();
		await this.listen();
		for (const [priority, count] of [...counts].sort(([a], [b]) => b - a)) {
			const wanted = Math.min(most - this.ready.length, count);
			if (wanted > 0) await this.pull(priority, wanted);
		}
	}

	/** Messages in the stream by priority, those that receivers have in hand too. */
	private async countByPriority(): Promise<Map<number, number>> {
		const {streams} = await this.connection.streams();
		const {state} = await streams.info(streamOf(this.name), {subjects_filter: allSubjectsOf(this.name)});
		const counts = new Map<number, number>();
		for (const [subject, count] of Object.entries(state.subjects ?? {})) {
			const priority = priorityOf(subject);
			if (priority !== undefined) counts.set(priority, count);
		}
		return counts;
	}

	private async pull(priority: number, batch: number): Promise<void> {
		await this.needConsumer(priority);
		this.onArrival = () => {};
		let timer: NodeJS.Timeout | undefined;
		let giveUp = (): void => {};
		let token = '';
		try {
			await new Promise<void>((resolve, reject) => {
				giveUp = () => reject(new Refused({reason: 'timeout', text: 'the cluster does not answer'}));
				timer = setTimeout(giveUp, requestTimeoutMs);
				this.connection.onReconnect.add(giveUp);
				token = this.request(priority, batch, {no_wait: true}, resolve);
			});
		} catch (error) {
			if (this.ready.length === 0) throw error;
		} finally {
			clearTimeout(timer);
			this.pulls.delete(token);
			this.connection.onReconnect.delete(giveUp);
			this.onArrival = undefined;
		}
	}

	/**
	 * Waits for a message: at the consumers that there are, and, for a priority that has none yet or a message that is new, at the
	 * subjects of the stream.
	 */
	private async waitForArrival(end: number, stop: AbortSignal): Promise<void> {
		const client = await this.connection.client();
		let wake = (): void => {};
		const woken = new Promise<void>((resolve) => {
			wake = resolve;
		});
		this.onArrival = wake;
		stop.addEventListener('abort', wake, {once: true});
		this.connection.onReconnect.add(wake);
		// A message of a known priority wakes us by its consumer; the copy that comes here is for the others.
		const news = client.subscribe(allSubjectsOf(this.name), {
			callback: (error, {subject}) => {
				const priority = error ? undefined : priorityOf(subject);
				if (priority !== undefined && !this.isPulling(priority)) wake();
			},
		});
		const silence = setInterval(() => {
			if (this.forgetSilentPulls()) wake();
		}, heartbeatMs);
		try {
			// The subscription is there once the answer to what follows it is.
			const counts = await this.countByPriority();
			for (const priority of counts.keys()) await this.needConsumer(priority);
			for (const priority of this.known) {
				if (this.isPulling(priority)) continue;
				this.request(priority, 1, {expires: ns(pullMs), idle_heartbeat: ns(heartbeatMs)}, wake);
			}
			await Promise.race([
				woken,
				sleep(Math.min(end - performance.now(), 2 ** 31 - 1), this.connection.closing.signal),
			]);
		} catch (error) {
			// The next round asks again.
			if (refusalOf(error)?.reason !== 'timeout') throw error;
		} finally {
			clearInterval(silence);
			this.onArrival = undefined;
			stop.removeEventListener('abort', wake);
			this.connection.onReconnect.delete(wake);
			news.unsubscribe();
		}
	}

	private isPulling(priority: number): boolean {
		return [...this.pulls.values()].some((pull) => pull.priority === priority);
	}

	/** Requests of which the server has said nothing for too long: it has lost them. */
	private forgetSilentPulls(): boolean {
		const before = this.pulls.size;
		for (const [token, {lastHeardAt}] of this.pulls)
			if (performance.now() - lastHeardAt > 3 * heartbeatMs) this.pulls.delete(token);
		return this.pulls.size < before;
	}

	private async needConsumer(priority: number): Promise<void> {
		if (this.known.has(priority)) return;
		const {consumers} = await this.connection.streams();
		// The same settings each time: where the consumer is there already this changes nothing.
		await consumers.add(streamOf(this.name), {
			durable_name: consumerOf(priority),
			filter_subject: subjectOf(this.name, priority),
			ack_policy: AckPolicy.Explicit,
			ack_wait: ns(ackWaitMs),
			max_deliver: -1,
			max_ack_pending: 65_536,
		});
		this.known.add(priority);
	}

	private async listen(): Promise<void> {
		if (this.subscription) return;
		const client = await this.connection.client();
		this.subscription = client.subscribe(`${this.inbox}.*`, {callback: (_, message) => this.take(message)});
		this.marker = setInterval(() => this.mark(), ackWaitMs / 3);
	}

	private request(priority: number, batch: number, more: object, end: () => void): string {
		const token = nuid.next();
		this.pulls.set(token, {priority, left: batch, end, lastHeardAt: performance.now()});
		void this.connection
			.client()
			.then((client) =>
				client.publish(
					`$JS.API.CONSUMER.MSG.NEXT.${streamOf(this.name)}.${consumerOf(priority)}`,
					JSON.stringify({batch, ...more}),
					{reply: `${this.inbox}.${token}`},
				),
			);
		return token;
	}

	/** A message, or what the server says about a request. */
	private take(message: Msg): void {
		const {headers, reply} = message;
		if (headers && headers.code >= 100) {
			const token = message.subject.slice(this.inbox.length + 1);
			const pull = this.pulls.get(token);
			if (!pull) return;
			pull.lastHeardAt = performance.now();
			if (headers.code === 100) return;
			this.pulls.delete(token);
			// The consumer has been removed: the next request makes it again.
			if (headers.code === 409 || headers.code === 503) this.known.delete(pull.priority);
			pull.end();
			return;
		}
		const known = reply && readReceipt(reply);
		if (!reply || !known) return;
		const {priority, place} = known;
		const identity = withoutMark(headers?.get('Nats-Msg-Id') || place);
		// A message comes with the subject that it was sent to: of the requests at its consumer the server answers the oldest first.
		const [token, pull] = [...this.pulls].find(([, each]) => each.priority === priority) ?? [];
		if (token && pull) {
			pull.lastHeardAt = performance.now();
			if (--pull.left === 0) this.pulls.delete(token);
		}
		const placeInHand = this.places.get(identity);
		if (this.confirmed.has(identity)) void this.answer(reply, '+ACK');
		else if (placeInHand !== undefined) {
			// It is being worked on: a copy is not needed, and what the server delivers again after a lost connection is the same message.
			if (placeInHand !== place) void this.answer(reply, '+ACK');
		} else if (this.onArrival) {
			this.inHand.set(reply, identity);
			this.places.set(identity, place);
			this.ready.push({data: message.data, priority, receipt: reply});
			this.onArrival();
			// Too late: no call waits any more.
		} else void this.answer(reply, '-NAK');
		if (pull?.left === 0) pull.end();
	}

	private mark(): void {
		for (const receipt of this.inHand.keys()) void this.answer(receipt, '+WPI');
	}

	private async answer(receipt: string, what: '+ACK' | '-NAK' | '+WPI'): Promise<void> {
		(await this.connection.client()).publish(receipt, what);
	}

	/** They are done: the server deletes them. Waits until the server has heard it. */
	async confirm(receipts: readonly string[]): Promise<void> {
		for (const receipt of receipts) {
			const identity = this.letGo(receipt);
			if (identity !== undefined) this.confirmed.add(identity);
		}
		for (const identity of this.confirmed) {
			if (this.confirmed.size <= mostConfirmed) break;
			this.confirmed.delete(identity);
		}
		for (const receipt of receipts) this.unheard.add(receipt);
		await this.confirmUnheard();
		if (this.denied) throw this.denied;
	}

	private letGo(receipt: string): string | undefined {
		const identity = this.inHand.get(receipt);
		this.inHand.delete(receipt);
		if (identity !== undefined) this.places.delete(identity);
		return identity;
	}

	/** They go to the next receiver, this one too. */
	async giveBack(receipts: readonly string[]): Promise<void> {
		const held = receipts.filter((receipt) => this.letGo(receipt) !== undefined);
		await this.sendAll(held, '-NAK');
	}

	/** Where the connection is lost meanwhile the server delivers them again. */
	private async sendAll(receipts: readonly string[], what: '+ACK' | '-NAK'): Promise<boolean> {
		if (receipts.length === 0) return true;
		if (!this.connection.isConnected) return false;
		const client = await this.connection.client();
		for (const receipt of receipts) client.publish(receipt, what);
		return this.connection.flush();
	}

	private async confirmUnheard(): Promise<void> {
		const receipts = [...this.unheard];
		if (await this.sendAll(receipts, '+ACK')) for (const receipt of receipts) this.unheard.delete(receipt);
	}

	private async giveBackAll(): Promise<void> {
		clearInterval(this.marker);
		await this.giveBack([...this.inHand.keys()]);
		await this.confirmUnheard();
		const count = this.unheard.size;
		if (count > 0)
			this.connection.tell(
				`the cluster did not hear that ${count === 1 ? 'a message was' : `${count} messages were`} delivered: it delivers ${count === 1 ? 'it' : 'them'} again`,
			);
		this.subscription?.unsubscribe();
	}
}

/**
 * A receipt is a subject: $JS.ACK…CONSUMER.DELIVERIES.SEQUENCE.…: the name of the consumer tells the priority; the message's number in
 * the stream and when it was stored tell its place.
 */
function readReceipt(receipt: string): {priority: number; place: string} | undefined {
	const [, priority, sequence, stored] = /\.p([0-9]{5})\.[0-9]+\.([0-9]+)\.[0-9]+\.([0-9]+)\./.exec(receipt) ?? [];
	return priority === undefined ? undefined : {priority: Number(priority), place: `${sequence}.${stored}`};
}
