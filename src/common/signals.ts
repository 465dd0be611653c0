import {native} from '../native/index.js';

export const SIGHUP = 1;
export const SIGINT = 2;
export const SIGKILL = 9;
export const SIGUSR1 = 10;
export const SIGPIPE = 13;
export const SIGTERM = 15;

/**
 * From now on SIGINT, SIGTERM and SIGHUP end the wait we are in (EINTR) instead of the process, so that what is ours
 * can be cleaned up; then they end the process all the same. For verbs that have nothing to clean up the kernel's
 * own way is the right one. Only for verbs that wait in the kernel, not in the event loop.
 */
export function stopOnSignals(): void {
	native.catchSignals(Int32Array.of(SIGHUP, SIGINT, SIGTERM));
}
