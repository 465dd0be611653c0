import {setTimeout as sleep} from 'node:timers/promises';

/** Looks until something holds, where nothing tells of it. Fails after ten seconds. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
	const deadline = performance.now() + 10_000;
	while (!(await holds())) {
		if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
		await sleep(5);
	}
}
