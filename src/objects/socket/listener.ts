import type {LocalSocket, SocketType} from './local-socket.js';

/** What accepts connections: a LocalSocket, or what stands in front of connections that are more than a socket. */
export interface Listener {
	/** Becomes readable when there may be a connection. */
	readonly descriptor: number;
	readonly type: SocketType;
	/** The address as the user wrote it. */
	readonly shownName: string;
	/** The next connection; waits for one, `timeoutMs` at most (negative: without limit). Undefined when there was none. */
	accept(timeoutMs?: number): LocalSocket | undefined;
	/** The same without waiting. */
	tryAccept(): LocalSocket | undefined;
	/** Accepts no more; the connections stay. */
	close(): void;
	/** Closes a connection once all that was written has been sent; why it failed before its end, if it did. */
	finish?(connection: LocalSocket): string | undefined;
	/** Once all connections have been closed: waits a moment until all that was written has been sent. */
	finishAll?(): void;
}
