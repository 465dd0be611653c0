import {join} from 'node:path';
import {Worker} from 'node:worker_threads';
import {Deadline} from '../../common/deadline.js';
import {hasCode, kernelError, reasonOf, SystemError} from '../../common/errors.js';
import {outputSettings} from '../../common/output.js';
import {isReady} from '../../common/waiting.js';
import {native, POLLIN, SHUT_WR, SOCK_NONBLOCK, SOCK_STREAM} from '../../native/index.js';
import {LocalSocket} from '../../objects/socket/local-socket.js';
import type {SecureNews, SecureStart} from './protocol.js';

/** How long the end of a command waits for a peer that does not read what was sent. */
const closeTimeoutMs = 2000;

/**
 * Speaks TLS for a command that waits in the kernel: Node's implementation needs an event loop, so it has a thread of its own. Each
 * connection is a local socket for the command, which the thread joins to the connection with the peer. So verbs, their limits
 * and their ends are the same for all addresses.
 */
export class SecureThread {
	private text = '';
	private readonly decoder = new TextDecoder();
	private readonly piece = Buffer.allocUnsafe(65_536);
	private readonly ids = new WeakMap<LocalSocket, number>();
	private readonly open = new Set<number>();
	/** Why those failed that {@link finish} is asked about. */
	private readonly failures = new Map<number, string>();

	private constructor(
		private readonly shownName: string,
		private readonly control: number,
		private readonly onFailure: ((why: string) => void) | undefined,
	) {}

	/**
	 * `onFailure` is called for each connection that has failed; without it the caller asks with {@link finish}.
	 *
	 * @throws SystemError when there can be no thread
	 */
	static async start(
		shownName: string,
		start: Omit<SecureStart, 'control' | 'output'>,
		onFailure?: (why: string) => void,
	): Promise<SecureThread> {
		const [ours, theirs] = native.socketpair(SOCK_STREAM | SOCK_NONBLOCK);
		const data: SecureStart = {...start, control: theirs, output: outputSettings()};
		native.shareDescriptors();
		const worker = new Worker(join(__dirname, 'secure-worker.js'), {workerData: data, execArgv: [], stdin: false});
		// From here on the command may wait in the kernel, where it would not hear that the thread has failed to start.
		await new Promise<void>((resolve, reject) => {
			worker.once('online', resolve);
			worker.once('error', (error) => reject(new SystemError(`cannot start a thread: ${reasonOf(error)}`)));
		});
		worker.unref();
		return new SecureThread(shownName, ours, onFailure);
	}

	/** Becomes readable when there is news. */
	get descriptor(): number {
		return this.control;
	}

	/** Until it listens. @throws SystemError with the reason when it cannot */
	waitUntilReady(): void {
		while (this.next(-1)?.kind !== 'ready') {}
	}

	/** The next connection; undefined when there was none in time. @throws SystemError when there will be none */
	accept(timeoutMs: number): LocalSocket | undefined {
		const deadline = new Deadline(timeoutMs);
		for (;;) {
			const news = this.next(deadline.waitMs());
			if (news === undefined) return undefined;
			if (news.kind !== 'connection') continue;
			const connection = LocalSocket.adopt(news.descriptor, this.shownName);
			this.ids.set(connection, news.id);
			this.open.add(news.id);
			return connection;
		}
	}

	/** Accepts no more. */
	stop(): void {
		native.shutdown(this.control, SHUT_WR);
	}

	/**
	 * Closes a connection, and waits until what was written to it has been sent: why it failed, if it did. Undefined also where
	 * the peer does not read in time.
	 */
	finish(connection: LocalSocket, timeoutMs = closeTimeoutMs): {failure?: string | undefined} | undefined {
		const id = this.ids.get(connection) as number;
		const deadline = new Deadline(timeoutMs);
		try {
			// Closed with something to read in it, it would lose what the thread has not read.
			connection.waitUntilRead(deadline.waitMs());
		} catch (error) {
			// The thread has closed its end.
			if (!hasCode(error, 'ECONNRESET', 'EPIPE')) throw error;
		}
		connection.close();
		while (this.open.has(id)) if (this.next(deadline.waitMs()) === undefined) return undefined;
		return {failure: this.failures.get(id)};
	}

	/** The same for all connections, which have been closed. */
	finishAll(): void {
		const deadline = new Deadline(closeTimeoutMs);
		while (this.open.size > 0) if (this.next(deadline.waitMs()) === undefined) return;
	}

	private next(timeoutMs: number): SecureNews | undefined {
		const deadline = new Deadline(timeoutMs);
		for (;;) {
			const end = this.text.indexOf('\n');
			if (end >= 0) {
				const news = JSON.parse(this.text.slice(0, end)) as SecureNews;
				this.text = this.text.slice(end + 1);
				return this.heed(news);
			}
			const count = native.read(this.control, this.piece, 0, this.piece.length);
			if (count === 0) throw kernelError('ECONNRESET', 'read');
			if (count > 0) this.text += this.decoder.decode(this.piece.subarray(0, count), {stream: true});
			else if (deadline.hasPassed) return undefined;
			else isReady(this.control, POLLIN, deadline.waitMs());
		}
	}

	private heed(news: SecureNews): SecureNews {
		if (news.kind === 'failed') throw new SystemError(news.text);
		if (news.kind === 'defect') throw new Error(`in the thread that speaks TLS: ${news.text}`);
		if (news.kind === 'closed') {
			const {id, failure, isReset} = news;
			this.open.delete(id);
			if (failure === undefined) return news;
			if (!this.onFailure) this.failures.set(id, failure);
			// Many sessions end by leaving in the middle.
			else if (!isReset) this.onFailure(failure);
		}
		return news;
	}
}
