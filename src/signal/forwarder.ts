import {closeSync} from 'node:fs';
import {hasCode, reasonOf} from '../common/errors.js';
import {rtmin, signalName} from '../common/formats/signal-name.js';
import {tell, tellError, tellVerbose} from '../common/output.js';
import {openPidfd} from '../common/process/children.js';
import {SIGCHLD} from '../common/process/signals.js';
import {pause} from '../common/waiting.js';
import {native, PIDFD_SIGNAL_PROCESS_GROUP} from '../native/index.js';
import {type RawSignal, SI_KERNEL, SI_QUEUE, SI_USER} from '../objects/signals/received-signal.js';

/** How long a full queue may delay the signals behind. */
const mostTries = 200;
const pauseMs = 5;

export interface ForwardSettings {
	/** The child leads a process group, and the whole group gets the signals. */
	toGroup: boolean;
	/** The signal to forward instead of each one; 0 for none. */
	translations: ReadonlyMap<number, number>;
}

/** Forwards signals to a child, with their sender and value. */
export class Forwarder implements Disposable {
	private readonly pidfd: number | undefined;

	constructor(
		private readonly child: number,
		private readonly settings: ForwardSettings,
	) {
		this.pidfd = openPidfd(child);
	}

	pass(signal: RawSignal): void {
		const {number, code, pid} = signal;
		// The state of a child has changed; and signals caused by our own calls (SIGPIPE) are for us.
		if ((number === SIGCHLD && code > 0) || (pid === process.pid && code <= 0)) return;
		// From the terminal: the signal went to the whole foreground, so the child has it already, or must not get it.
		if (code === SI_KERNEL && !this.settings.toGroup) return;
		const translated = this.settings.translations.get(number) ?? number;
		if (translated === 0) {
			tellVerbose(`dropped ${signalName(number)} from ${pid}`);
			return;
		}
		try {
			this.send(translated, signal);
			const as = translated === number ? '' : ` as ${signalName(translated)}`;
			tellVerbose(`forwarded ${signalName(number)} from ${pid}${as}`);
		} catch (error) {
			// The child has just ended.
			if (!hasCode(error, 'ESRCH')) tell(`cannot forward ${signalName(number)}: ${reasonOf(error)}`);
		}
	}

	/** With all its data, if the kernel allows it: a given sender is allowed for queued signals only. */
	private send(number: number, signal: RawSignal): void {
		// Receiving the signal has made room in our user's queue, but another process may have been quicker.
		const tryLimit = number >= rtmin() ? mostTries : 1;
		for (let tries = 1; ; tries++) {
			try {
				if (this.tryQueue(number, signal)) return;
				break;
			} catch (error) {
				if (!hasCode(error, 'EAGAIN')) throw error;
				if (tries < tryLimit) pause(pauseMs);
				else if (number >= rtmin())
					tellError(`the signal queue is full: forwarding ${signalName(number)} without its value`);
				if (tries >= tryLimit) break;
			}
		}
		// Our child, and not yet reaped: its PID cannot be reused.
		native.kill(this.settings.toGroup ? -this.child : this.child, number);
	}

	/** False if the kernel does not support it. */
	private tryQueue(number: number, {code, pid, uid, value}: RawSignal): boolean {
		const isQueued = code < 0;
		if (this.pidfd === undefined || !(isQueued || code === SI_USER)) return false;
		const flags = this.settings.toGroup ? PIDFD_SIGNAL_PROCESS_GROUP : 0;
		try {
			native.pidfdSendSignal(this.pidfd, number, isQueued ? code : SI_QUEUE, pid, uid, isQueued ? value : 0, flags);
			return true;
		} catch (error) {
			// The kernel is older than that flag, or than the call.
			if (hasCode(error, 'EINVAL', 'ENOSYS', 'EPERM')) return false;
			throw error;
		}
	}

	[Symbol.dispose](): void {
		if (this.pidfd !== undefined) closeSync(this.pidfd);
	}
}
