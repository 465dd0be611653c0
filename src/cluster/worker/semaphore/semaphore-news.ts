import {stream, subjectOf} from '../../semaphore/format.js';
import {sleep} from '../connection.js';
import {Follower} from '../follower.js';
import type {LeaseObserver} from './lease-observer.js';
import {type Entry, entryOf, type SemaphoreBucket} from './semaphore-bucket.js';

/** What happens to a semaphore, from the first wait on. */
export class News implements Disposable {
	private follower: Follower | undefined;
	private latest: Entry | undefined;
	private error: unknown;
	private wake = (): void => {};
	private readonly onClosing = (): void => this.wake();

	constructor(
		private readonly bucket: SemaphoreBucket,
		private readonly name: string,
		private readonly observer: LeaseObserver,
	) {
		bucket.connection.closing.signal.addEventListener('abort', this.onClosing);
	}

	/**
	 * Waits for a newer entry with a free unit, or without a semaphore. Undefined when there was none until then, or when a lease has
	 * ended before.
	 */
	async next(seen: Entry, endAt: number): Promise<Entry | undefined> {
		const {connection} = this.bucket;
		this.follower ??= new Follower(
			connection,
			stream,
			subjectOf(this.name),
			(sequence, {headers, data}) => {
				try {
					this.latest = entryOf(this.name, sequence, headers, data);
				} catch (error) {
					this.error = error;
				}
				if (this.latest?.state) this.observer.observe(this.latest.state);
				this.wake();
			},
			(error) => {
				this.error = error;
				this.wake();
			},
		);
		const {signal} = connection.closing;
		for (;;) {
			if (this.error) throw this.error;
			const entry = this.latest && this.latest.revision > seen.revision ? this.latest : seen;
			if (entry !== seen && (!entry.state || entry.state.value > 0)) return entry;
			const leftMs = Math.min(endAt, entry.state ? this.observer.nextEndAt(entry.state) : endAt) - performance.now();
			if (leftMs <= 0 || signal.aborted) return undefined;
			const stopped = new AbortController();
			const woken = new Promise<void>((resolve) => {
				this.wake = resolve;
			});
			await Promise.race([woken, sleep(Math.min(leftMs, 2 ** 31 - 1), stopped.signal)]);
			stopped.abort();
		}
	}

	[Symbol.dispose](): void {
		this.bucket.connection.closing.signal.removeEventListener('abort', this.onClosing);
		this.follower?.stop();
	}
}
