import {closeSync} from 'node:fs';
import {hasCode} from '../common/errors.js';
import {processStat} from '../common/process/process-status.js';
import {SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU} from '../common/process/signals.js';
import {kill} from '../common/process/termination.js';
import {AT_FDCWD, native, O_RDWR} from '../native/index.js';
import {type RawSignal, SI_KERNEL} from '../objects/signals/received-signal.js';

/** What the keyboard stops with, and what the terminal does to those in the background. */
const keyboardStops = [SIGTSTP, SIGTTIN, SIGTTOU];

/**
 * What a shell above us expects of the command it believes to run: that it is in the foreground with its child, and
 * stops when its child does. Without a terminal, or as PID 1, there is nothing to do. credentials(7), tty(4)
 */
export class JobControl implements Disposable {
	private readonly tty = openTerminal();
	private readonly ownGroup = processStat(process.pid)?.group ?? 0;
	private child = 0;

	/** @param leads the child is to have a process group of its own. */
	constructor(private readonly leads: boolean) {}

	/** Where the child's group is to become the one in the foreground; -1 for nowhere. */
	get terminal(): number {
		return this.leads ? this.ownTerminal : -1;
	}

	/** The one in whose foreground we are; -1 for none. */
	private get ownTerminal(): number {
		return this.tty !== undefined && native.tcgetpgrp(this.tty) === this.ownGroup ? this.tty : -1;
	}

	started(child: number): void {
		this.child = child;
	}

	/**
	 * The child has been stopped: so are we, for whoever waits for us, until we are told to go on. Answers what came by
	 * then and is the child's.
	 */
	stopped(signal: number, takeSignals: () => Iterable<RawSignal>): RawSignal[] {
		// A group of its own, as an interactive shell has: it loses the terminal with us, and gets it back with us.
		const group = processStat(this.child)?.group ?? this.child;
		const holder = this.tty === undefined ? 0 : native.tcgetpgrp(this.tty);
		const isInForeground = holder === this.ownGroup || holder === group;
		// Without a terminal, or as the first process, nobody is there to make us go on. And who stops a child in the
		// background with STOP means that child; in the foreground the shell above us would be stuck.
		const stopsUs = keyboardStops.includes(signal) || (signal === SIGSTOP && isInForeground);
		if (this.tty === undefined || process.pid === 1 || !stopsUs) return [];
		this.takeTerminal();
		native.kill(process.pid, SIGSTOP);
		// Going on again: the shell has put us into the foreground, or has not.
		const hadTerminal = this.leads || holder === group;
		if (hadTerminal && this.ownTerminal >= 0) native.tcsetpgrp(this.ownTerminal, group);
		const came = [...takeSignals()];
		// Without a group of its own the child has been told as we have; maybe it has been stopped again since.
		const isStoppedAgain = came.some(({number, code}) => number === SIGTSTP && code === SI_KERNEL);
		if (!isStoppedAgain && processStat(this.child)?.state === 'T') this.continueChild();
		return came.filter(({number}) => number !== SIGCONT);
	}

	private continueChild(): void {
		kill(this.leads ? -this.child : this.child, SIGCONT);
	}

	/** Back from the child's group, where it has it. */
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
