import {closeSync} from 'node:fs';
import {hasCode} from '../common/errors.js';
import {processStat} from '../common/process/process-status.js';
import {SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU} from '../common/process/signals.js';
import {kill} from '../common/process/termination.js';
import {AT_FDCWD, native, O_RDWR} from '../native/index.js';
import {type RawSignal, SI_KERNEL} from '../objects/signals/received-signal.js';

/** The stop signals of the keyboard, and those of the terminal to processes in the background. */
const keyboardStops = [SIGTSTP, SIGTTIN, SIGTTOU];

/**
 * What a shell expects of the command that it started: the command is in the foreground with its child, and stops when
 * its child does. Without a terminal, or as PID 1, there is nothing to do. credentials(7), tty(4)
 */
export class JobControl implements Disposable {
	private readonly tty = openTerminal();
	private readonly ownGroup = processStat(process.pid)?.group ?? 0;
	private child = 0;

	/** @param leads the child gets a process group of its own. */
	constructor(private readonly leads: boolean) {}

	/** The terminal whose foreground group the child's group becomes; -1 for none. */
	get terminal(): number {
		return this.leads ? this.ownTerminal : -1;
	}

	/** The terminal in whose foreground we are; -1 for none. */
	private get ownTerminal(): number {
		return this.tty !== undefined && native.tcgetpgrp(this.tty) === this.ownGroup ? this.tty : -1;
	}

	started(child: number): void {
		this.child = child;
	}

	/**
	 * The child has been stopped: stop as well, for the process that waits for us, until a signal continues us. Returns
	 * the signals that arrived by then and are for the child.
	 */
	stopped(signal: number, takeSignals: () => Iterable<RawSignal>): RawSignal[] {
		// A group of its own, as in an interactive shell: it loses the terminal with us, and gets it back with us.
		const group = processStat(this.child)?.group ?? this.child;
		const holder = this.tty === undefined ? 0 : native.tcgetpgrp(this.tty);
		const isInForeground = holder === this.ownGroup || holder === group;
		// Without a terminal, or as the first process, no shell would continue us. And a process that stops a child in the
		// background with STOP means that child; in the foreground the shell above us would be stuck.
		const stopsUs = keyboardStops.includes(signal) || (signal === SIGSTOP && isInForeground);
		if (this.tty === undefined || process.pid === 1 || !stopsUs) return [];
		this.takeTerminal();
		native.kill(process.pid, SIGSTOP);
		// Continued: the shell has put us into the foreground, or has not.
		const hadTerminal = this.leads || holder === group;
		if (hadTerminal && this.ownTerminal >= 0) native.tcsetpgrp(this.ownTerminal, group);
		const came = [...takeSignals()];
		// Without a group of its own the child has got the same signal; maybe it has been stopped again since.
		const isStoppedAgain = came.some(({number, code}) => number === SIGTSTP && code === SI_KERNEL);
		if (!isStoppedAgain && processStat(this.child)?.state === 'T') this.continueChild();
		return came.filter(({number}) => number !== SIGCONT);
	}

	private continueChild(): void {
		kill(this.leads ? -this.child : this.child, SIGCONT);
	}

	/** Takes the foreground back from the child's group, if it has it. */
	private takeTerminal(): void {
		if (this.tty !== undefined && this.child > 0 && native.tcgetpgrp(this.tty) === this.child)
			native.tcsetpgrp(this.tty, this.ownGroup);
	}

	[Symbol.dispose](): void {
		this.takeTerminal();
		if (this.tty !== undefined) closeSync(this.tty);
	}
}

function openTerminal(): number | undefined {
	try {
		return native.openat(AT_FDCWD, '/dev/tty', O_RDWR, 0, -1);
	} catch (error) {
		if (hasCode(error, 'ENXIO', 'ENOENT', 'EACCES', 'EPERM', 'EIO')) return undefined;
		throw error;
	}
}
