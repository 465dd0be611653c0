import {Empty, headers, type Msg, type NatsConnection} from '@nats-io/transport-node';
import {
	type Answers,
	type ArrivedCalls,
	queueGroup,
	signIntervalMs,
	signsHeader,
	subjectOf,
	workingStatus,
} from '../../calls/format.js';

interface OpenMessage {
	reply: string;
	wantsSigns: boolean;
}

/** The server's side of calls: takes messages, and keeps where the answers go. */
export class CallListener {
	private arrived: Uint8Array[] = [];
	private readonly open = new Map<number, OpenMessage>();
	private lastReceipt = 0;
	private wake: (() => void) | undefined;
	private isStopped = false;
	private problem: Error | undefined;
	private readonly subscription;
	private readonly signing: NodeJS.Timeout;
	private readonly working = headers(workingStatus, 'Working');

	private constructor(
		private readonly client: NatsConnection,
		name: string,
	) {
		this.subscription = client.subscribe(subjectOf(name), {
			queue: queueGroup,
			callback: (error, message) => {
				if (error) this.problem = error;
				else this.take(message);
				this.wake?.();
			},
		});
		this.signing = setInterval(() => this.giveSigns(), signIntervalMs);
	}

	/** Returns once the server knows of it. */
	static async listen(client: NatsConnection, name: string): Promise<CallListener> {
		const listener = new CallListener(client, name);
		await client.flush();
		if (listener.problem) throw listener.problem;
		return listener;
	}

	private take({data, reply = '', headers: head}: Msg): void {
		const receipt = ++this.lastReceipt;
		this.open.set(receipt, {reply, wantsSigns: reply !== '' && head?.has(signsHeader) === true});
		// Not copied: the client reads each piece of the connection into memory of its own.
		this.arrived.push(data);
	}

	/** Waits for messages; none once it has been stopped. */
	async receive(): Promise<ArrivedCalls> {
		while (this.arrived.length === 0 && !this.isStopped && !this.problem)
			await new Promise<void>((resolve) => {
				this.wake = resolve;
			});
		if (this.problem) throw this.problem;
		return this.takeArrived();
	}

	/** Together: each would cross to the other thread with memory of its own. */
	private takeArrived(): ArrivedCalls {
		const {arrived} = this;
		this.arrived = [];
		const bytes = new Uint8Array(arrived.reduce((sum, {length}) => sum + length, 0));
		const ends = new Uint32Array(arrived.length);
		let end = 0;
		for (const [i, data] of arrived.entries()) {
			bytes.set(data, end);
			end += data.length;
			ends[i] = end;
		}
		return {bytes, ends, first: this.lastReceipt - arrived.length + 1};
	}

	answer({receipts, texts}: Answers): void {
		for (const [i, receipt] of receipts.entries()) {
			const text = texts[i];
			const {reply = ''} = this.open.get(receipt) ?? {};
			this.open.delete(receipt);
			if (reply !== '' && text !== undefined) this.client.publish(reply, text);
		}
	}

	private giveSigns(): void {
		for (const {reply, wantsSigns} of this.open.values())
			if (wantsSigns) this.client.publish(reply, Empty, {headers: this.working});
	}

	async stop(): Promise<ArrivedCalls> {
		this.subscription.unsubscribe();
		await this.client.flush();
		this.isStopped = true;
		const rest = this.takeArrived();
		this.wake?.();
		return rest;
	}

	close(): void {
		clearInterval(this.signing);
	}
}
