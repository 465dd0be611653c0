import {Socket} from 'node:net';
import {native, POLLHUP} from '../native/index.js';
import {type Call, type Caller, serverRefuses} from './call-runner.js';
import {Broken} from './json-scan.js';
import {
	type CallError,
	type CallResult,
	formatResponse,
	invalidRequest,
	isRefused,
	parseError,
	type Refused,
	type Request,
	readRequests,
	withData,
} from './json-rpc.js';
import {JsonSplitter, type SplitLimits} from './json-splitter.js';
import {encodeMessage} from './message-framing.js';

/** So many calls of one connection at a time; the rest stays unread until then. */
const mostPending = 64;
/** So many calls in one message. */
const mostInBatch = 10_000;
/** After an error that ends a connection: how long its sender may go on before it is cut off. */
const lingerMs = 5000;

const tooLong: CallError = {code: serverRefuses, message: 'The answers to the batch are too long together'};

/** Where calls are carried out. */
export interface CallQueue {
	/** `onOutcome` is called once, unless the connection leaves before. */
	submit(connection: CallerConnection, call: Call, onOutcome: (outcome: CallResult) => void): void;
	/** It has gone: nobody waits for its calls any more. */
	leave(connection: CallerConnection): void;
}

/** One client: reads its messages, has the calls carried out, and answers in the framing it uses itself. */
export class CallerConnection {
	private readonly socket: Socket;
	private readonly splitter: JsonSplitter;
	private pending = 0;
	/** 'ending': no more is read, but what has been asked for is answered; 'lingering': what still comes is thrown away. */
	private state: 'open' | 'ending' | 'lingering' | 'gone' = 'open';
	private hasEnded = false;
	private hasAsked = false;
	private isPumping = false;
	/** Since when a message is awaited that has begun, or the first one at all. */
	private awaitedSince: number | undefined = performance.now();
	private writtenAt = performance.now();

	constructor(
		/** The connection's own from here on. */
		readonly descriptor: number,
		readonly caller: Caller | undefined,
		private readonly queue: CallQueue,
		private readonly limits: SplitLimits,
	) {
		this.splitter = new JsonSplitter(limits);
		this.socket = new Socket({fd: descriptor, readable: true, writable: true, allowHalfOpen: true});
		this.socket.on('data', (piece: Buffer) => {
			if (this.state !== 'open') return;
			this.splitter.push(piece);
			this.pump();
		});
		this.socket.on('end', () => this.onEnd());
		this.socket.on('drain', () => this.pump());
		// Reset, or gone before it was answered.
		this.socket.on('error', () => this.leave());
		this.socket.on('close', () => this.leave());
	}

	/** Whether any of its calls waits or runs. */
	get isBusy(): boolean {
		return this.pending > 0;
	}

	/** Now and then: whether it has been waited for long enough. */
	checkPatience(now: number, idleMs: number): void {
		if (this.state === 'gone') return;
		if (this.socket.writableLength > 0 && now - this.writtenAt > idleMs) this.leave();
		else if (this.awaitedSince !== undefined && now - this.awaitedSince > idleMs) {
			if (this.splitter.isAmidst) this.refuse(`no complete message came within ${idleMs / 1000} s`);
			else this.leave();
		}
	}

	/** Says why it is not served, and closes. */
	turnAway(code: number, message: string): void {
		this.answer(formatResponse('null', {error: {code, message}}));
		this.linger();
	}

	/** The other side closed, or is to be left. */
	leave(): void {
		if (this.state === 'gone') return;
		this.state = 'gone';
		this.awaitedSince = undefined;
		this.socket.destroy();
		this.queue.leave(this);
	}

	private get isFull(): boolean {
		return this.pending >= mostPending || this.socket.writableLength > this.limits.mostBytes;
	}

