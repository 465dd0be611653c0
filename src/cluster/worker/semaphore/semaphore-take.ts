import {nuid} from '@nats-io/transport-node';
import type {HolderState, HoldRequest} from '../../semaphore/format.js';
import {type LeaseTime, leaseTime} from '../../semaphore/lease-clock.js';
import {refusalOf, refuse} from '../errors.js';
import {LeaseObserver} from './lease-observer.js';
import type {Entry, SemaphoreBucket, Step} from './semaphore-bucket.js';
import {News} from './semaphore-news.js';

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
 * holder is put into the list; any other unit is gone for good. `answerMs` limits the time in which the cluster does not answer.
 */
export async function take(
	bucket: SemaphoreBucket,
	name: string,
	request: HoldRequest | undefined,
	timeoutMs: number,
	answerMs = timeoutMs,
): Promise<Taken | undefined> {
	const {closing} = bucket.connection;
	const end = timeoutMs < 0 ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
	const isOver = () => closing.signal.aborted || performance.now() >= end;
	const answerEnd = answerMs < 0 ? Number.POSITIVE_INFINITY : performance.now() + answerMs;
	const left = () => (answerMs < 0 ? -1 : Math.max(1, answerEnd - performance.now()));
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

/** Gives back the units of holders that have not renewed their leases: how many. Looks at each holder for a whole lease at most. */
export async function reap(bucket: SemaphoreBucket, name: string): Promise<number> {
	const observer = new LeaseObserver();
	using news = new News(bucket, name, observer);
	let first: ReadonlyMap<string, number> | undefined;
	let reaped = 0;
	for (;;) {
		const {result, entry} = await bucket.change(
			name,
			({state}): Step<number> => {
				if (!state) return noSuch();
				observer.observe(state);
				const alive = state.holders.filter((holder) => !observer.isDead(holder));
				const dead = state.holders.length - alive.length;
				return dead === 0 ? {result: 0} : {write: {...state, value: state.value + dead, holders: alive}, result: dead};
			},
			{once: true},
		);
		reaped += result;
		const holders = entry.state?.holders ?? [];
		first ??= new Map(holders.map(({id, beat}) => [id, beat]));
		const known = first;
		// Those that have renewed their leases since are alive.
		if (!holders.some(({id, beat}) => known.get(id) === beat) || bucket.connection.closing.signal.aborted)
			return reaped;
		await news.next(entry, Number.POSITIVE_INFINITY);
	}
}
