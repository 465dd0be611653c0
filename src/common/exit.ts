/** How a verb ended: the outcome, and the status of the process. */
export class Outcome {
	constructor(readonly status: number) {}
}

export const done = new Outcome(0);
/** Not an error but an answer: it would have had to wait. */
export const notNow = new Outcome(3);
/** Not an error but an answer: it waited as long as it was told to. `--timeout-status` changes the number. */
export const timedOut = new Outcome(124);
/** Part of the work failed, and each failure has been reported. */
export const failed = new Outcome(1);

/** The status of a command that was run. */
export const endedWith = (status: number): Outcome => new Outcome(status);

export const status = {
	done: 0,
	systemError: 1,
	usageError: 2,
	notNow: 3,
	timedOut: 124,
	failedToRun: 125,
	notRunnable: 126,
	notFound: 127,
	signalBase: 128,
} as const;

/** Thrown to end this process by a signal, once everything on the way out has been cleaned up. */
export class EndBySignal extends Error {
	constructor(readonly signal: number) {
		super(`ended by signal ${signal}`);
	}
}

/** The status of a child that has ended, from waitpid(2): its own, or 128+n. */
export const statusFrom = (code: number): number =>
	code & 0x7f ? status.signalBase + (code & 0x7f) : (code >> 8) & 0xff;
