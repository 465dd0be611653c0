import {status} from '../common/exit.js';
import {explainStart} from '../common/run-command.js';
import {isKernelError, native, WNOHANG, WUNTRACED} from '../native/index.js';

/** Why a command did not start: the status to end with, and the reason in words. */
export interface StartProblem {
	status: number;
	problem: string;
}

/** A child that has ended, or has been stopped. */
export interface Change {
	pid: number;
	/** Its status, 128+n when signal n ended it; undefined while it is only stopped. */
	status: number | undefined;
	/** The signal that stopped it. */
	stoppedBy: number | undefined;
}

/**
 * Starts a command as a child of our own: Node knows nothing of it, so that we alone take its end, and with it those
 * of orphans that have become our children. Runs with no signal blocked, ignored or caught.
 */
export function startChild(
	words: readonly string[],
	environment: Readonly<Record<string, string | undefined>>,
	{ownGroup = false, terminal = -1} = {},
): number | StartProblem {
	const list = Object.entries(environment).flatMap(([name, text]) => (text === undefined ? [] : [`${name}=${text}`]));
	try {
		return native.spawn(words, list, ownGroup ? 1 : 0, terminal);
	} catch (error) {
		if (!isKernelError(error)) throw error;
		return explainStart(words[0] as string, error);
	}
}

/** All children that have ended or been stopped since the last time, those included that nobody of us started. wait(2) */
export function* takeChanges(): Generator<Change> {
	for (;;) {
		const [pid, code] = native.waitpid(-1, WNOHANG | WUNTRACED) ?? [];
		if (pid === undefined || code === undefined) return;
		const signal = code & 0x7f;
		if ((code & 0xff) === 0x7f) yield {pid, status: undefined, stoppedBy: code >> 8};
		else yield {pid, status: signal ? status.signalBase + signal : code >> 8, stoppedBy: undefined};
	}
}
