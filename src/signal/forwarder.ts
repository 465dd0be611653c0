import {closeSync} from 'node:fs';
import {hasCode, reasonOf} from '../common/errors.js';
import {tell, tellVerbose} from '../common/output.js';
import {signalName} from '../common/signal-name.js';
import {SIGCHLD} from '../common/signals.js';
import {native, PIDFD_SIGNAL_PROCESS_GROUP} from '../native/index.js';
import {type RawSignal, SI_KERNEL, SI_QUEUE, SI_USER} from './received-signal.js';

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
	private send(number: number, {code, pid, uid, value}: RawSignal): void {
		const isQueued = code < 0;
		const flags = this.settings.toGroup ? PIDFD_SIGNAL_PROCESS_GROUP : 0;
		try {
			if (this.pidfd !== undefined && (isQueued || code === SI_USER)) {
				native.pidfdSendSignal(this.pidfd, number, isQueued ? code : SI_QUEUE, pid, uid, isQueued ? value : 0, flags);
				return;
			}
		} catch (error) {
			// The queue is full, or the kernel is older than that flag: better without than not at all.
			if (!hasCode(error, 'EAGAIN', 'EINVAL', 'ENOSYS', 'EPERM')) throw error;
		}
		// Ours, and not yet reaped: the number cannot be another's.
		native.kill(this.settings.toGroup ? -this.child : this.child, number);
	}

	[Symbol.dispose](): void {
		if (this.pidfd !== undefined) closeSync(this.pidfd);
	}
}

/** Undefined where the kernel has none. */
function openPidfd(pid: number): number | undefined {
	try {
		return native.pidfdOpen(pid);
	} catch (error) {
		if (hasCode(error, 'ENOSYS', 'EPERM')) return undefined;
		throw error;
	}
}
