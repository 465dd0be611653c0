import {closeSync} from 'node:fs';
import {hasCode} from '../common/errors.js';
import {processStat} from '../common/process-status.js';
import {SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU} from '../common/signals.js';
import {AT_FDCWD, native, O_RDWR} from '../native/index.js';

/**
 * What a shell above us expects of the command it believes to run: that it is in the foreground with its child, and
 * stops when its child does. Without a terminal, or as PID 1, there is nothing to do. credentials(7), tty(4)
 */
export class JobControl implements Disposable {
	private readonly tty: number | undefined;
	private readonly ownGroup = processStat(process.pid)?.group ?? 0;
	private child = 0;

	/** @param leads the child is to have a process group of its own. */
	constructor(private readonly leads: boolean) {
		this.tty = leads ? openTerminal() : undefined;
	}

	/** Where the child's group is to become the one in the foreground; -1 for nowhere. */
	get terminal(): number {
		return this.tty !== undefined && native.tcgetpgrp(this.tty) === this.ownGroup ? this.tty : -1;
	}

	started(child: number): void {
		this.child = child;
	}

	/** The child has been stopped: so are we, for whoever waits for us, until we are told to go on. */
	stopped(signal: number): void {
		// Somebody who stops the child on purpose means the child.
		if (![SIGTSTP, SIGTTIN, SIGTTOU].includes(signal) || process.pid === 1) return;
		this.takeTerminal();
		native.kill(process.pid, SIGSTOP);
		if (!this.leads) return;
		// Going on again: the shell has put us into the foreground, or has not.
		if (this.terminal >= 0) native.tcsetpgrp(this.terminal, this.child);
		try {
			native.kill(-this.child, SIGCONT);
		} catch (error) {
			if (!hasCode(error, 'ESRCH')) throw error;
		}
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
