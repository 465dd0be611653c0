import {writeSync} from 'node:fs';

/** From now on the watchdog ends the command at this time: see native/calls/watchdog.c. */
export function setWatchdog(descriptor: number, deadlineMs: number): void {
	try {
		writeSync(descriptor, new Float64Array([0, deadlineMs]));
	} catch {
		// It has ended, and so has the command; or it is stopped, and so cannot do any more than it has been told to.
	}
}
