import {DiscardPolicy, StorageType, type StreamInfo} from '@nats-io/jetstream';
import {headers, type MsgHdrs, nanos, nuid} from '@nats-io/transport-node';
import {
	allSubjects,
	answerMs,
	bucket,
	type HolderState,
	mostRecent,
	nameOf,
	type SemaphoreState,
	stream,
	streamSubjects,
	subjectOf,
} from '../../semaphore/format.js';
import {type Connection, requestTimeoutMs, sleep} from '../connection.js';
import {refusalOf, refuse} from '../errors.js';
import {storeOn} from '../replicas.js';

/** The entry of a semaphore as it was last seen. */
export interface Entry {
	/** 0 where there never was one. */
	revision: number;
	/** Undefined where it does not exist, or has been removed. */
	state: SemaphoreState | undefined;
}

/** What a change makes of an entry: a new state, or nothing to write; and what to tell the caller. */
export interface Step<Result> {
	write?: SemaphoreState | 'remove';
	result: Result;
}

export interface Changed<Result> {
	result: Result;
	/** The entry that it was decided on; the one that it made where it wrote. */
	entry: Entry;
}

const noAnswer = ['timeout', 'the cluster does not answer'] as const;
const unknown = ['unknown', 'the cluster has not answered, and it is not known whether the change was made'] as const;
const longestPauseMs = 50;
const headlessPauseMs = 250;
const firstReadMs = 1000;
const mostReadMs = 2000;
/** A marker instead of a value; with it goes what was there before. */
const operation = 'KV-Operation';

/** The bucket of all semaphores: reads entries, and changes them by compare-and-set. */
export class SemaphoreBucket {
	constructor(readonly connection: Connection) {}

	/** Makes the bucket where it is missing; stores it on more servers where that is wanted, never on fewer. */
	async prepare(replicas: number | undefined): Promise<void> {
		const {streams} = await this.connection.streams();
		const found = await this.info();
		if (found) {
			if (replicas !== undefined && replicas > found.config.num_replicas)
				await storeOn(this.connection, stream, replicas);
			return;
		}
		try {
			await streams.add({
				name: stream,
				subjects: [streamSubjects],
				max_msgs_per_subject: 1,
				discard: DiscardPolicy.New,
				storage: StorageType.File,
				num_replicas: replicas ?? 1,
				deny_delete: true,
				allow_rollup_hdrs: true,
				// A server that lags behind must not answer.
				allow_direct: false,
				duplicate_window: nanos(120_000),
			});
		} catch (error) {
			// Another process has made it meanwhile.
			if (refusalOf(error)?.reason !== 'exists') throw error;
		}
	}

	/** Undefined where there is no bucket yet. */
	async info(subjects?: string): Promise<StreamInfo | undefined> {
		const {streams} = await this.connection.streams();
		try {
			return await this.connection.retry(
				() => streams.info(stream, subjects === undefined ? undefined : {subjects_filter: subjects}),
				answerMs,
			);
		} catch (error) {
			if (refusalOf(error)?.reason === 'no-such') return undefined;
			throw error;
		}
	}

	/** The names of all semaphores, removed ones too. */
	async names(): Promise<string[]> {
		const info = await this.info(allSubjects);
		return Object.keys(info?.state.subjects ?? {})
			.map(nameOf)
			.sort();
	}

	/** Asks the server that leads. `look`: what to make of the entry. */
	async read(name: string, timeoutMs = answerMs, look = entryOf): Promise<Entry> {
		// While a bucket has no leader a question gets lost, and the next one may not.
		let mostMs = firstReadMs / 2;
		return this.connection.retry(async () => {
			mostMs = Math.min(2 * mostMs, mostReadMs);
			const {streams} = await this.connection.streams(Math.min(mostMs, requestLimit(timeoutMs)));
			try {
				const found = await streams.getMessage(stream, {last_by_subj: subjectOf(name)});
				return found ? look(name, found.seq, found.header, found.data) : {revision: 0, state: undefined};
			} catch (error) {
				if (refusalOf(error)?.reason === 'no-such') return {revision: 0, state: undefined};
				throw error;
			}
		}, timeoutMs);
	}

