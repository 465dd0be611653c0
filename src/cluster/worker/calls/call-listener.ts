import {Empty, headers, type Msg, type NatsConnection} from '@nats-io/transport-node';
import type {CallMessage} from '../../../objects/socket/call-places.js';
import {type Answers, queueGroup, signIntervalMs, signsHeader, subjectOf, workingStatus} from '../../calls/format.js';

interface OpenMessage {
	reply: string;
	wantsSigns: boolean;
}

/** The server's side of calls: takes messages, and keeps where the answers go. */
export class CallListener {
	private arrived: CallMessage[] = [];
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
		// A copy: it lies in what was read from the connection.
		this.arrived.push({bytes: new Uint8Array(data), receipt});
	}

	/** Waits for messages; none once it has been stopped. */
	async receive(): Promise<CallMessage[]> {
		while (this.arrived.length === 0 && !this.isStopped && !this.problem)
			await new Promise<void>((resolve) => {
				this.wake = resolve;
			});
		if (this.problem) throw this.problem;
		const {arrived} = this;
		this.arrived = [];
		return arrived;
	}

	answer(answers: Answers): void {
		for (const [receipt, text] of answers) {
			const {reply = ''} = this.open.get(receipt) ?? {};
			this.open.delete(receipt);
			if (reply !== '' && text !== undefined) this.client.publish(reply, text);
		}
	}

	private giveSigns(): void {
		for (const {reply, wantsSigns} of this.open.values())
			if (wantsSigns) this.client.publish(reply, Empty, {headers: this.working});
	}

	async stop(): Promise<CallMessage[]> {
		this.subscription.unsubscribe();
		await this.client.flush();
		this.isStopped = true;
		const {arrived} = this;
		this.arrived = [];
		this.wake?.();
		return arrived;
	}

	close(): void {
		clearInterval(this.signing);
	}
}