	private pump(): void {
		// A call that is answered at once comes back here.
		if (this.isPumping) return;
		this.isPumping = true;
		while (this.state === 'open' && !this.isFull) {
			const found = this.splitter.next() ?? (this.hasEnded ? this.splitter.last() : undefined);
			if (!found) break;
			this.hasAsked = true;
			this.awaitedSince = undefined;
			if (!(found instanceof Broken)) this.take(found);
			else if (found.isFatal) this.refuse(found.reason);
			else this.answer(formatResponse('null', {error: parseError}));
		}
		this.isPumping = false;
		if (this.state !== 'open') return;
		if (this.isFull) {
			this.awaitedSince = undefined;
			this.socket.pause();
			return;
		}
		if (this.hasEnded) this.endWhenAnswered();
		else {
			this.socket.resume();
			if (this.hasAsked && !this.splitter.isAmidst) this.awaitedSince = undefined;
			else this.awaitedSince ??= performance.now();
		}
	}

	private onEnd(): void {
		this.hasEnded = true;
		// It may have closed for good, or only say that no more will come and wait for answers.
		if (isHungUp(this.descriptor)) this.leave();
		else if (this.state === 'lingering') this.leave();
		else this.pump();
	}

	private endWhenAnswered(): void {
		this.awaitedSince = undefined;
		this.state = 'ending';
		if (this.pending === 0) this.socket.end(() => this.leave());
	}

	private refuse(reason: string): void {
		this.answer(formatResponse('null', {error: withData(parseError, reason)}));
		this.linger();
	}

	/**
	 * Closing at once would reset the connection while the other side is still sending, and it might never see what it
	 * was told.
	 */
	private linger(): void {
		this.state = 'lingering';
		this.awaitedSince = undefined;
		setTimeout(() => this.leave(), lingerMs);
		this.queue.leave(this);
		this.socket.end();
		this.socket.resume();
	}

	private take(bytes: Buffer): void {
		const {isBatch, calls} = readRequests(bytes);
		if (!isBatch) {
			this.perform(calls[0], (response) => {
				if (response !== undefined) this.answer(response);
			});
			return;
		}
		if (calls.length > mostInBatch) {
			const error = withData(invalidRequest, `a batch of ${calls.length} calls, more than ${mostInBatch}`);
			this.answer(formatResponse('null', {error}));
			return;
		}
		let left = calls.length;
		let length = 0;
		const responses: (string | undefined)[] = [];
		for (const [i, call] of calls.entries())
			this.perform(call, (response) => {
				length += response?.length ?? 0;
				const isTooLong = length > this.limits.mostBytes && response !== undefined;
				responses[i] = isTooLong ? formatResponse(call.id ?? 'null', {error: tooLong}) : response;
				if (--left > 0) return;
				const given = responses.filter((text) => text !== undefined);
				if (given.length > 0) this.answer(`[${given.join(',')}]`);
			});
	}

	private perform(call: Request | Refused, respond: (response: string | undefined) => void): void {
		if (isRefused(call)) {
			respond(formatResponse(call.id, call));
			return;
		}
		const {id, method, params} = call;
		this.pending++;
		this.queue.submit(this, {method, params, caller: this.caller}, (outcome) => {
			this.pending--;
			respond(id === undefined ? undefined : formatResponse(id, outcome));
			if (this.state === 'ending') this.endWhenAnswered();
			else this.pump();
		});
	}

	private answer(text: string): void {
		if (this.state !== 'open' && this.state !== 'ending') return;
		if (this.socket.writableLength === 0) this.writtenAt = performance.now();
		this.socket.write(encodeMessage(text, this.splitter.framing), () => {
			this.writtenAt = performance.now();
		});
	}
}

/** Whether the other side has closed, and not only ended its output. poll(2), POLLHUP */
export function isHungUp(descriptor: number): boolean {
	const triples = Int32Array.of(descriptor, 0, 0);
	native.poll(triples, 0);
	return ((triples[2] as number) & POLLHUP) !== 0;
}
