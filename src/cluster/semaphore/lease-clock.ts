import {readFileSync} from 'node:fs';

/**
 * The clock of a holder, the same in both threads: two times in milliseconds. The second one goes on while the machine sleeps, and the
 * clocks of other machines do. proc(5), /proc/uptime
 */
export type LeaseTime = readonly [monotonicMs: number, uptimeMs: number];

export function leaseTime(): LeaseTime {
	const [seconds, nanoseconds] = process.hrtime();
	return [1000 * seconds + nanoseconds / 1e6, uptimeMs()];
}

function uptimeMs(): number {
	try {
		return 1000 * Number.parseFloat(readFileSync('/proc/uptime', 'latin1'));
	} catch {
		return 0;
	}
}

/** By the clock that has gone farther. */
export function elapsedMs([monotonicMs, uptimeMs]: LeaseTime): number {
	const [monotonicNow, uptimeNow] = leaseTime();
	return Math.max(monotonicNow - monotonicMs, uptimeMs > 0 ? uptimeNow - uptimeMs : 0);
}
