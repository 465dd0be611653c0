/** How signals travel on the cluster: see ipc-cluster(7). */

export const subjectOf = (name: string): string => `ipc.signal.${name}`;

/** How long a process that has a name may take to answer. */
export const answerTimeoutMs = 4000;
/** The same for one that is asked whether it keeps its name: one that has just been killed is asked in vain, the first time. */
export const claimTimeoutsMs = [1000, 9000];

/** A process as it describes itself: the server does not check it. */
export interface Claimed {
	host: string;
	pid: number;
	uid: number;
}

/** A signal for the process that has the name. Its name is sent, since numbers differ between machines. */
export interface SignalRequest extends Claimed {
	signal: string;
	value: number | null;
}

/** Who has the name? */
export interface FindRequest {
	find: true;
}

/** A process wants the name: all others that have it, or want it too, answer. */
export interface ClaimRequest extends Claimed {
	claim: string;
}

export interface SignalAnswer extends Claimed {
	result: 'queued' | 'full' | 'not-wanted' | 'bad-value' | 'found' | 'not-yet';
	/** Those that it waits for. */
	signals: string[];
}

export interface ClaimAnswer extends Claimed {
	/** Whether it keeps the name; otherwise it gives way. */
	keeps: boolean;
}
