import {jetstream} from '@nats-io/jetstream';
import {headers, nuid, type Subscription} from '@nats-io/transport-node';
import {
	longestWindow,
	type Mark,
	markHeader,
	messageId,
	newsSubject,
	type PipeEvent,
	type PipeSent,
	readerSubject,
	storedHeader,
	subjectOf,
	usualChunkBytes,
	usualSize,
	waitingSubject,
	writerSubject,
	writersSubject,
} from '../../pipe/format.js';
import {requestTimeoutMs, sleep} from '../connection.js';
import {Refused, refusalOf, removed} from '../errors.js';
import {readNumbers} from './pipe-order.js';
import {answerAt, ourselves, type PipeStream} from './pipe-stream.js';

const shortestPauseMs = 2;
const longestPauseMs = 50;
/** How often a sender that waits for a reader asks for one that it has not heard of. */
const askAgainMs = 1000;
/** How long the last word of a sender that stops early may take. */
const lastWordMs = 1000;
/** How long a sender stays for its reader after a leader has fallen. */
const lingerMs = 5000;

/** What was stored and is kept: as much as a pipe of the usual size holds, and a window more. */
const mostKeptBytes = usualSize + longestWindow * usualChunkBytes;
/** The same where several servers store it: when a leader falls they may lose many, and what they lose leaves room for more. */
const mostKeptOfSeveral = 8 * mostKeptBytes;
const mostKept = 4096;

interface Chunk {
	number: number;
	data: Uint8Array;
	mark?: Mark | undefined;
	/** How often it needed another id. */
	renamed: number;
	settle(isStored: boolean): void;
}

/** `staged`: a leader that has lost its place had the id and has not stored the message. */
type Outcome = 'stored' | 'full' | 'lost' | 'staged' | 'failed';

/**
 * Sends to one pipe. Several messages are under way at once, so that one may be stored before an earlier one that found no room: the
 * numbers in them tell the reader. A message whose answer got lost is sent again, and the server or the reader recognises it.
 */
export class PipeSender {
	private readonly id = nuid.next();
	private lastNumber = -1;
	private storedUpTo = -1;
	private readonly storedBeyond = new Set<number>();
	/** The last ones that were stored: a leader that falls may take along one of them. */
	private readonly kept = new Map<number, Chunk>();
	private keptBytes = 0;
	/** An answer got lost, or the connection. */
	private hadTrouble = false;
	/** Not under way, the lowest number first. */
	private waiting: Chunk[] = [];
	private readonly underWay = new Set<number>();
	private window = longestWindow;
	private isPausing = false;
	private pauseMs = shortestPauseMs;
	private lastProgressAt = 0;
	private timeoutMs = -1;
	private problem: PipeSent['problem'] = '';
	private failure: unknown;
	private state: 'waiting' | 'connected' | 'ended' = 'waiting';
	private subscriptions: Subscription[] = [];
	/** Ends the requests that the old connection has taken along. */
	private readonly onReconnect = new Set<() => void>();

	constructor(
		private readonly stream: PipeStream,
		/** How many servers store it. */
		private readonly replicas: number,
	) {
		const {connection} = stream;
		connection.onClose.add(() => this.leave());
		connection.onReconnect.add(() => {
			this.hadTrouble = true;
			for (const call of [...this.onReconnect]) call();
		});
	}

	private get name(): string {
		return this.stream.name;
	}

	private get signal(): AbortSignal {
		return this.stream.connection.closing.signal;
	}

	/** Waits for a reader: false when there was none in time. From then on the reader knows of us. */
	async connect(timeoutMs: number): Promise<boolean> {
		const {connection} = this.stream;
		const client = await connection.client();
		const end = timeoutMs < 0 ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
		let wake = (): void => {};
		const news = client.subscribe(newsSubject(this.name), {
			callback: (_, message) => {
				if (message.string() === ('reader' satisfies PipeEvent)) wake();
			},
		});
		const waiting = timeoutMs === 0 ? undefined : answerAt(client, waitingSubject(this.name));
		client.publish(newsSubject(this.name), 'writer' satisfies PipeEvent);
		try {
			for (;;) {
				const woken = new Promise<void>((resolve) => {
					wake = resolve;
				});
				// Before the reader is asked: one that is about to leave asks for us the other way round.
				this.subscriptions = [
					answerAt(client, writersSubject(this.name)),
					answerAt(client, writerSubject(this.name, this.id), (missing) => this.sendAgain(readNumbers(missing))),
				];
				// One that is there and does not answer is stopped, and still a reader.
				const isThere = await this.stream.answers(readerSubject(this.name));
				if (isThere !== false && connection.isConnected) break;
				for (const subscription of this.subscriptions.splice(0)) subscription.unsubscribe();
				const leftMs = end - performance.now();
				if (leftMs <= 0 || this.signal.aborted) return false;
				await Promise.race([woken, sleep(Math.min(askAgainMs, leftMs), this.signal)]);
			}
		} finally {
			news.unsubscribe();
			waiting?.unsubscribe();
		}
		this.state = 'connected';
		void this.add(new Uint8Array(Buffer.from(JSON.stringify(ourselves))), 'begin');
		return true;
	}

