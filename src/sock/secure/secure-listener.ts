import type {Listener} from '../../objects/socket/listener.js';
import type {LocalSocket} from '../../objects/socket/local-socket.js';
import {formatSocketAddress, type NetworkAddress} from '../../objects/socket/socket-address.js';
import {LimitedNotices} from '../limited-notices.js';
import type {Credentials} from '../stream/tls-settings.js';
import {SecureThread} from './secure-thread.js';

export interface SecureListening {
	backlog: number | undefined;
	/** Maximum number of connections; other clients wait in the listener's queue. */
	most: number;
	/** Whether each connection that fails is reported here: otherwise the caller asks with `finish`. */
	reportsFailures: boolean;
}

/** Accepts connections with TLS. */
export class SecureListener implements Listener {
	readonly type = 'stream';
	private isOpen = true;

	private constructor(
		readonly shownName: string,
		private readonly thread: SecureThread,
		private readonly notices: LimitedNotices,
	) {}

	/** @throws SystemError when it cannot listen, with the reason */
	static async listen(
		address: NetworkAddress,
		credentials: Credentials,
		{backlog, most, reportsFailures}: SecureListening,
	): Promise<SecureListener> {
		const shownName = formatSocketAddress(address);
		const notices = new LimitedNotices();
		const onFailure = (why: string) => notices.tell(`closed a connection: ${why}`);
		const thread = await SecureThread.start(
			shownName,
			{role: 'listen', address, credentials, connectTimeoutMs: -1, backlog, most},
			reportsFailures ? onFailure : undefined,
		);
		thread.waitUntilReady();
		return new SecureListener(shownName, thread, notices);
	}

	get descriptor(): number {
		return this.thread.descriptor;
	}

	accept(timeoutMs = -1): LocalSocket | undefined {
		return this.thread.accept(timeoutMs);
	}

	tryAccept(): LocalSocket | undefined {
		return this.thread.accept(0);
	}

	close(): void {
		if (this.isOpen) this.thread.stop();
		this.isOpen = false;
	}

	finish(connection: LocalSocket): string | undefined {
		return this.thread.finish(connection)?.failure;
	}

	finishAll(): void {
		this.thread.finishAll();
		this.notices.finish();
	}
}
