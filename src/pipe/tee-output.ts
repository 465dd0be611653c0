import {closeSync} from 'node:fs';
import {explain, hasCode} from '../common/errors.js';
import {native} from '../native/index.js';

/** What to do with a subscriber that has as much waiting for it as its buffer holds. */
export type SlowPolicy = 'block' | 'drop' | 'disconnect';

export type TeeOutputState = 'connected' | 'left' | 'disconnected';

/** What became of one subscriber; the keys are those of --json. */
export interface TeeOutputReport {
	name: string;
	/** Bytes written to it. */
	bytes: number;
	/** Bytes that still waited for it at the end, when it was given up on. */
	waitingBytes: number;
	/** Bytes it did not get: dropped, or after it had left. */
	missedBytes: number;
	/** Whole records that were dropped; 0 where no records are told apart. */
	missedRecords: number;
	state: TeeOutputState;
}

/** One output of `tee`, with what waits for it. Its descriptor never blocks. */
export class TeeOutput {
	state: TeeOutputState = 'connected';
	waiting = 0;
	private bytes = 0;
	private missedBytes = 0;
	private missedRecords = 0;
	private readonly queue: Buffer[] = [];

	constructor(
		readonly name: string,
		readonly descriptor: number,
		/** The most a single write may have; for a descriptor that blocks, what a pipe takes at once when it is ready. */
		private readonly mostAtOnce: number,
	) {}

	get isConnected(): boolean {
		return this.state === 'connected';
	}

	/** Writes what it takes right now and keeps a copy of the rest. */
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

	/** Writes of what waits as much as it takes. Call it when it is ready. */
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

	/** No more for this one: it has left, or we do not wait for it any longer. */
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
				// A descriptor that blocks takes this much once poll(2) has said so, and no more is promised.
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
