import type {HolderState, SemaphoreState} from '../../semaphore/format.js';

/**
 * Watches the beats of holders. Who has seen the same beat for a whole lease, by its own clock, may take the unit away: no clocks are
 * compared. The clock stands still while this machine sleeps, which only makes a lease longer.
 */
export class LeaseObserver {
	private readonly seen = new Map<string, {beat: number; at: number}>();

	observe({holders}: SemaphoreState): void {
		const now = performance.now();
		for (const {id, beat} of holders) if (this.seen.get(id)?.beat !== beat) this.seen.set(id, {beat, at: now});
	}

	isDead = ({id, beat, leaseMs}: HolderState): boolean => {
		const seen = this.seen.get(id);
		return seen?.beat === beat && performance.now() - seen.at > leaseMs;
	};

	/** When the first of them will be dead, unless it renews its lease; Infinity where there are none. */
	nextEndAt({holders}: SemaphoreState): number {
		return Math.min(
			...holders.map(({id, leaseMs}) => (this.seen.get(id)?.at ?? performance.now()) + leaseMs + 1),
			Number.POSITIVE_INFINITY,
		);
	}
}
