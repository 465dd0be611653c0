import {Empty, headers, type Msg, type NatsConnection} from '@nats-io/transport-node';
import type {CallMessage} from '../../../objects/socket/call-places.js';
import {queueGroup, signIntervalMs, signsHeader, subjectOf, workingStatus} from '../../calls/format.js';
import type {Connection} from '../connection.js';
import {refusalOf} from '../errors.js';

/** How long an answer may wait for the next one, while others are due: they are sent together. */
const holdMs = 1;

interface OpenMessage {
	reply: string;
	wantsSigns: boolean;
}

/** The server's side of calls: takes messages, and keeps where the answers go. */
export class CallListener {
	private arrived: CallMessage[] = [];
	private readonly open = new Map<number, OpenMessage>();
	private answers: {reply: string; text: string}[] = [];
	private sending: NodeJS.Timeout | undefined;
	private lastReceipt = 0;
	private wake: (() => void) | undefined;
	private isStopped = false;
	private problem: Error | undefined;
	private readonly subscription;
	private readonly signing: NodeJS.Timeout;
	private readonly working = headers(workingStatus, 'Working');

	private constructor(
		private readonly connection: Connection,
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
	static async listen(connection: Connection, name: string): Promise<CallListener> {
		const client = await connection.client();
		const listener = new CallListener(connection, client, name);
		await client.flush();
		if (listener.problem) throw listener.problem;
		return listener;
	}

	private take({data, reply = '', headers: head}: Msg): void {
		const receipt = ++this.lastReceipt;
		this.open.set(receipt, {reply, wantsSigns: reply !== '' && head?.has(signsHeader) === true});
		// Not copied: the client reads each piece of the connection into memory of its own.
		this.arrived.push({bytes: data, receipt});
	}

	/** The maximum size of an answer. */
	get mostBytes(): number {
		return this.client.info?.max_payload ?? 1024 ** 2;
	}

	/** Waits for messages; none once it has been stopped. */
	async receive(): Promise<CallMessage[]> {
		while (this.arrived.length === 0 && !this.isStopped && !this.problem)
			await new Promise<void>((resolve) => {
				this.wake = resolve;
			});
		if (this.problem) throw this.problem;
		return this.takeArrived();
	}

	private takeArrived(): CallMessage[] {
		const {arrived} = this;
		this.arrived = [];
		return arrived;
	}

	/** `text` is undefined for a message that gets no answer. */
	answer(receipt: number, text: string | undefined): void {
		const {reply = ''} = this.open.get(receipt) ?? {};
		this.open.delete(receipt);
		if (reply !== '' && text !== undefined) this.answers.push({reply, text});
		if (this.open.size === 0) this.sendAnswers();
		else this.sending ??= setTimeout(() => this.sendAnswers(), holdMs);
	}

	private sendAnswers(): void {
		clearTimeout(this.sending);
		this.sending = undefined;
		const {answers} = this;
		this.answers = [];
		try {
			for (const {reply, text} of answers) this.client.publish(reply, text);
		} catch (error) {
			const refusal = refusalOf(error);
			if (!refusal) throw error;
			this.connection.tell(refusal.text);
		}
	}

	private giveSigns(): void {
		for (const {reply, wantsSigns} of this.open.values())
			if (wantsSigns) this.client.publish(reply, Empty, {headers: this.working});
	}

	/** Takes no more messages; those that have arrived and were not received. */
	async stop(): Promise<CallMessage[]> {
		this.subscription.unsubscribe();
		await this.client.flush();
		this.isStopped = true;
		const rest = this.takeArrived();
		this.wake?.();
		return rest;
	}

	close(): void {
		this.sendAnswers();
		clearInterval(this.signing);
	}
}
