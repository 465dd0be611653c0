import {closeSync} from 'node:fs';
import {explain, hasCode} from '../common/errors.js';
import {native, POLLOUT} from '../native/index.js';

/** What to do when the buffer of a reader is full. */
export type SlowPolicy = 'block' | 'drop' | 'disconnect';

export type TeeOutputState = 'connected' | 'left' | 'disconnected';

/** The result for one reader; the keys are those of --json. */
export interface TeeOutputReport {
	name: string;
	/** Bytes written to it. */
	bytes: number;
	/** Bytes that were still unsent when we gave up on it. */
	waitingBytes: number;
	/** Bytes it did not get: dropped, or after it had left. */
	missedBytes: number;
	/** Whole records that were dropped; 0 if records are not separated. */
	missedRecords: number;
	state: TeeOutputState;
}

/** One output of `tee`, with its unsent data. Nothing here waits. */
export interface TeeOutput {
	readonly name: string;
	readonly state: TeeOutputState;
	readonly isConnected: boolean;
	/** Something else than its reader has ended it, and has been reported. */
	readonly hasFailed: boolean;
	/** Bytes that were given and are not sent. */
	readonly waiting: number;
	/** While something waits: the descriptor, and its event after which there may be progress. */
	readonly descriptor: number;
	readonly progressEvent: number;
	/** Sends as much as it accepts now and keeps a copy of the rest. */
	give(bytes: Buffer): void;
	/** It does not get these. */
	miss(bytes: number, records?: number): void;
	/** Before any output is flushed. */
	settle(): void;
	/** Sends as much of the unsent data as it accepts. */
	flush(): void;
	/** After all data was sent: false when it was not possible to say so in time. */
	finish(timeoutMs: number): boolean;
	/** No more data for this output: its reader has left, or we do not wait for it any longer. */
	end(state: 'left' | 'disconnected'): void;
	close(): void;
	report(): TeeOutputReport;
}

/** A descriptor that never blocks. */
export class DescriptorOutput implements TeeOutput {
	readonly progressEvent = POLLOUT;
	readonly hasFailed = false;
	state: TeeOutputState = 'connected';
	waiting = 0;
	private bytes = 0;
	private missedBytes = 0;
	private missedRecords = 0;
	private readonly queue: Buffer[] = [];

	constructor(
		readonly name: string,
		readonly descriptor: number,
		/** Maximum size of a single write; for a descriptor that blocks, what a pipe accepts at once when it is ready. */
		private readonly mostAtOnce: number,
	) {}

	get isConnected(): boolean {
		return this.state === 'connected';
	}

	give(bytes: Buffer): void {
		let rest = bytes;
		if (this.waiting === 0) rest = rest.subarray(this.writeNow(rest));
		if (rest.length === 0) return;
		if (!this.isConnected) {
			this.missedBytes += rest.length;
			return;
		}
		this.queue.push(Buffer.from(rest));
		this.waiting += rest.length;
	}

	miss(bytes: number, records = 0): void {
		this.missedBytes += bytes;
		this.missedRecords += records;
	}

	settle(): void {}

	flush(): void {
		while (this.isConnected && this.queue.length > 0) {
			const first = this.queue[0] as Buffer;
			const written = this.writeNow(first);
			this.waiting -= written;
			if (written < first.length) {
				this.queue[0] = first.subarray(written);
				return;
			}
			this.queue.shift();
		}
	}

	finish(): boolean {
		return true;
	}

	end(state: 'left' | 'disconnected'): void {
		if (!this.isConnected) return;
		this.state = state;
		this.missedBytes += this.waiting;
		this.waiting = 0;
		this.queue.length = 0;
		// Standard output is not ours to close.
		if (this.descriptor > 2) closeSync(this.descriptor);
	}

	close(): void {
		if (this.isConnected && this.descriptor > 2) closeSync(this.descriptor);
	}

	private writeNow(bytes: Buffer): number {
		let written = 0;
		try {
			while (this.isConnected && written < bytes.length) {
				const length = Math.min(bytes.length - written, this.mostAtOnce);
				const count = native.write(this.descriptor, bytes, written, length);
				if (count < 0) break;
				written += count;
				this.bytes += count;
				// A descriptor that blocks accepts this much once poll(2) has reported it ready; more is not guaranteed.
				if (this.mostAtOnce < Number.POSITIVE_INFINITY) break;
			}
		} catch (error) {
			if (!hasCode(error, 'EPIPE')) throw explain(`cannot write to '${this.name}'`, error);
			this.end('left');
		}
		return written;
	}

	report(): TeeOutputReport {
		return {
			name: this.name,
			bytes: this.bytes,
			waitingBytes: this.waiting,
			missedBytes: this.missedBytes,
			missedRecords: this.missedRecords,
			state: this.state,
		};
	}
}
