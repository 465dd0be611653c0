import {AckPolicy} from '@nats-io/jetstream';
import {createInbox, type Msg, nuid, type Subscription} from '@nats-io/transport-node';
import {ackWaitMs, allSubjectsOf, consumerOf, priorityOf, streamOf, subjectOf} from '../queue/format.js';
import {type Connection, requestTimeoutMs, sleep} from './connection.js';
import {Refused} from './errors.js';

const ns = (ms: number): number => ms * 1_000_000;
/** How long a pull request lives; meanwhile the server reports now and then that it still has it. */
const pullMs = 30_000;
const heartbeatMs = 2000;

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
	private readonly pulls = new Map<string, Pull>();
	private readonly known = new Set<number>();
	private readonly inHand = new Set<string>();
	private arrived: Arrived[] = [];
	/** Set while a call waits: what arrives is taken, and the call is told. */
	private onArrival: (() => void) | undefined;
	private marker: NodeJS.Timeout | undefined;

	constructor(
		private readonly connection: Connection,
		private readonly name: string,
	) {
		connection.onClose.add(() => this.giveBackAll());
	}

	/** Up to `most` messages, the highest priority first; none when there was none in time (negative: without limit). */
	async receive(most: number, timeoutMs: number): Promise<Arrived[]> {
		const end = timeoutMs < 0 ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
		for (;;) {
			const got = await this.connection.retry(() => this.takeAvailable(most), timeoutMs);
			if (got.length > 0) return got;
			if (performance.now() >= end || this.isStopped) return [];
			const waited = await this.waitForArrival(most, end);
			if (waited.length > 0) return waited;
			if (performance.now() >= end || this.isStopped) return [];
		}
	}

	/** Ends the wait of the current call. */
	stopWaiting: () => void = () => {};

	private get isStopped(): boolean {
		return this.connection.closing.signal.aborted;
	}

	private async takeAvailable(most: number): Promise<Arrived[]> {
		const counts = await this.countByPriority();
		await this.listen();
		const taken: Arrived[] = [];
		for (const [priority, count] of [...counts].sort(([a], [b]) => b - a)) {
			if (taken.length >= most) break;
			const wanted = Math.min(most - taken.length, count);
			taken.push(...(await this.pull(priority, wanted)));
		}
		// An earlier request may have been answered as well.
		await this.giveBack(taken.splice(most).map(({receipt}) => receipt));
		return taken;
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

	/** What there is now. */
	private async pull(priority: number, batch: number): Promise<Arrived[]> {
		await this.needConsumer(priority);
		const before = this.arrived;
		this.arrived = [];
		this.onArrival = () => {};
		try {
			await new Promise<void>((resolve, reject) => {
				const timer = setTimeout(() => {
					this.pulls.delete(token);
					if (this.arrived.length > 0) resolve();
					else reject(new Refused({reason: 'timeout', text: 'the cluster does not answer'}));
				}, requestTimeoutMs);
				const token = this.request(priority, batch, {no_wait: true}, () => {
					clearTimeout(timer);
					resolve();
				});
			});
			return this.arrived;
		} finally {
			this.arrived = before;
			this.onArrival = undefined;
		}
	}

	/**
	 * Waits for a message: at the consumers that there are, and, for a priority that has none yet or a message that is new, at the
	 * subjects of the stream.
	 */
	private async waitForArrival(most: number, end: number): Promise<Arrived[]> {
		const client = await this.connection.client();
		this.arrived = [];
		let wake = (): void => {};
		const woken = new Promise<void>((resolve) => {
			wake = resolve;
		});
		this.onArrival = wake;
		this.stopWaiting = wake;
		this.connection.onReconnect.add(wake);
		// A message of a known priority wakes us by its consumer; the copy that comes here is for the others.
		const news = client.subscribe(allSubjectsOf(this.name), {
			callback: (_, {subject}) => {
				const priority = priorityOf(subject);
				if (priority !== undefined && !this.isPulling(priority)) wake();
			},
		});
		try {
			await this.connection.retry(() => client.flush());
			const counts = await this.connection.retry(() => this.countByPriority());
			for (const priority of counts.keys()) await this.needConsumer(priority);
			for (const priority of this.known) {
				if (this.isPulling(priority)) continue;
				this.request(priority, 1, {expires: ns(pullMs), idle_heartbeat: ns(heartbeatMs)}, wake);
			}
			const silence = setInterval(() => {
				if (this.forgetSilentPulls()) wake();
			}, heartbeatMs);
			await Promise.race([
				woken,
				sleep(Math.min(end - performance.now(), 2 ** 31 - 1), this.connection.closing.signal),
			]);
			clearInterval(silence);
			const arrived = this.arrived.sort((a, b) => b.priority - a.priority);
			for (const {receipt} of arrived.slice(most)) this.giveBack([receipt]);
			return arrived.slice(0, most);
		} finally {
			this.arrived = [];
			this.onArrival = undefined;
			this.stopWaiting = () => {};
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
		const priority = reply && priorityOfReceipt(reply);
		if (!reply || priority === undefined || priority === '') return;
		// A message comes with the subject that it was sent to: of the requests at its consumer the server answers the oldest first.
		const [token, pull] = [...this.pulls].find(([, each]) => each.priority === priority) ?? [];
		if (token && pull) {
			pull.lastHeardAt = performance.now();
			if (--pull.left === 0) this.pulls.delete(token);
		}
		if (this.onArrival) {
			this.inHand.add(reply);
			this.arrived.push({data: message.data, priority, receipt: reply});
			this.onArrival();
			// Too late: no call waits any more.
		} else void this.answer(reply, '-NAK');
		if (pull?.left === 0) pull.end();
	}

	private mark(): void {
		for (const receipt of this.inHand) void this.answer(receipt, '+WPI');
	}

	private async answer(receipt: string, what: '+ACK' | '-NAK' | '+WPI'): Promise<void> {
		(await this.connection.client()).publish(receipt, what);
	}

	/** They are done: the server deletes them. Waits until the server has heard it. */
	async confirm(receipts: readonly string[]): Promise<void> {
		const client = await this.connection.client();
		for (const receipt of receipts) {
			this.inHand.delete(receipt);
			client.publish(receipt, '+ACK');
		}
		await client.flush();
	}

	/** They go to the next receiver, this one too. */
	async giveBack(receipts: readonly string[]): Promise<void> {
		const client = await this.connection.client();
		for (const receipt of receipts) if (this.inHand.delete(receipt)) client.publish(receipt, '-NAK');
		await client.flush();
	}

	private async giveBackAll(): Promise<void> {
		clearInterval(this.marker);
		await this.giveBack([...this.inHand]);
		this.subscription?.unsubscribe();
	}
}

/** The name of the consumer, which is in the subject of a receipt, tells the priority. */
function priorityOfReceipt(receipt: string): number | undefined {
	const digits = /\.p([0-9]{5})\./.exec(receipt)?.[1];
	return digits === undefined ? undefined : Number(digits);
}
