/** A point in time that limits a wait. */
export class Deadline {
	private readonly atMs: number;

	/** @param timeoutMs from now on; undefined or negative: without limit. */
	constructor(timeoutMs = -1) {
		this.atMs = timeoutMs < 0 ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
	}

	/** Infinity without a limit, 0 once the deadline has passed. */
	get leftMs(): number {
		return Math.max(0, this.atMs - performance.now());
	}

	get hasPassed(): boolean {
		return this.leftMs === 0;
	}

	/** The time left, `mostMs` at most, as the calls of the native layer expect it: whole, and -1 without limit. */
	waitMs(mostMs = Number.POSITIVE_INFINITY): number {
		const ms = Math.min(this.leftMs, mostMs);
		return ms === Number.POSITIVE_INFINITY ? -1 : Math.ceil(ms);
	}
}
