import {native} from '../../native/index.js';

/** The few that the code itself deals with; signal-name.ts has them all, for people. */
export const SIGHUP = 1;
export const SIGINT = 2;
export const SIGQUIT = 3;
export const SIGKILL = 9;
export const SIGUSR1 = 10;
export const SIGPIPE = 13;
export const SIGTERM = 15;
export const SIGCHLD = 17;
export const SIGCONT = 18;
export const SIGSTOP = 19;
export const SIGTSTP = 20;
export const SIGTTIN = 21;
export const SIGTTOU = 22;

/**
 * From now on SIGINT, SIGQUIT, SIGTERM and SIGHUP end the wait we are in (EINTR) instead of the process, so that what is ours
 * can be cleaned up; then they end the process all the same. For verbs that have nothing to clean up the kernel's
 * own way is the right one. Only for verbs that wait in the kernel, not in the event loop. `wanted` are left alone:
 * they are what a verb waits for.
 */
export function stopOnSignals(wanted: readonly number[] = []): void {
	native.catchSignals(Int32Array.from([SIGHUP, SIGINT, SIGQUIT, SIGTERM].filter((number) => !wanted.includes(number))));
}