	/**
	 * Decides on the entry as it is and writes what comes out, again and again until no other process has changed it meanwhile. `once`:
	 * the change must not happen twice, and does not show in the state; where an answer was lost its mark tells.
	 *
	 * @param timeoutMs how long this may take (negative: without limit).
	 * @param known the entry as it was last seen, which saves a request.
	 * @param look what to make of an entry.
	 * @throws Refused `timeout` when there was no answer in time, `unknown` when it cannot be known any more whether it happened.
	 */
	async change<Result>(
		name: string,
		decide: (entry: Entry) => Step<Result>,
		{
			once = false,
			timeoutMs = answerMs,
			known,
			look = entryOf,
		}: {once?: boolean; timeoutMs?: number; known?: Entry | undefined; look?: typeof entryOf} = {},
	): Promise<Changed<Result>> {
		const end = timeoutMs < 0 ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
		const left = () => (end === Number.POSITIVE_INFINITY ? -1 : Math.max(1, end - performance.now()));
		const mark = nuid.next().slice(-12);
		let lost: {result: Result; recent: readonly string[]} | undefined;
		for (let round = 0; ; round++) {
			const entry = (round === 0 && known) || (await this.read(name, left(), look));
			if (once && lost) {
				if (entry.state?.recent.includes(mark)) return {result: lost.result, entry};
				if (hasRolledOver(lost.recent, entry.state?.recent ?? [])) refuse(...unknown);
			}
			const {write, result} = decide(entry);
			if (write === undefined) return {result, entry};
			const state = once && write !== 'remove' ? {...write, recent: [...write.recent, mark].slice(-mostRecent)} : write;
			try {
				const revision = await this.write(name, state, entry.revision, left());
				return {result, entry: {revision, state: state === 'remove' ? undefined : state}};
			} catch (error) {
				const reason = refusalOf(error)?.reason;
				if (reason === 'timeout') lost = {result, recent: entry.state?.recent ?? []};
				// The bucket has no leader at this moment: nothing was stored.
				const isHeadless = reason === 'no-jetstream' && entry.revision > 0;
				if (reason !== 'timeout' && reason !== 'changed' && !isHeadless) throw error;
				if (reason !== 'changed' && (this.connection.closing.signal.aborted || performance.now() >= end))
					isHeadless ? refuse(...noAnswer) : refuse(...unknown);
				// Others do the same at this moment.
				await sleep(isHeadless ? headlessPauseMs : Math.random() * Math.min(longestPauseMs, 2 ** round));
			}
		}
	}

	/** @throws Refused `changed` where it has another revision. */
	private async write(
		name: string,
		state: SemaphoreState | 'remove',
		revision: number,
		timeoutMs: number,
	): Promise<number> {
		const jetStream = await this.connection.jetStream();
		const isRemoval = state === 'remove';
		const more = headers();
		if (isRemoval) {
			more.set(operation, 'PURGE');
			more.set('Nats-Rollup', 'sub');
		}
		const {seq} = await jetStream.publish(subjectOf(name), isRemoval ? '' : JSON.stringify(state), {
			headers: more,
			expect: {lastSubjectSequence: revision},
			timeout: requestLimit(timeoutMs),
		});
		return seq;
	}
}

const requestLimit = (timeoutMs: number): number =>
	timeoutMs < 0 ? requestTimeoutMs : Math.max(1, Math.min(requestTimeoutMs, timeoutMs));

/** Whether more changes have been made since than marks are kept. */
function hasRolledOver(before: readonly string[], now: readonly string[]): boolean {
	const last = before.at(-1);
	return last === undefined ? now.length >= mostRecent : !now.includes(last);
}

/** @throws Refused `foreign` for what is not a semaphore. */
export function entryOf(name: string, revision: number, header: MsgHdrs | undefined, data: Uint8Array): Entry {
	if (header?.has(operation)) return {revision, state: undefined};
	try {
		const state: unknown = JSON.parse(Buffer.from(data).toString());
		if (isState(state)) return {revision, state};
	} catch {
		// Refused below.
	}
	const remedy = name.includes('.') ? `nats kv del ${bucket} ${name}` : 'ipc-sem remove';
	return refuse(
		'foreign',
		`the entry '${name}' of the bucket is not a semaphore of ipc-sem (delete it with: ${remedy})`,
	);
}

/** An entry whatever it has become: to remove it. */
export const anyEntryOf: typeof entryOf = (_name, revision, header) => ({
	revision,
	state: header?.has(operation) ? undefined : {value: 0, made: '', holders: [], recent: []},
});

/** Any client of the cluster can write an entry. */
function isState(state: unknown): state is SemaphoreState {
	const {value, made, holders, recent} = state as Partial<SemaphoreState>;
	return (
		isCount(value) &&
		typeof made === 'string' &&
		Array.isArray(holders) &&
		holders.every(isHolder) &&
		Array.isArray(recent) &&
		recent.every((mark) => typeof mark === 'string')
	);
}

function isHolder(holder: unknown): holder is HolderState {
	const {id, host, pid, uid, command, since, leaseMs, beat} = holder as Partial<HolderState>;
	return (
		[id, host, command, since].every((text) => typeof text === 'string') &&
		[pid, uid, leaseMs, beat].every(isCount) &&
		!Number.isNaN(Date.parse(since as string))
	);
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
