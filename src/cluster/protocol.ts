import type {ConnectionSettings} from '../common/cluster.js';

/**
 * What the thread of a command and the worker thread with the client of NATS tell one another. Everything here can be copied between
 * threads.
 */

/** What the worker starts with. */
export interface WorkerStart {
	settings: ConnectionSettings;
	/** How errors name the cluster. */
	shown: string;
	/** How a line to a person is written. */
	output: {command: string; quiet: boolean};
	/** A byte written here ends a poll(2) of the other thread. */
	wake: number;
	/** See {@link flags}. */
	shared: SharedArrayBuffer;
}

/** Indexes into the shared memory, of 32-bit words. */
export const flags = {
	/** 1 from the byte written to `wake` until the other thread has read it. */
	woken: 0,
	/** Messages sent to the command's thread, for a wait that no signal ends. */
	sent: 1,
	length: 2,
} as const;

export interface Request {
	/** 0 where no answer is wanted. */
	id: number;
	method: string;
	args: readonly unknown[];
}

export type Answer =
	| {id: number; result: unknown}
	| {id: number; refusal: RefusalData}
	/** A defect of ours in the worker. */
	| {defect: string};

/** Why the cluster refused, in a word to branch on where a verb does, and in words for a person. */
export interface RefusalData {
	reason: string;
	text: string;
}

/** The methods of one kind of object in the worker: what `Channel` calls by name. */
// biome-ignore lint/suspicious/noExplicitAny: the arguments are those of each method
export type Methods = Record<string, (...args: any[]) => Promise<unknown>>;