	/** Until all are stored, or there was no room, or no answer, for `timeoutMs` (negative: without limit). */
	async send(bytes: Uint8Array, ends: Uint32Array, timeoutMs: number): Promise<PipeSent> {
		this.timeoutMs = timeoutMs;
		const outcomes = await Promise.all(
			Array.from(ends, (end, i) => this.add(bytes.subarray(i === 0 ? 0 : ends[i - 1], end))),
		);
		return this.sent(outcomes);
	}

	/** There is no more. */
	async end(timeoutMs: number): Promise<PipeSent> {
		this.timeoutMs = timeoutMs;
		const sent = this.sent([await this.add(new Uint8Array(0), 'end')]);
		if (sent.problem === '') {
			if (this.hadTrouble) await this.linger();
			this.state = 'ended';
			this.unsubscribe();
		}
		return sent;
	}

	/** The reader may still ask for what a leader that fell has taken along. */
	private async linger(): Promise<void> {
		const end = performance.now() + lingerMs;
		while (performance.now() < end && !this.hasGivenUp) {
			const info = await this.stream.tryInfo();
			if (!info || info.state.messages === 0) return;
			await sleep(longestPauseMs, this.signal);
		}
	}

	private sent(outcomes: readonly boolean[]): PipeSent {
		if (this.failure !== undefined) throw this.failure;
		const missing = outcomes.indexOf(false);
		return {stored: missing < 0 ? outcomes.length : missing, problem: missing < 0 ? '' : this.problem};
	}

	private add(data: Uint8Array, mark?: Mark): Promise<boolean> {
		if (this.hasGivenUp) return Promise.resolve(false);
		// What waited for its input had time: the limit is for waiting for room.
		if (this.underWay.size === 0 && this.waiting.length === 0) this.lastProgressAt = performance.now();
		const number = ++this.lastNumber;
		return new Promise((settle) => {
			this.waiting.push({number, data, mark, renamed: 0, settle});
			this.pump();
		});
	}

	private get hasGivenUp(): boolean {
		return this.problem !== '' || this.failure !== undefined || this.signal.aborted;
	}

	private pump(): void {
		while (this.underWay.size < this.window && !this.isPausing) {
			const [chunk] = this.waiting;
			// One that gets lost is missed by the reader, which has limited room for those behind it.
			if (!chunk || chunk.number > this.storedUpTo + longestWindow) return;
			this.waiting.shift();
			void this.start(chunk);
		}
	}

	private async start(chunk: Chunk): Promise<void> {
		this.underWay.add(chunk.number);
		const outcome = await this.publish(chunk);
		this.underWay.delete(chunk.number);
		if (outcome === 'stored') this.hasStored(chunk);
		else {
			if (outcome === 'staged') chunk.renamed++;
			if (outcome !== 'full') this.hadTrouble = true;
			this.putBack(chunk);
			if (outcome === 'failed' || this.isLate()) this.giveUp(outcome);
			else this.pause();
		}
		this.pump();
	}

	/** The reader misses these of ours: answers which of them were stored, and are not kept any more. */
	private sendAgain(missing: readonly number[]): string {
		for (const number of missing) {
			const chunk = this.kept.get(number);
			if (!chunk) continue;
			this.forget(chunk);
			this.putBack({...chunk, renamed: chunk.renamed + 1});
		}
		const isToCome = (wanted: number) =>
			this.waiting.some(({number}) => number === wanted) || this.underWay.has(wanted);
		const gone = missing.filter((number) => this.isStored(number) && !isToCome(number));
		this.pump();
		return JSON.stringify({...ourselves, gone});
	}

	private isStored(number: number): boolean {
		return number <= this.storedUpTo || this.storedBeyond.has(number);
	}

