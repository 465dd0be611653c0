import {leaseParts} from '../../../objects/semaphore/holding.js';
import type {HolderState, SemaphoreState} from '../../semaphore/format.js';
import {type LeaseTime, leaseTime} from '../../semaphore/lease-clock.js';
import {setWatchdog} from '../../semaphore/watchdog.js';
import {sleep} from '../connection.js';
import {refusalOf} from '../errors.js';
import type {Entry, SemaphoreBucket, Step} from './semaphore-bucket.js';

/** A holder renews its lease when this part of its time has passed. */
const renewalsInLease = 5;

/** Why a holder is a holder no more: the semaphore was removed, or the unit was given to another process. */
export type Loss = 'removed' | 'gone';

/** A unit that this process holds, as long as it renews its lease. */
export class Lease {
	/** Resolves when the lease cannot be renewed any more. */
	readonly lost: Promise<Loss>;
	private lose: (loss: Loss) => void = () => {};
	private readonly ended = new AbortController();
	private watchdog = -1;
	/** As it left the entry: often no other process has changed it since. */
	private known: Entry | undefined;

	/** @param renewed where the time of the last renewal is written, for the thread that waits for the command. */
	constructor(
		private readonly bucket: SemaphoreBucket,
		private readonly name: string,
		readonly holder: HolderState,
		/** Tells a semaphore from another one that was made later. */
		private readonly made: string,
		private readonly renewed: Float64Array,
		takenAt: LeaseTime,
	) {
		this.lost = new Promise((resolve) => {
			this.lose = resolve;
		});
		renewed.set(takenAt);
		void this.keep();
	}

	private async keep(): Promise<void> {
		const {leaseMs} = this.holder;
		let pauseMs = leaseMs / renewalsInLease;
		for (;;) {
			await sleep(pauseMs, this.ended.signal);
			if (this.ended.signal.aborted) return;
			try {
				const result = await this.renew(leaseMs / renewalsInLease);
				if (result !== 'renewed') {
					// No other process can get the unit of a semaphore that is gone.
					if (result === 'removed') this.tellWatchdog(Number.MAX_SAFE_INTEGER);
					return this.lose(result);
				}
				pauseMs = leaseMs / renewalsInLease;
			} catch (error) {
				if (!refusalOf(error)) throw error;
				// Whatever it is, it may be over in time: the command's thread ends the command when it is not.
				pauseMs = leaseMs / renewalsInLease / 10;
			}
		}
	}

	private async renew(timeoutMs: number): Promise<'renewed' | Loss> {
		// A beat counts from before it could be seen.
		let at = leaseTime();
		const {result, entry} = await this.bucket.change<'renewed' | Loss>(
			this.name,
			(entry) => {
				at = leaseTime();
				const state = this.stateIn(entry);
				if (!state) return {result: 'removed'};
				const isHere = state.holders.some(({id}) => id === this.holder.id);
				if (!isHere || this.ended.signal.aborted) return {result: 'gone'};
				const beat = ++this.holder.beat;
				const holders = state.holders.map((holder) => (holder.id === this.holder.id ? {...holder, beat} : holder));
				return {write: {...state, holders}, result: 'renewed'};
			},
			{timeoutMs, known: this.known},
		);
		if (result === 'renewed') {
			this.known = entry;
			this.renewed.set(at);
			this.tellWatchdog(at[0] + leaseParts.killed * this.holder.leaseMs);
		}
		return result;
	}

	/** From now on this process ends the command when we do not renew the lease, even if we are stopped or killed. */
	useWatchdog(descriptor: number): void {
		this.watchdog = descriptor;
		this.tellWatchdog((this.renewed[0] as number) + leaseParts.killed * this.holder.leaseMs);
	}

	private tellWatchdog(deadlineMs: number): void {
		if (this.watchdog >= 0) setWatchdog(this.watchdog, deadlineMs);
	}

	private stateIn({state}: Entry): SemaphoreState | undefined {
		return state?.made === this.made ? state : undefined;
	}

	/** Renews it no more. */
	end(): void {
		this.ended.abort();
	}

	/** Gives the unit back, unless that has been done already. */
	async release(): Promise<void> {
		this.end();
		await this.bucket.change(this.name, (entry): Step<undefined> => {
			const state = this.stateIn(entry);
			const holders = state?.holders.filter(({id}) => id !== this.holder.id) ?? [];
			if (!state || holders.length === state.holders.length) return {result: undefined};
			return {write: {...state, value: state.value + 1, holders}, result: undefined};
		});
	}
}
