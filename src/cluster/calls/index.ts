import {closeSync} from 'node:fs';
import {quoted} from '../../common/errors.js';
import type {ClusterAddress} from '../../common/formats/cluster-address.js';
import {isReady} from '../../common/waiting.js';
import {native, SHUT_WR, SOCK_NONBLOCK, SOCK_STREAM} from '../../native/index.js';
import {type CallListener, type CallMessage, type CallSocket, clusterCalls} from '../../objects/socket/call-places.js';
import {type Channel, closeChannel, openChannel} from '../channel.js';
import {attemptOnCluster} from '../refusal.js';
import type {CallMethods} from '../worker/calls/calls.js';
import type {Answers, ArrivedCalls} from './format.js';

/** Calls on a cluster: what src/objects/socket asks for by `clusterCalls`. */

/** How long an answer may wait for the next one. */
const holdMs = 1;

/** Requests and answers pass through a socket between this thread and that of the client: so a caller polls it as any other. */
class ClusterCallSocket implements CallSocket {
	readonly descriptor: number;
	private readonly channel: Channel;

	constructor(
		private readonly address: ClusterAddress,
		asksForSigns: boolean,
	) {
		const channel = openChannel(address);
		this.channel = channel;
		const [ours, theirs] = native.socketpair(SOCK_STREAM | SOCK_NONBLOCK);
		this.descriptor = ours;
		try {
			attemptOnCluster(this.tried, () =>
				channel.call<CallMethods, 'callsConnect'>('callsConnect', [address.name, theirs, asksForSigns]),
			);
		} catch (error) {
			this[Symbol.dispose]();
			throw error;
		}
	}

	private get tried(): string {
		return `cannot call ${quoted(this.shownName)}`;
	}

	get shownName(): string {
		return this.address.shown;
	}

	wait(events: number, timeoutMs: number): boolean {
		return isReady(this.descriptor, events, timeoutMs);
	}

	get endReason(): string | undefined {
		return this.channel.call<CallMethods, 'callsProblem'>('callsProblem', [])?.text;
	}

	confirm(timeoutMs: number): boolean {
		native.shutdown(this.descriptor, SHUT_WR);
		return attemptOnCluster(this.tried, () =>
			this.channel.call<CallMethods, 'callsConfirm'>('callsConfirm', [timeoutMs]),
		);
	}

	[Symbol.dispose](): void {
		closeSync(this.descriptor);
		closeChannel(this.channel);
	}
}

class ClusterCallListener implements CallListener {
	readonly mostBytes: number;
	private readonly channel: Channel;
	private answers: Answers = {receipts: [], texts: []};
	/** Messages without an answer. */
	private open = 0;

	constructor(private readonly address: ClusterAddress) {
		const channel = openChannel(address);
		this.channel = channel;
		try {
			this.mostBytes = this.attempt(() => channel.call<CallMethods, 'callsListen'>('callsListen', [address.name]));
		} catch (error) {
			closeChannel(channel);
			throw error;
		}
	}

	get shownName(): string {
		return this.address.shown;
	}

	private attempt<Result>(call: () => Result): Result {
		return attemptOnCluster(`cannot serve ${quoted(this.shownName)}`, call);
	}

	async receive(): Promise<CallMessage[]> {
		try {
			const messages = messagesOf(await this.channel.callLater<CallMethods, 'callsReceive'>('callsReceive', []));
			this.open += messages.length;
			return messages;
		} catch (error) {
			return this.attempt(() => {
				throw error;
			});
		}
	}

	/** Answers cross to the other thread together, as long as others are due: each crossing takes longer than many a call. */
	answer(receipt: number, text: string | undefined): void {
		this.answers.receipts.push(receipt);
		this.answers.texts.push(text);
		this.open--;
		if (this.answers.texts.length > 1) return;
		if (this.open > 0) setTimeout(() => this.sendAnswers(), holdMs);
		else setImmediate(() => this.sendAnswers());
	}

	private sendAnswers(): void {
		const {answers} = this;
		this.answers = {receipts: [], texts: []};
		if (answers.texts.length > 0) this.channel.tell<CallMethods, 'callsAnswer'>('callsAnswer', [answers]);
	}

	async stop(): Promise<CallMessage[]> {
		return messagesOf(await this.channel.callLater<CallMethods, 'callsStop'>('callsStop', []));
	}

	async close(): Promise<void> {
		this.sendAnswers();
		await this.channel.callLater<CallMethods, 'callsClose'>('callsClose', []);
		closeChannel(this.channel);
	}
}

const messagesOf = ({bytes, ends, first}: ArrivedCalls): CallMessage[] =>
	Array.from(ends, (end, i) => ({bytes: bytes.subarray(i === 0 ? 0 : ends[i - 1], end), receipt: first + i}));

clusterCalls.register({
	connect: (address, {asksForSigns}) => new ClusterCallSocket(address, asksForSigns),
	listen: (address) => new ClusterCallListener(address),
});
