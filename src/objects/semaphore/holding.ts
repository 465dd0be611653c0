export interface HoldSettings {
	/** How long to wait for a unit; negative: without limit. */
	timeoutMs?: number;
	/** What the list shows as the holder's command. */
	command?: string;
	/** Whether commands we start from now on hold the unit too, as long as they live. */
	inherit?: boolean;
	/** Called once before the first wait. */
	onWait?: () => void;
	/** On a cluster: how long the unit is ours without a renewal. */
	leaseMs?: number | undefined;
}

/** One recorded holder; the keys are those of --json. */
export interface Holder {
	pid: number;
	uid: number;
	command: string;
	/** When it took the unit, ISO 8601. */
	since: string;
	/**
	 * `held`: by the process itself. `left`: the process has ended, and a process it started still holds the unit.
	 * `dead`: no process holds it. On a cluster this cannot be seen: `held`.
	 */
	state: 'held' | 'left' | 'dead';
	/** The machine that it runs on, as it says; of a semaphore on a cluster only. */
	host?: string;
	/** The time after which its unit is free when it is not renewed; of a semaphore on a cluster only. */
	leaseMs?: number;
}

/** A unit that is held. */
export interface Holding extends Disposable {
	/** The descriptor whose lock is the unit; commands inherit it if that was asked for. */
	readonly descriptor: number;
	/**
	 * Releases the unit; false when a process that we started still holds it: then the unit is released when that process
	 * ends.
	 */
	letGo(): boolean;
	/** Of a unit on a cluster. */
	readonly lease?: Lease;
}

/**
 * What happens to a command whose unit on a cluster is not renewed, as parts of the lease: it is told to end, and it is killed. At the
 * end of the lease another process may take the unit.
 */
export const leaseParts = {told: 2 / 3, killed: 5 / 6} as const;

/** A unit on a cluster is ours only as long as its lease is renewed, which happens by itself. */
export interface Lease {
	readonly lengthMs: number;
	/** Grows with each unit that is taken of this semaphore. */
	readonly fence: number;
	/** Becomes readable when there is news. */
	readonly descriptor: number;
	/**
	 * Takes the news. `gone`: the unit was given to another process, `removed`: the semaphore was. `ageMs` is the time since the last
	 * renewal, by a clock that goes on while the machine sleeps.
	 */
	look(): {state: 'held' | 'gone' | 'removed'; ageMs: number};
	/** From now on this watchdog gets each new time at which a command that uses the unit has to end. */
	useWatchdog(descriptor: number): void;
}
