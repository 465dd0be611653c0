import {Socket} from 'node:net';
import type {PeerCredentials} from '../../objects/socket/local-socket.js';
import {isHungUp} from '../stream/hang-up.js';
import {executeMessage, heldBy} from './call-message.js';
import {type Call, defect, serverRefuses} from './call-runner.js';
import {
	type CallResult,
	formatResponse,
	isRefused,
	parseError,
	type Refused,
	type Request,
	withData,
} from './json-rpc.js';
import {Broken} from './json-scan.js';
import {JsonSplitter, type SplitLimits} from './json-splitter.js';
import {encodeMessage} from './message-framing.js';

/** Maximum number of calls of one connection at a time; the rest stays unread until then. */
const mostPending = 64;
/** After an error that ends a connection: how long its sender may continue before the connection is closed. */
const lingerMs = 5000;

/** Executes the calls. */
export interface CallQueue {
	/** `onOutcome` is called once. Without `wantsAnswer` the call is executed even when its connection has closed. */
	submit(
		connection: CallerConnection,
		call: Call,
		wantsAnswer: boolean,
		onOutcome: (outcome: CallResult) => void,
	): void;
	/** No client waits for the answers of this connection any more. */
	abandon(connection: CallerConnection): void;
	/** How much is held in memory for a connection; may end in {@link CallerConnection.giveWay} for any connection. */
	account(connection: CallerConnection, bytes: number): void;
	/** The limit is near: connections with running calls must not be read from. */
	readonly isCrowded: boolean;
	/** Writes a message about a client, unless many were written just before. */
	report(message: string): void;
	/** The connection has been closed. */
	leave(connection: CallerConnection): void;
}

/** One client: reads its messages, has the calls executed, and answers in the framing that the client uses. */
export class CallerConnection {
	private readonly socket: Socket;
	private readonly splitter: JsonSplitter;
	private pending = 0;
	/** Of calls that are not done, and of answers to batches that are not complete. */
	private heldBytes = 0;
	private isPumping = false;
	/** 'lingering': the client was told why it is not served, and further data is discarded. */
	private state: 'open' | 'lingering' | 'gone' = 'open';
	/** The client sends no more, but may wait for answers. */
	private hasEnded = false;
	/** The client waits for no answer: notifications are executed all the same. */
	private hasLeft = false;
	private hasAsked = false;
	/** Since when the rest of a message, or the first message at all, is awaited. */
	private awaitedSince: number | undefined = performance.now();
	private writtenAt = performance.now();

	constructor(
		/** Owned by the connection from here on. */
		readonly descriptor: number,
		readonly caller: PeerCredentials | undefined,
		private readonly queue: CallQueue,
		private readonly limits: SplitLimits,
	) {
		this.splitter = new JsonSplitter(limits);
		this.socket = new Socket({fd: descriptor, readable: true, writable: true, allowHalfOpen: true});
		this.socket.on('data', (piece: Buffer) => {
			if (this.state !== 'open') return;
			this.splitter.push(piece);
			this.pump();
			this.account();
		});
		this.socket.on('end', () => this.onEnd());
		this.socket.on('drain', () => this.pump());
		// Reset, or disconnected before it was answered.
		this.socket.on('error', () => this.leave());
		this.socket.on('close', () => this.leave());
	}

	/** Called now and then: checks whether the client has disconnected, or has exceeded its time. */
	look(now: number, idleMs: number): void {
		if (this.state !== 'open') return;
		// While its calls run it is not always read from, and a disconnect looks like the end of its input.
		if (this.pending > 0 && !this.hasLeft && isHungUp(this.descriptor)) this.hangUp();
		if (this.socket.writableLength > 0 && now - this.writtenAt > idleMs) this.leave();
		else if (this.awaitedSince !== undefined && now - this.awaitedSince > idleMs) {
			if (this.splitter.isAmidst) this.refuse(`no complete message arrived within ${idleMs / 1000} s`);
			else this.leave();
		}
	}

	/** Reports why the client is not served, and closes. */
	turnAway(code: number, message: string): void {
		this.answer(formatResponse('null', {error: {code, message}}));
		this.linger();
	}

	leave(): void {
		if (this.state === 'gone') return;
		this.state = 'gone';
		this.socket.destroy();
		this.splitter.drop();
		this.queue.abandon(this);
		this.queue.leave(this);
		this.account();
	}

	/** All clients together have too much in memory, and this one has most of it. */
	giveWay(): void {
		if (this.state === 'open' && this.socket.writableLength === 0)
			this.turnAway(serverRefuses, 'The server holds too much for all its clients, and most of it for this one');
		else this.leave();
	}

	private account(): void {
		const unread = this.state === 'gone' ? 0 : this.socket.writableLength;
		this.queue.account(this, this.splitter.held + this.heldBytes + unread);
	}

