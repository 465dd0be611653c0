/** One received message. */
export interface Message {
	data: Buffer;
	/** 0 to 32767; the highest is received first. */
	priority: number;
	/** What confirms it or gives it back, where the queue keeps a message until then. */
	receipt?: string;
}

/** How many messages of which size a queue holds; a default replaces what is left out. */
export interface QueueAttributes {
	maxmsg?: number | undefined;
	msgsize?: number | undefined;
	/** Permission bits; the umask applies. Default 0600. Of a queue on this machine only. */
	mode?: number | undefined;
	/** How many servers store it. Of a queue on a cluster only. */
	replicas?: number | undefined;
}

export type QueueAccess = 'send' | 'receive' | 'both';

export const highestPriority = 32_767;

/**
 * An open queue, on this machine (MessageQueue) or on a cluster. The methods may wait, and block the event loop meanwhile; a negative
 * `timeoutMs` means no limit. A caught signal ends a wait with EINTR.
 */
export interface Queue extends Disposable {
	/** The name as the user wrote it. */
	readonly shownName: string;
	/** Capacity in messages; undefined where another program has made the queue on a cluster without a limit. */
	readonly maxmsg: number | undefined;
	/** Maximum bytes of a message. */
	readonly msgsize: number;
	/** Number of messages in it now. */
	readonly messages: number;
	/** Where its name has been removed, what is put back is lost. */
	readonly isRemoved: boolean;
	/**
	 * Where a received message stays in the queue until it is confirmed: another receiver gets it when we die. Undefined where
	 * receiving is final.
	 */
	readonly receipts?: Receipts;
	/** Whether messages that found no room to go back are kept in files of this machine. */
	readonly keepsRescued: boolean;

	/** False when there was no room in time. */
	send(message: Uint8Array | string, settings?: {priority?: number; timeoutMs?: number}): boolean;
	trySend(message: Uint8Array | string, priority?: number): boolean;
	/**
	 * Sends all records that are complete within the first `filled` bytes. `used` bytes and `records` were sent; `problem` is the
	 * name of the error that ended it: EAGAIN or ETIMEDOUT where there was no room in time, or ''.
	 */
	sendRecords(
		buffer: Buffer,
		filled: number,
		separator: number,
		priority: number,
		timeoutMs: number,
	): {used: number; records: number; problem: string};
	/** Why a message was refused, in numbers. */
	explainSend(error: unknown, length: number): unknown;

	/**
	 * The oldest message of the highest priority; undefined when there was none in time. `watched` is a descriptor: when its reader
	 * leaves, the wait ends with EPIPE.
	 */
	receive(settings?: {timeoutMs?: number; watched?: number}): Message | undefined;
	tryReceive(): Message | undefined;
	/** As many messages as there are, framed into a buffer: see `mqReceiveRecords` in native/index.ts. Zero: none in time. */
	receiveMany(
		buffer: Buffer,
		separator: number,
		most: number,
		watched: number,
		timeoutMs: number,
		index: Int32Array,
	): number;
	/** The same as `receive` without blocking the event loop; undefined also once `stopped` resolves. */
	receiveLater(timeoutMs: number, stopped: Promise<void>): Promise<Message | undefined>;
	/** Waits for a message without receiving it: false when there was none in time. */
	wait(timeoutMs?: number): boolean;
	/** Waits for room without blocking the event loop, a moment at most. */
	waitForRoomInBackground(mostMs: number): Promise<boolean>;
	/** Deletes what it has now: how many messages. */
	purge(): number;
	/** Whether this is the same queue, whatever the names. */
	isSameAs(other: Queue): boolean;
	close(): void;
}

export interface Receipts {
	/** Those of the messages that the last `receiveMany` returned. */
	readonly ofLast: readonly string[];
	/** The messages have been delivered: the queue deletes them. */
	confirm(receipts: readonly string[]): void;
	/** The messages go to the next receiver. No signal ends this wait. */
	giveBack(receipts: readonly string[]): void;
}
