/** A point in time until which something is waited for. */
export class Deadline {
	private readonly atMs: number;

	/** @param timeoutMs from now on; undefined or negative: never. */
	constructor(timeoutMs = -1) {
		this.atMs = timeoutMs < 0 ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
	}

	/** Infinity for one that is never, 0 once it has passed. */
	get leftMs(): number {
		return Math.max(0, this.atMs - performance.now());
	}

	get hasPassed(): boolean {
		return this.leftMs === 0;
	}

	/** The time left, but `mostMs` at most, as the calls of the native layer take it: whole, and -1 for ever. */
	waitMs(mostMs = Number.POSITIVE_INFINITY): number {
		const ms = Math.min(this.leftMs, mostMs);
		return ms === Number.POSITIVE_INFINITY ? -1 : Math.ceil(ms);
	}
}
