import {nuid} from '@nats-io/transport-node';
import {
	answerMs,
	type HolderState,
	type HoldRequest,
	keyOfBarrier,
	type SemaphoreState,
} from '../../semaphore/format.js';
import {leaseTime} from '../../semaphore/lease-clock.js';
import {refuse} from '../errors.js';
import {LeaseObserver} from './lease-observer.js';
import type {Entry, SemaphoreBucket, Step} from './semaphore-bucket.js';
import {Lease} from './semaphore-lease.js';
import {News} from './semaphore-news.js';

/**
 * A process at a barrier. The barrier is an entry as that of a semaphore is, with the number of parties as its value and the processes
 * that have arrived as its holders. When all have arrived, one of them removes it: that opens it. The next round has a new entry.
 */
export class BarrierMember {
	private readonly key: string;
	private readonly observer = new LeaseObserver();
	private lease: Lease | undefined;
	private holder: HolderState;
	private made = '';
	private entry: Entry = {revision: 0, state: undefined};

	constructor(
		private readonly bucket: SemaphoreBucket,
		name: string,
		private readonly parties: number,
		private readonly request: HoldRequest,
	) {
		this.key = keyOfBarrier(name);
		this.holder = this.newHolder();
	}

	private newHolder(): HolderState {
		return {...this.request, id: nuid.next(), since: new Date().toISOString(), beat: 0};
	}

	/** How many have arrived, this one included. */
	async arrive(): Promise<number> {
		const fresh = `${new Date().toISOString()} ${nuid.next().slice(-6)}`;
		for (;;) {
			const at = leaseTime();
			const {result, entry} = await this.bucket.change(this.key, ({state}): Step<number | 'full'> => {
				if (!state) return {write: {value: this.parties, made: fresh, holders: [this.holder], recent: []}, result: 1};
				const {holders, value} = state;
				if (holders.some(({id}) => id === this.holder.id)) return {result: holders.length};
				// It is about to be opened: this process belongs to the next round.
				if (holders.length >= value) return {write: 'remove', result: 'full'};
				if (value !== this.parties) refuse('parties', String(value));
				return {write: {...state, holders: [...holders, this.holder]}, result: holders.length + 1};
			});
			if (result === 'full' || !entry.state) continue;
			this.entry = entry;
			this.made = entry.state.made;
			const renewed = new Float64Array(2);
			this.lease = new Lease(this.bucket, this.key, {...this.holder}, this.made, renewed, at);
			return result;
		}
	}

	/** Waits until all have arrived; false when they have not in time (negative: without limit), and then it has left. */
	async wait(timeoutMs: number): Promise<boolean> {
		const end = timeoutMs < 0 ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
		// Without a limit a lost connection is not the end; otherwise an answer may be late.
		const left = () => (timeoutMs < 0 ? -1 : answerMs + Math.max(0, end - performance.now()));
		using news = new News(this.bucket, this.key, this.observer);
		for (;;) {
			const {entry} = await this.bucket.change(this.key, (seen) => this.advance(seen), {
				known: this.entry,
				timeoutMs: left(),
			});
			const state = this.roundIn(entry);
			if (!state) {
				this.lease?.end();
				return true;
			}
			if (!state.holders.some(({id}) => id === this.holder.id)) {
				// This process did not run for so long that it counted as dead.
				this.lease?.end();
				this.holder = this.newHolder();
				await this.arrive();
				continue;
			}
			if (performance.now() >= end || this.bucket.connection.closing.signal.aborted) return this.leave();
			this.entry = (await news.next(entry, end)) ?? (await this.bucket.read(this.key, left()));
		}
	}

	/** Undefined once it has been opened. */
	private roundIn({state}: Entry): SemaphoreState | undefined {
		return state?.made === this.made ? state : undefined;
	}

	/** Opens the barrier when all are there; otherwise leaves out those that have died. */
	private advance(entry: Entry): Step<undefined> {
		const state = this.roundIn(entry);
		if (!state) return {result: undefined};
		this.observer.observe(state);
		const alive = state.holders.filter((holder) => holder.id === this.holder.id || !this.observer.isDead(holder));
		if (alive.length >= state.value) return {write: 'remove', result: undefined};
		if (alive.length === state.holders.length) return {result: undefined};
		return {write: {...state, holders: alive}, result: undefined};
	}

	/** Whether it was opened before this process had left. */
	async leave(): Promise<boolean> {
		this.lease?.end();
		const {result} = await this.bucket.change(this.key, (entry): Step<boolean> => {
			const state = this.roundIn(entry);
			if (!state) return {result: true};
			const others = state.holders.filter(({id}) => id !== this.holder.id);
			if (others.length === state.holders.length) return {result: false};
			// All have arrived, and none of them has opened it yet.
			if (state.holders.length >= state.value) return {write: 'remove', result: true};
			return {write: others.length === 0 ? 'remove' : {...state, holders: others}, result: false};
		});
		return result;
	}
}
