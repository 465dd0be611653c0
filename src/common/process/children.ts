import {closeSync} from 'node:fs';
import {isKernelError, native, POLLIN, WNOHANG, WUNTRACED} from '../../native/index.js';
import {hasCode} from '../errors.js';
import {statusFrom} from '../exit.js';
import {waitIsOver} from '../output.js';
import {PollSet} from '../waiting.js';
import {explainStart} from './run-command.js';

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
 * Starts a command as a child that Node does not know (`startCommand` says when): only we wait for its end, and for that
 * of orphans that have become our children. It runs with no signal blocked, ignored or caught. `watchdog` ends it when we cannot:
 * see native/calls/watchdog.c.
 */
export function startChild(
	words: readonly string[],
	environment: Readonly<Record<string, string | undefined>>,
	{ownGroup = false, terminal = -1, watchdog = -1} = {},
): number | StartProblem {
	waitIsOver();
	const list = Object.entries(environment).flatMap(([name, text]) => (text === undefined ? [] : [`${name}=${text}`]));
	try {
		return native.spawn(words, list, ownGroup, terminal, watchdog);
	} catch (error) {
		if (!isKernelError(error)) throw error;
		return explainStart(words[0] as string, error);
	}
}

/**
 * All children that have ended or been stopped since the last call, including those that another module started.
 * wait(2)
 */
export function* takeChanges(): Generator<Change> {
	for (;;) {
		const [pid, code] = native.waitpid(-1, WNOHANG | WUNTRACED) ?? [];
		if (pid === undefined || code === undefined) return;
		if ((code & 0xff) === 0x7f) yield {pid, status: undefined, stoppedBy: code >> 8};
		else yield {pid, status: statusFrom(code), stoppedBy: undefined};
	}
}

/** What else has to be looked at while a child runs. */
export interface Meanwhile {
	/** When it becomes readable we have to look. */
	readonly descriptor: number;
	look(): void;
	/** How long we may wait until we look again. */
	waitMs(): number;
}

/**
 * Waits in the kernel until a child has ended, and answers its status. `onSignals` is called whenever a caught signal has
 * ended the wait. pidfd_open(2), waitpid(2)
 */
export function waitForChild(pid: number, onSignals: () => void, meanwhile?: Meanwhile): number {
	const pidfd = openPidfd(pid);
	const poll = new PollSet<'child' | 'other'>();
	poll.watch('child', pidfd ?? -1, POLLIN);
	poll.watch('other', meanwhile?.descriptor ?? -1, POLLIN);
	try {
		for (;;) {
			const [, code] = native.waitpid(pid, WNOHANG) ?? [];
			if (code !== undefined) return statusFrom(code);
			try {
				meanwhile?.look();
				poll.wait(pidfd === undefined ? lookAgainMs : (meanwhile?.waitMs() ?? -1));
			} catch (error) {
				if (!hasCode(error, 'EINTR')) throw error;
				onSignals();
			}
		}
	} finally {
		if (pidfd !== undefined) closeSync(pidfd);
	}
}

/** Where the kernel has no pidfd. */
const lookAgainMs = 10;

/** Undefined where the kernel has none, before Linux 5.3. pidfd_open(2) */
export function openPidfd(pid: number): number | undefined {
	try {
		return native.pidfdOpen(pid);
	} catch (error) {
		if (hasCode(error, 'ENOSYS', 'EPERM')) return undefined;
		throw error;
	}
}
