import type {Deadline} from '../../common/deadline.js';
import {explain, hasCode, quoted, SystemError} from '../../common/errors.js';
import {stdout} from '../../common/output.js';
import {endIfBroken, PollSet} from '../../common/waiting.js';
import {native, POLLIN, POLLOUT} from '../../native/index.js';
import type {CallSocket} from '../../objects/socket/call-places.js';
import {Broken} from './json-scan.js';
import {JsonSplitter, type SplitLimits} from './json-splitter.js';

const pieceBytes = 65_536;

/**
 * A connection to a server of calls, for callers that block: messages are sent and received at the same time, so that
 * neither side can wait for the other to read. Timeouts throw the kernel's ETIMEDOUT.
 */
export class CallChannel {
	/** True once the peer sends no more. */
	hasEnded = false;
	private readonly splitter: JsonSplitter;
	private readonly poll = new PollSet<'channel' | 'also' | 'stdout'>();
	private outgoing: Buffer[] = [];
	private offset = 0;

	constructor(
		readonly socket: CallSocket,
		private readonly limits: SplitLimits,
		/** Answers are printed: a wait ends us by SIGPIPE when the reader of stdout leaves. */
		prints: boolean,
	) {
		if (prints) this.poll.watch('stdout', stdout);
		this.splitter = new JsonSplitter(limits);
	}

	get shown(): string {
		return quoted(this.socket.shownName);
	}

	/** Whether there is data to be sent. */
	get isSending(): boolean {
		return this.outgoing.length > 0;
	}

	/** Queues a message; later calls send it. */
	send(message: string | Buffer): void {
		this.outgoing.push(typeof message === 'string' ? Buffer.from(message) : message);
	}

	/**
	 * Takes whole lines of what has come, as many bytes as `choose` says; none while a message has begun that is not complete.
	 * `mostBytes`: a longer line must not be taken.
	 */
	takeLines(choose: (bytes: Buffer, mostBytes: number) => number): void {
		const bytes = this.splitter.untouched;
		const count = bytes.length === 0 ? 0 : choose(bytes, this.limits.mostBytes);
		if (count > 0) this.splitter.tookLines(count);
	}

	/** The next received message, a view that is valid until {@link read}. @throws SystemError for an invalid message */
	next(): Buffer | undefined {
		const found = this.splitter.next() ?? (this.hasEnded ? this.splitter.last() : undefined);
		if (!(found instanceof Broken)) return found;
		throw new SystemError(`invalid answer of ${this.shown}: ${found.reason}`);
	}

	/** Sends as much as possible without waiting. */
	write(): void {
		while (this.outgoing.length > 0) {
			const bytes = this.outgoing[0] as Buffer;
			let written: number;
			try {
				written = native.write(this.socket.descriptor, bytes, this.offset, bytes.length - this.offset);
			} catch (error) {
				if (!hasCode(error, 'EPIPE', 'ECONNRESET')) throw explain(`cannot send to ${this.shown}`, error);
				// The peer may have sent the reason before it closed.
				this.outgoing = [];
				return;
			}
			if (written < 0) return;
			this.offset += written;
			if (this.offset < bytes.length) continue;
			this.outgoing.shift();
			this.offset = 0;
		}
	}

	/** Reads the data that is there, which may be none yet. */
	read(): void {
		const room = this.splitter.room(pieceBytes);
		let count: number;
		try {
			count = native.read(this.socket.descriptor, room, 0, room.length);
		} catch (error) {
			if (!hasCode(error, 'ECONNRESET')) throw explain(`cannot read from ${this.shown}`, error);
			count = 0;
		}
		if (count < 0) return;
		if (count === 0) this.hasEnded = true;
		this.splitter.advance(count);
	}

	/**
	 * Waits until there is something to read, or room for data to be sent, or `also` (-1: none) can be read. Returns
	 * whether `also` can be read. @throws KernelError with ETIMEDOUT
	 */
	wait(timeoutMs: number, also = -1): boolean {
		const descriptor = this.hasEnded ? -1 : this.socket.descriptor;
		this.poll.watch('channel', descriptor, this.isSending ? POLLIN | POLLOUT : POLLIN);
		this.poll.watch('also', also, POLLIN);
		if (!this.poll.wait(timeoutMs)) throw new TimedOut();
		endIfBroken(this.poll.eventsOf('stdout'));
		return this.poll.eventsOf('also') !== 0;
	}

	/** Why the peer has ended, where more is known than that it has closed the connection. */
	get endReason(): string | undefined {
		return this.socket.endReason;
	}

	/** After the last request: waits until the server has got them all. @throws KernelError with ETIMEDOUT */
	confirm(deadline: Deadline): void {
		if (this.socket.confirm?.(deadline.waitMs()) === false) throw new TimedOut();
	}

	/** Whether something can be read within that time. */
	isReadable(timeoutMs: number): boolean {
		return this.socket.wait(POLLIN, timeoutMs);
	}

	/** The next message, waiting for it and sending meanwhile; undefined when the peer has ended. */
	receive(deadline: Deadline): Buffer | undefined {
		for (;;) {
			this.write();
			const message = this.next();
			if (message || this.hasEnded) return message;
			this.wait(deadline.waitMs());
			this.read();
		}
	}

	/** Sends all queued data, waiting for room. */
	flush(deadline: Deadline): void {
		for (this.write(); this.isSending; this.write()) {
			this.wait(deadline.waitMs());
			// A peer whose output is not read may stop reading.
			if (!this.hasEnded) this.read();
		}
	}
}

/** The timeout is over. */
export class TimedOut extends Error {}
