import {nuid} from '@nats-io/transport-node';
import type {ClusterSemaphoreStatus, HoldRequest, SemaphoreState} from '../../semaphore/format.js';
import type {Connection} from '../connection.js';
import {refusalOf, refuse} from '../errors.js';
import {BarrierMember} from './barrier.js';
import {anyEntryOf, type Entry, SemaphoreBucket, type Step} from './semaphore-bucket.js';
import {Lease, type Loss} from './semaphore-lease.js';
import {noSuch, reap, take} from './semaphore-take.js';
import {SemaphoreView, statusOf} from './semaphore-view.js';

/** SEM_VALUE_MAX, as on one machine. */
const mostUnits = 2 ** 31 - 1;

/** A semaphore is an entry of a key-value bucket: see ipc-cluster(7). */
export function semaphoreMethods(connection: Connection) {
	const bucket = new SemaphoreBucket(connection);
	const leases = new Map<string, Lease>();
	/** Units that were taken, and that the command's thread may not have heard of. */
	const unheard: string[] = [];
	const members = new Map<string, BarrierMember>();
	const views = new Map<string, SemaphoreView>();
	const taking = new Set<Promise<unknown>>();

	const post = (name: string, count: number) =>
		bucket.change(
			name,
			({state}): Step<undefined> => {
				if (!state) return noSuch();
				if (state.value + count > mostUnits) refuse('overflow', String(state.value));
				return {write: {...state, value: state.value + count}, result: undefined};
			},
			{once: true},
		);

	const takeAndTell = (...args: Parameters<typeof take> extends [unknown, ...infer Rest] ? Rest : never) => {
		const taken = take(bucket, ...args);
		const settled: Promise<unknown> = taken.catch(() => undefined).finally(() => taking.delete(settled));
		taking.add(settled);
		return taken;
	};

	connection.onClose.add(async () => {
		await Promise.all(taking);
		await Promise.all([...leases.values()].map((lease) => lease.release()));
		for (const name of unheard) await post(name, 1);
		for (const member of members.values()) await member.leave();
	});

	return {
		/** Whether it was made; false where there is one already. */
		async semCreate(name: string, value: number, replicas: number | undefined): Promise<boolean> {
			await bucket.prepare(replicas);
			const made = `${new Date().toISOString()} ${nuid.next().slice(-6)}`;
			const {result} = await bucket.change(name, ({state}): Step<boolean> => {
				// Where an answer was lost it may be ours.
				if (state) return {result: state.made === made};
				const fresh: SemaphoreState = {value, made, holders: [], recent: []};
				return {write: fresh, result: true};
			});
			return result;
		},

		/** @throws Refused `no-such` */
		async semValue(name: string): Promise<number> {
			const {state} = await bucket.read(name);
			return state?.value ?? noSuch();
		},

		async semPost(name: string, count: number): Promise<void> {
			await post(name, count);
		},

		/** Whether a unit was taken in time. It comes back at the end, unless `semHeard` follows. */
		async semTake(name: string, timeoutMs: number, answerMs: number): Promise<boolean> {
			const taken = await takeAndTell(name, undefined, timeoutMs, answerMs);
			if (taken) unheard.push(name);
			return taken !== undefined;
		},

		async semHeard(): Promise<void> {
			unheard.length = 0;
		},

		/** Takes a unit and renews its lease from then on; `renewed` is shared, and says when that was last done. */
		async semHold(
			name: string,
			request: HoldRequest,
			timeoutMs: number,
			answerMs: number,
			renewed: Float64Array,
		): Promise<{id: string; fence: number} | undefined> {
			const taken = await takeAndTell(name, request, timeoutMs, answerMs);
			if (!taken?.holder) return undefined;
			const {state, at} = taken.holder;
			leases.set(state.id, new Lease(bucket, name, state, taken.made, renewed, at));
			return {id: state.id, fence: taken.fence};
		},

		/** Answers when the lease is lost. */
		semLost: (id: string): Promise<Loss> => leases.get(id)?.lost ?? Promise.resolve('gone'),

		async semUseWatchdog(id: string, descriptor: number): Promise<boolean> {
			leases.get(id)?.useWatchdog(descriptor);
			return true;
		},

		async semRelease(id: string): Promise<boolean> {
			await leases.get(id)?.release();
			leases.delete(id);
			return true;
		},

		/** How many units of dead holders were given back. */
		semReap: (name: string): Promise<number> => reap(bucket, name),

		/** How many have arrived at the barrier, this process included. */
		async semArrive(name: string, parties: number, request: HoldRequest): Promise<number> {
			await bucket.prepare(undefined);
			const member = new BarrierMember(bucket, name, parties, request);
			const count = await member.arrive();
			members.set(name, member);
			return count;
		},

		/** Whether all have arrived in time; otherwise this process has left. */
		async semMeet(name: string, timeoutMs: number): Promise<boolean> {
			const isOpen = (await members.get(name)?.wait(timeoutMs)) ?? false;
			members.delete(name);
			return isOpen;
		},

		async semRemove(name: string): Promise<void> {
			// Where an answer was lost it may be gone because of us.
			let hasTried = false;
			await bucket.change(
				name,
				({state}): Step<undefined> => {
					if (!state) return hasTried ? {result: undefined} : noSuch();
					hasTried = true;
					return {write: 'remove', result: undefined};
				},
				{look: anyEntryOf},
			);
		},

		/** The same of one, which is followed from the first time on; undefined while it does not exist. */
		semView(name: string): Promise<ClusterSemaphoreStatus | undefined> {
			const view = views.get(name) ?? new SemaphoreView(bucket, name);
			views.set(name, view);
			return view.look();
		},

		/** Of these, or of all that are semaphores; those that do not exist are left out. */
		async semStatus(names?: readonly string[]): Promise<ClusterSemaphoreStatus[]> {
			const replicas = (await bucket.info())?.config.num_replicas ?? 1;
			const all = names ?? (await bucket.names());
			const readOne = (name: string): Promise<Entry> =>
				bucket.read(name).catch((error) => {
					if (names || refusalOf(error)?.reason !== 'foreign') throw error;
					return {revision: 0, state: undefined};
				});
			const entries = await Promise.all(all.map(readOne));
			return all.flatMap((name, i) => statusOf(name, entries[i] as Entry, replicas));
		},
	};
}

export type SemaphoreMethods = ReturnType<typeof semaphoreMethods>;
