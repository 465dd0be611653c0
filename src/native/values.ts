/** What the native layer hands out besides numbers, texts and bytes. */

/** A mapping of the native layer: opaque. */
export type Mapping = {readonly mapping: unique symbol};
/** A ring of the native layer: opaque. */
export type RingHandle = {readonly ring: unique symbol};

declare const semaphoreHandle: unique symbol;
/** A mapped semaphore. */
export interface SemaphoreHandle {
	readonly [semaphoreHandle]: true;
}

/** A local socket as the kernel lists it. sock_diag(7) */
export interface UnixSocketRow {
	/** Of the socket itself: the inode that /proc/pid/fd shows. */
	inode: number;
	type: number;
	/** TCP_ESTABLISHED, TCP_CLOSE (neither connected nor listening) or TCP_LISTEN. */
	state: number;
	/** In Latin-1; the first character of an abstract name is NUL. */
	name?: string;
	/** The socket file. */
	fileDevice?: number;
	fileInode?: number;
	/** The inode of the peer. */
	peer?: number;
	/** Unread bytes; of a listener: pending connections. */
	receiveQueue?: number;
	/** Bytes in transit; of a listener: maximum of pending connections. */
	sendQueue?: number;
	uid?: number;
}