	private hangUp(): void {
		this.hasLeft = true;
		this.awaitedSince = undefined;
		this.queue.abandon(this);
		this.pump();
	}

	private get isFull(): boolean {
		const {mostBytes} = this.limits;
		if (this.pending >= mostPending || this.socket.writableLength > mostBytes) return true;
		return this.pending > 0 && (this.heldBytes > mostBytes || this.queue.isCrowded);
	}

	private pump(): void {
		// A call that is answered at once gets here again.
		if (this.isPumping) return;
		this.isPumping = true;
		while (this.state === 'open' && !this.isFull) {
			const found = this.splitter.next() ?? (this.hasEnded ? this.splitter.last() : undefined);
			if (!found) break;
			this.hasAsked = true;
			this.awaitedSince = undefined;
			if (!(found instanceof Broken)) this.attempt(found);
			else if (found.isFatal) this.refuse(found.reason);
			else this.answer(formatResponse('null', {error: parseError}));
		}
		this.isPumping = false;
		if (this.state !== 'open') return;
		if (this.isFull) {
			this.awaitedSince = undefined;
			this.socket.pause();
		} else if (!this.hasEnded) {
			this.socket.resume();
			if (this.hasLeft || (this.hasAsked && !this.splitter.isAmidst)) this.awaitedSince = undefined;
			else this.awaitedSince ??= performance.now();
		} else if (this.pending === 0) {
			this.socket.end(() => this.leave());
		}
	}

	private onEnd(): void {
		this.hasEnded = true;
		this.awaitedSince = undefined;
		if (this.state === 'lingering') this.leave();
		else if (isHungUp(this.descriptor)) this.hangUp();
		else this.pump();
	}

	private refuse(reason: string): void {
		this.answer(formatResponse('null', {error: withData(parseError, reason)}));
		this.linger();
	}

	/**
	 * Closing at once would reset the connection while the peer is still sending, and the peer might never read the
	 * answer.
	 */
	private linger(): void {
		this.state = 'lingering';
		this.splitter.drop();
		this.queue.abandon(this);
		this.socket.end();
		this.socket.resume();
		setTimeout(() => this.leave(), lingerMs);
	}

	/** One invalid message must not end the server of the other clients. */
	private attempt(bytes: Buffer): void {
		if (isHttp(bytes)) {
			this.queue.report('refused a client: it speaks HTTP, so it may be a browser that a web page controls');
			this.turnAway(serverRefuses, 'This is not an HTTP server');
			return;
		}
		try {
			this.take(bytes);
		} catch (error) {
			this.answer(formatResponse('null', {error: defect('?', error)}));
		}
	}

	private take(bytes: Buffer): void {
		// Later messages may have arrived in another framing by the time that this one is answered.
		const {form} = this.splitter;
		executeMessage(bytes, {
			mostBytes: this.limits.mostBytes,
			perform: (call, respond) => this.perform(call, respond),
			answer: (text) => {
				if (text !== undefined) this.answer(text, form);
			},
			hold: (more) => {
				this.heldBytes += more;
			},
		});
	}

	private perform(call: Request | Refused, respond: (response: string | undefined) => void): void {
		if (isRefused(call)) {
			respond(formatResponse(call.id, call));
			return;
		}
		const {id, method, params} = call;
		if (this.hasLeft && id !== undefined) {
			respond(undefined);
			return;
		}
		const bytes = heldBy(call);
		this.pending++;
		this.heldBytes += bytes;
		this.queue.submit(this, {method, params, caller: this.caller}, id !== undefined, (outcome) => {
			this.pending--;
			this.heldBytes -= bytes;
			// No other process would learn of it.
			if (id === undefined && 'error' in outcome) this.queue.report(`a notification failed: ${outcome.error.message}`);
			respond(id === undefined ? undefined : formatResponse(id, outcome));
			this.pump();
			this.account();
		});
	}

	private answer(text: string, {framing} = this.splitter.form): void {
		if (this.state !== 'open' || this.hasLeft) return;
		if (this.socket.writableLength === 0) this.writtenAt = performance.now();
		this.socket.write(encodeMessage(text, framing), () => {
			this.writtenAt = performance.now();
			this.account();
		});
	}
}

/**
 * Whether it is the first line of an HTTP request, or the header that each has. Any web page may send one to a port of
 * this machine, with calls in its body, and no line of the body may be taken for a call of the user.
 */
function isHttp(bytes: Buffer): boolean {
	// Most messages begin with a brace and may be long.
	if (!/[A-Za-z]/.test(bytes.toString('latin1', 0, 1))) return false;
	if (/^host[ \t]*:/i.test(bytes.toString('latin1', 0, 64))) return true;
	return /^[A-Z]+ .* HTTP\/[0-9.]+\s*$/.test(bytes.toString('latin1'));
}
