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
	readonly shownName: string;
	private readonly thread: SecureThread;
	private readonly notices = new LimitedNotices();
	private isOpen = true;

	/** @throws SystemError when it cannot listen, with the reason */
	constructor(address: NetworkAddress, credentials: Credentials, {backlog, most, reportsFailures}: SecureListening) {
		this.shownName = formatSocketAddress(address);
		const onFailure = (why: string) => this.notices.tell(`closed a connection: ${why}`);
		this.thread = new SecureThread(
			this.shownName,
			{role: 'listen', address, credentials, connectTimeoutMs: -1, backlog, most},
			reportsFailures ? onFailure : undefined,
		);
		this.thread.waitUntilReady();
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
