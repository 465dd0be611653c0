import {closeSync} from 'node:fs';
import {hasCode, reasonOf} from '../common/errors.js';
import {rtmin, signalName} from '../common/formats/signal-name.js';
import {tell, tellError, tellVerbose} from '../common/output.js';
import {openPidfd} from '../common/process/children.js';
import {SIGCHLD} from '../common/process/signals.js';
import {pause} from '../common/waiting.js';
import {native, PIDFD_SIGNAL_PROCESS_GROUP} from '../native/index.js';
import {type RawSignal, SI_KERNEL, SI_QUEUE, SI_USER} from '../objects/signals/received-signal.js';

/** How long a full queue may keep the signals behind from being passed on. */
const mostTries = 200;
const pauseMs = 5;

export interface ForwardSettings {
	/** The child leads a process group, and all of it gets the signals. */
	toGroup: boolean;
	/** Which signal is passed on in place of which; 0 for none. */
	translations: ReadonlyMap<number, number>;
}

/** Passes signals on to a child, with the sender and the value they came with. */
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
		// A child of ours has changed; and what our own calls bring us (SIGPIPE) is ours.
		if ((number === SIGCHLD && code > 0) || (pid === process.pid && code <= 0)) return;
		// From the terminal: it went to the whole foreground, so the child has it already, or is not to have it.
		if (code === SI_KERNEL && !this.settings.toGroup) return;
		const translated = this.settings.translations.get(number) ?? number;
		if (translated === 0) {
			tellVerbose(`dropped ${signalName(number)} from ${pid}`);
			return;
		}
		try {
			this.send(translated, signal);
			const as = translated === number ? '' : ` as ${signalName(translated)}`;
			tellVerbose(`passed ${signalName(number)} from ${pid} on${as}`);
		} catch (error) {
			// It has just ended.
			if (!hasCode(error, 'ESRCH')) tell(`cannot pass ${signalName(number)} on: ${reasonOf(error)}`);
		}
	}

	/** With all that it came with, where the kernel lets us: an invented sender is allowed for queued signals only. */
	private send(number: number, signal: RawSignal): void {
		// Taking it has made room in the queue of our user, but somebody may have been quicker.
		const tryLimit = number >= rtmin ? mostTries : 1;
		for (let tries = 1; ; tries++) {
			try {
				if (this.tryQueue(number, signal)) return;
				break;
			} catch (error) {
				if (!hasCode(error, 'EAGAIN')) throw error;
				if (tries < tryLimit) pause(pauseMs);
				else if (number >= rtmin) tellError(`the queue is full: passing ${signalName(number)} on without its value`);
				if (tries >= tryLimit) break;
			}
		}
		// Ours, and not yet reaped: the number cannot be another's.
		native.kill(this.settings.toGroup ? -this.child : this.child, number);
	}

	/** False where the kernel cannot do it. */
	private tryQueue(number: number, {code, pid, uid, value}: RawSignal): boolean {
		const isQueued = code < 0;
		if (this.pidfd === undefined || !(isQueued || code === SI_USER)) return false;
		const flags = this.settings.toGroup ? PIDFD_SIGNAL_PROCESS_GROUP : 0;
		try {
			native.pidfdSendSignal(this.pidfd, number, isQueued ? code : SI_QUEUE, pid, uid, isQueued ? value : 0, flags);
			return true;
		} catch (error) {
			// Older than that flag, or than the call.
			if (hasCode(error, 'EINVAL', 'ENOSYS', 'EPERM')) return false;
			throw error;
		}
	}

	[Symbol.dispose](): void {
		if (this.pidfd !== undefined) closeSync(this.pidfd);
	}
}
