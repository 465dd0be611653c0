import {setTimeout as sleep} from 'node:timers/promises';

/** Looks until something holds, where nothing tells of it. Fails after a time that only a test that hangs needs. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
	const deadline = performance.now() + 300_000;
	while (!(await holds())) {
		if (performance.now() > deadline) throw new Error(`still not so after five minutes: ${what}`);
		await sleep(5);
	}
}
