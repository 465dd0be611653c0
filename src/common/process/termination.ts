import {native} from '../../native/index.js';
import {hasCode} from '../errors.js';
import {SIGKILL, SIGTERM} from './signals.js';

/** From SIGTERM to SIGKILL, for processes that have to end. */
const graceMs = 2000;

/**
 * Sends a signal to a process, or to the process group `-pid`: false if it has ended, or if it belongs to another user
 * by now, as a set-user-ID program does. kill(2)
 */
export function kill(pid: number, signal: number): boolean {
	try {
		native.kill(pid, signal);
		return true;
	} catch (error) {
		if (hasCode(error, 'ESRCH', 'EPERM')) return false;
		throw error;
	}
}

/**
 * Ends a process, a process group or several: SIGTERM, and after the grace SIGKILL, once more after each grace, until it
 * is disposed of because they have ended.
 */
export class Termination implements Disposable {
	/** How often SIGKILL has been sent. */
	kills = 0;
	private timer: NodeJS.Timeout | undefined;

	/** `send` sends a signal to all processes that have to end. */
	constructor(private readonly send: (signal: number) => void) {}

	get hasBegun(): boolean {
		return this.timer !== undefined;
	}

	/** A second call does nothing. */
	begin(): void {
		if (this.timer) return;
		this.send(SIGTERM);
		this.timer = setInterval(() => {
			this.kills++;
			this.send(SIGKILL);
		}, graceMs);
	}

	[Symbol.dispose](): void {
		clearInterval(this.timer);
	}
}
