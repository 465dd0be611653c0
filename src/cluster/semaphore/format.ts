/** How a semaphore lies on the cluster: see ipc-cluster(7), ON THE SERVER. */

/** All semaphores share a key-value bucket; this is its stream. */
export const bucket = 'ipc-sem';
export const stream = `KV_${bucket}`;
const subjectPrefix = `$KV.${bucket}.`;
export const subjectOf = (name: string): string => subjectPrefix + name;
/** A semaphore's key is one word. */
export const allSubjects = `${subjectPrefix}*`;
/** A barrier's key has two words, so it is not among the semaphores. */
export const keyOfBarrier = (name: string): string => `barrier.${name}`;
export const streamSubjects = `${subjectPrefix}>`;
export const nameOf = (subject: string): string => subject.slice(subjectPrefix.length);

/** A process that holds a unit until it gives it back, or does not renew its lease any more. */
export interface HolderState {
	id: string;
	host: string;
	pid: number;
	uid: number;
	command: string;
	/** When it took the unit, by its own clock: for people. */
	since: string;
	leaseMs: number;
	/** Changes with each renewal: who sees the same beat for a whole lease, by its own clock, knows that the holder is gone. */
	beat: number;
}

/** The value of a key. Each change is a compare-and-set on the revision of the key. */
export interface SemaphoreState {
	/** Free units. */
	value: number;
	/** When it was made, and a word that tells it from any other. */
	made: string;
	holders: HolderState[];
	/** The last changes that may not happen twice: a process that got no answer finds out whether its change happened. */
	recent: string[];
}

/** How many of the last changes are kept. */
export const mostRecent = 32;

/** The status of a semaphore on the cluster. */
export interface ClusterSemaphoreStatus {
	name: string;
	value: number;
	made: string;
	holders: HolderState[];
	/** Of the bucket. */
	replicas: number;
}

/** What a process that takes a unit says about itself. */
export type HoldRequest = Omit<HolderState, 'id' | 'since' | 'beat'>;

/** How long an answer may take where the verb has no time limit of its own. */
export const answerMs = 15_000;

export const defaultLeaseMs = 15_000;