	private keep(chunk: Chunk): void {
		this.kept.set(chunk.number, chunk);
		this.keptBytes += chunk.data.length;
		const most = this.replicas > 1 ? mostKeptOfSeveral : mostKeptBytes;
		for (const oldest of this.kept.values()) {
			if (this.keptBytes <= most && this.kept.size <= mostKept) return;
			this.forget(oldest);
		}
	}

	private forget({number, data}: Chunk): void {
		this.kept.delete(number);
		this.keptBytes -= data.length;
	}

	private hasStored(chunk: Chunk): void {
		const {number, settle} = chunk;
		if (number > this.storedUpTo) this.storedBeyond.add(number);
		this.keep(chunk);
		while (this.storedBeyond.delete(this.storedUpTo + 1)) this.storedUpTo++;
		this.window = Math.min(longestWindow, 2 * this.window);
		this.pauseMs = shortestPauseMs;
		this.lastProgressAt = performance.now();
		settle(true);
	}

	private putBack(chunk: Chunk): void {
		const at = this.waiting.findIndex(({number}) => number > chunk.number);
		this.waiting.splice(at < 0 ? this.waiting.length : at, 0, chunk);
	}

	private isLate(): boolean {
		return this.signal.aborted || (this.timeoutMs >= 0 && performance.now() - this.lastProgressAt >= this.timeoutMs);
	}

	private giveUp(outcome: Exclude<Outcome, 'stored'>): void {
		if (outcome !== 'failed') this.problem ||= outcome === 'full' ? 'full' : 'lost';
		for (const {settle} of this.waiting.splice(0)) settle(false);
	}

	/** One at a time from now on, the lowest number first: what found no room leaves no gap for long. */
	private pause(): void {
		this.window = 1;
		if (this.isPausing) return;
		this.isPausing = true;
		void sleep(this.pauseMs, this.signal).then(() => {
			this.isPausing = false;
			this.pump();
		});
		this.pauseMs = Math.min(2 * this.pauseMs, longestPauseMs);
	}

	private async publish({number, data, mark, renamed}: Chunk): Promise<Outcome> {
		const {connection} = this.stream;
		let forget = (): void => {};
		const reconnected = new Promise<'lost'>((resolve) => {
			forget = () => resolve('lost');
			this.onReconnect.add(forget);
		});
		try {
			const client = await connection.client();
			const head = headers();
			head.set(storedHeader, String(this.storedUpTo));
			if (mark) head.set(markHeader, mark);
			const stored = jetstream(client)
				.publish(subjectOf(this.name), data, {
					headers: head,
					msgID: messageId(this.id, number, renamed),
					timeout: this.timeoutMs < 0 ? requestTimeoutMs : Math.max(100, Math.min(requestTimeoutMs, this.timeoutMs)),
					retries: 0,
				})
				.then(({seq, duplicate}) => (duplicate && seq === 0 ? 'staged' : 'stored'));
			// The one that is not waited for any more may still fail.
			stored.catch(() => undefined);
			return await Promise.race([stored, reconnected]);
		} catch (error) {
			return this.meaningOf(error);
		} finally {
			this.onReconnect.delete(forget);
		}
	}

	private async meaningOf(error: unknown): Promise<'full' | 'lost' | 'failed'> {
		const reason = refusalOf(error)?.reason;
		if (reason === 'full') return 'full';
		if (reason === 'timeout') return 'lost';
		// No server has taken it: the stream has no leader now, or it is gone.
		if (reason === 'no-jetstream' && (await this.stream.tryInfo().catch(() => 'unknown'))) return 'lost';
		this.failure ??= reason === 'no-jetstream' ? new Refused(removed) : error;
		return 'failed';
	}

	/** What is not stored is not sent any more. */
	async abandon(): Promise<void> {
		this.giveUp('lost');
		await this.leave();
		this.state = 'ended';
	}

	/** Ends before all was sent: the reader is told, if there is room for it. */
	private async leave(): Promise<void> {
		if (this.state === 'connected' && this.stream.connection.isConnected) {
			const head = headers();
			head.set(storedHeader, String(this.storedUpTo));
			head.set(markHeader, 'left' satisfies Mark);
			const client = await this.stream.connection.client();
			await jetstream(client)
				.publish(subjectOf(this.name), '', {
					headers: head,
					msgID: messageId(this.id, this.lastNumber + 1, 0),
					timeout: lastWordMs,
					retries: 0,
				})
				.catch(() => undefined);
		}
		this.unsubscribe();
	}

	private unsubscribe(): void {
		for (const subscription of this.subscriptions.splice(0)) subscription.unsubscribe();
	}
}
