import {nuid} from '@nats-io/transport-node';
import {type HolderState, type HoldRequest, stream, subjectOf} from '../semaphore/format.js';
import {type LeaseTime, leaseTime} from '../semaphore/lease-clock.js';
import {sleep} from './connection.js';
import {refusalOf, refuse} from './errors.js';
import {Follower} from './follower.js';
import {LeaseObserver} from './lease-observer.js';
import {type Entry, entryOf, type SemaphoreBucket, type Step} from './semaphore-bucket.js';

/** A unit that was taken. */
export interface Taken {
	/** The revision of the change: grows with each one. */
	fence: number;
	/** Tells a semaphore from another one that was made later. */
	made: string;
	/** When a holder's lease began, and what it is in the list. */
	holder?: {at: LeaseTime; state: HolderState};
}

export const noSuch = (): never => refuse('no-such', 'no such semaphore');

/**
 * Takes a unit, or that of a holder that has not renewed its lease; waits for one `timeoutMs` at most (negative: without limit). A
 * holder is put into the list; any other unit is gone for good.
 */
export async function take(
	bucket: SemaphoreBucket,
	name: string,
	request: HoldRequest | undefined,
	timeoutMs: number,
): Promise<Taken | undefined> {
	const {closing} = bucket.connection;
	const end = timeoutMs < 0 ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
	const isOver = () => closing.signal.aborted || performance.now() >= end;
	// What does not wait needs an answer all the same.
	const left = () => (timeoutMs <= 0 ? -1 : Math.max(1, end - performance.now()));
	const observer = new LeaseObserver();
	const id = nuid.next();
	/** When each attempt began: the beat that is in the list tells which one succeeded. */
	const attempts: LeaseTime[] = [];
	const decide = ({state}: Entry): Step<boolean> => {
		if (!state) return noSuch();
		if (state.holders.some((holder) => holder.id === id)) return {result: true};
		observer.observe(state);
		const alive = state.holders.filter((holder) => !observer.isDead(holder));
		const free = state.value + state.holders.length - alive.length;
		if (free === 0 || closing.signal.aborted) return {result: false};
		const mine = request && {...request, id, since: new Date().toISOString(), beat: attempts.push(leaseTime()) - 1};
		return {write: {...state, value: free - 1, holders: mine ? [...alive, mine] : alive}, result: true};
	};
	let known: Entry | undefined;
	using news = new News(bucket, name, observer);
	try {
		for (;;) {
			const {result, entry} = await bucket.change(name, decide, {once: !request, timeoutMs: left(), known});
			const {revision, state} = entry;
			if (result) {
				const mine = state?.holders.find((holder) => holder.id === id);
				const taken = {fence: revision, made: state?.made ?? ''};
				return mine ? {...taken, holder: {at: attempts[mine.beat] as LeaseTime, state: mine}} : taken;
			}
			if (isOver() || !state) return undefined;
			known = await news.next(entry, end);
			if (isOver()) return undefined;
		}
	} catch (error) {
		const reason = refusalOf(error)?.reason;
		if (timeoutMs <= 0 || !isOver() || (reason !== 'timeout' && reason !== 'unknown')) throw error;
		bucket.connection.tell(
			reason === 'timeout'
				? 'the cluster does not answer'
				: 'the cluster has not answered, and it is not known whether a unit was taken',
		);
		return undefined;
	}
}

/** What happens to a semaphore, from the first wait on. */
class News implements Disposable {
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
