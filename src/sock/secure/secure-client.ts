import {Deadline} from '../../common/deadline.js';
import {kernelError, quoted, SystemError} from '../../common/errors.js';
import type {CallSocket} from '../../objects/socket/call-places.js';
import type {LocalSocket} from '../../objects/socket/local-socket.js';
import {formatSocketAddress, type NetworkAddress} from '../../objects/socket/socket-address.js';
import type {Credentials} from '../stream/tls-settings.js';
import {SecureThread} from './secure-thread.js';

/** A peer that sends nothing must not keep us waiting, where no limit was given. */
const usualTimeoutMs = 10_000;

/** A connection with TLS, whose peer has been verified. */
export class SecureClient implements CallSocket {
	private end: {failure?: string | undefined} | undefined;
	private hasFinished = false;

	private constructor(
		private readonly thread: SecureThread,
		/** What is written to it is sent. */
		readonly socket: LocalSocket,
	) {}

	/** @throws SystemError with the reason; KernelError with ETIMEDOUT after `timeoutMs` (negative: a usual limit). */
	static async connect(address: NetworkAddress, credentials: Credentials, timeoutMs: number): Promise<SecureClient> {
		const deadline = new Deadline(timeoutMs);
		const thread = await SecureThread.start(formatSocketAddress(address), {
			role: 'connect',
			address,
			credentials,
			connectTimeoutMs: timeoutMs < 0 ? usualTimeoutMs : -1,
			backlog: undefined,
			most: 1,
		});
		const socket = thread.accept(deadline.waitMs());
		if (!socket) throw kernelError('ETIMEDOUT', 'connect');
		return new SecureClient(thread, socket);
	}

	get descriptor(): number {
		return this.socket.descriptor;
	}

	get shownName(): string {
		return this.socket.shownName;
	}

	wait(events: number, timeoutMs: number): boolean {
		return this.socket.wait(events, timeoutMs);
	}

	get endReason(): string | undefined {
		const failure = this.finish()?.failure;
		return failure && `the connection failed: ${failure}`;
	}

	confirm(timeoutMs: number): boolean {
		const end = this.finish(timeoutMs);
		if (end?.failure) throw this.failed(end.failure);
		return end !== undefined;
	}

	/** The session is over: an end that the peer did not mean is an error. */
	check(): void {
		const failure = this.finish()?.failure;
		if (failure) throw this.failed(failure);
	}

	private failed(why: string): SystemError {
		return new SystemError(`the connection to ${quoted(this.shownName)} failed: ${why}`);
	}

	private finish(timeoutMs?: number): {failure?: string | undefined} | undefined {
		if (!this.hasFinished) this.end = this.thread.finish(this.socket, timeoutMs);
		this.hasFinished = true;
		return this.end;
	}

	/** Waits a moment until all has been sent. */
	[Symbol.dispose](): void {
		this.finish();
	}
}
