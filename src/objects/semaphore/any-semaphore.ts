import type {Holder, Holding, HoldSettings} from './holding.js';

/**
 * An open semaphore, on this machine (Semaphore) or on a cluster. The methods block the event loop while they wait; a negative
 * `timeoutMs` means no limit. A caught signal ends a wait with EINTR.
 */
export interface AnySemaphore extends Disposable {
	/** The name as the user wrote it. */
	readonly shownName: string;
	/** Units that are free now. */
	readonly value: number;
	/** Takes a unit without waiting: false when there is none. */
	tryWait(): boolean;
	/** The same; takes a unit that a dead holder has left too, where that shows at once. */
	tryTake(): boolean;
	/**
	 * Takes a unit for good, or that of a dead holder: false when there was none in time. On a cluster the wait ends with EPIPE
	 * when the reader of the descriptor `watched` leaves.
	 */
	wait(timeoutMs?: number, watched?: number): boolean;
	/** Adds units, all or none. */
	post(count?: number): void;
	/** Takes a unit that is released however this process ends: undefined when there was none in time. */
	hold(settings?: HoldSettings): Holding | undefined;
	/** The holders of units that `hold` took. */
	listHolders(): Holder[];
	/** Releases the units of dead holders: how many. On a cluster this waits until each holder has renewed its lease, or has not. */
	reap(): number;
}
