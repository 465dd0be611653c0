import type {Framing} from '../../common/framing/framing.js';
import type {Progress} from '../../common/terminal/progress.js';

/** How a pipe is made; a default replaces what is left out. */
export interface PipeAttributes {
	/** Permission bits; the umask applies. Of a FIFO on this machine only. */
	mode?: number | undefined;
	/** How many bytes it holds. */
	size?: number | undefined;
	/** How many servers store it. Of a pipe on a cluster only. */
	replicas?: number | undefined;
}

/** What both ends of a pipe have: a FIFO on this machine, or a pipe on a cluster. A caught signal ends each wait with EINTR. */
interface PipeEnd extends Disposable {
	/** The name as the user wrote it. */
	readonly shownName: string;
	/** Whether something has to be cleaned up at the end, so that a signal should not end us without warning. */
	readonly cleansUp: boolean;
	close(): void;
}

export interface SendSettings {
	/** How long to wait for room, each time; negative: without limit. */
	timeoutMs: number;
	/** The descriptor that gets a copy, -1 for none. */
	copyTo: number;
	progress: Progress | undefined;
}

/** Why sending ended early: other senders kept the lock, or there was no room in time. */
export type Missing = 'lock' | 'room' | undefined;

/** The end that is written to. */
export interface PipeSender extends PipeEnd {
	/** Waits for a reader, `timeoutMs` at most (negative: without limit): false when there was none in time. */
	connect(timeoutMs: number): boolean;
	/** Sends all of stdin. With `isRecord` it is one record: nothing of other senders is mixed into it. */
	sendBytes(settings: SendSettings & {isRecord: boolean}): {bytes: number; missing: Missing};
	/** Sends the records of stdin, each whole. */
	sendRecords(settings: SendSettings & {framing: Framing}): {records: number; missing: Missing};
}

/** The end of a pipe on a cluster that is written to beside others: only `connect` and `finish` wait. */
export interface PipeFeed extends PipeEnd {
	/** Becomes readable when there may be news. */
	readonly descriptor: number;
	/** Bytes that are stored, as far as `takeNews` knows. */
	readonly stored: number;
	/** Bytes that were given and are not stored. */
	readonly waiting: number;
	/** Waits for a reader, as that of a sender does. */
	connect(timeoutMs: number): boolean;
	/** Takes a copy of the bytes, however many wait already. */
	give(bytes: Uint8Array): void;
	/** Of all feeds this comes before the news of any: they may share the descriptor. */
	settle(): void;
	takeNews(): void;
	/** After everything is stored: that there is no more. False when there was no room for it in time. */
	finish(timeoutMs: number): boolean;
	/** Sends no more, not even what waits. */
	abandon(): void;
}

export interface ReceiveSettings {
	/** How long to wait for data, each time; negative: without limit. */
	timeoutMs: number;
	/** Whether to keep running when the last writer leaves. */
	follow: boolean;
	/** Stop after this many writers have come and left. */
	writers: number | undefined;
	/** How records are told apart, if they matter. */
	framing: Framing | undefined;
	/** Stop after this many records. */
	most: number;
	progress: Progress | undefined;
}

export type ReceiveEnd = 'writers gone' | 'complete' | 'timed out';

/** The end that is read from. */
export interface PipeReceiver extends PipeEnd {
	/** Becomes its reader; false when that was not possible in time. */
	connect(timeoutMs: number): boolean;
	/** What comes is written to stdout. */
	receive(settings: ReceiveSettings): PipeReception;
}

/** One reader of a pipe, from its first writer to the end. */
export interface PipeReception extends Disposable {
	run(): ReceiveEnd;
	readonly hasReceived: boolean;
	/** `3 records received`, for a person. */
	readonly soFar: string;
	/** Bytes of an unfinished record that were taken and not printed. */
	readonly undelivered: number;
	/** Senders that died or were stopped before they had sent all. */
	readonly cutShort: number;
}
