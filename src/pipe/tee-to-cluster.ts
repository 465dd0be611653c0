import {SystemError} from '../common/errors.js';
import {tellError} from '../common/output.js';
import {POLLIN} from '../native/index.js';
import type {PipeFeed} from '../objects/fifo/pipe.js';
import type {TeeOutput, TeeOutputReport, TeeOutputState} from './tee-output.js';

/** A pipe on a cluster: it keeps what its reader leaves, so that only its removal, or a refusal, ends it. */
export class ClusterOutput implements TeeOutput {
	readonly progressEvent = POLLIN;
	state: TeeOutputState = 'connected';
	hasFailed = false;
	private missedBytes = 0;
	private missedRecords = 0;

	constructor(
		readonly name: string,
		private readonly feed: PipeFeed,
	) {}

	get isConnected(): boolean {
		return this.state === 'connected';
	}

	get waiting(): number {
		return this.feed.waiting;
	}

	get descriptor(): number {
		return this.feed.descriptor;
	}

	give(bytes: Buffer): void {
		this.feed.give(bytes);
	}

	miss(bytes: number, records = 0): void {
		this.missedBytes += bytes;
		this.missedRecords += records;
	}

	settle(): void {
		this.feed.settle();
	}

	flush(): void {
		if (!this.isConnected) return;
		try {
			this.feed.takeNews();
		} catch (error) {
			if (!(error instanceof SystemError)) throw error;
			tellError(error.message);
			this.hasFailed = true;
			this.end('left');
		}
	}

	finish(timeoutMs: number): boolean {
		return !this.isConnected || this.feed.finish(timeoutMs);
	}

	end(state: 'left' | 'disconnected'): void {
		if (!this.isConnected) return;
		this.state = state;
		this.missedBytes += this.feed.waiting;
		this.feed.abandon();
	}

	close(): void {
		this.feed.close();
	}

	report(): TeeOutputReport {
		return {
			name: this.name,
			bytes: this.feed.stored,
			waitingBytes: this.waiting,
			missedBytes: this.missedBytes,
			missedRecords: this.missedRecords,
			state: this.state,
		};
	}
}
