import {closeSync} from 'node:fs';
import {Deadline} from '../../common/deadline.js';
import {explain, hasCode, SystemError} from '../../common/errors.js';
import {rtmin, signalName} from '../../common/formats/signal-name.js';
import {tellVerbose} from '../../common/output.js';
import {mayExist, whyUnseen} from '../../common/process/proc.js';
import {hasEnded, processStat, statusFields} from '../../common/process/process-status.js';
import {isReady, pause} from '../../common/waiting.js';
import {native, POLLIN} from '../../native/index.js';
import {SI_QUEUE, SI_USER} from './received-signal.js';

/** Without a pidfd the kernel does not report the end of a process: look at this interval. */
const lookMs = 20;

let isMissingSaid = false;

/** There is no process of that number, or no receiver of that name: it may have ended a moment ago. */
export class NoSuchProcess extends SystemError {}

/**
 * One process, and never another process that reuses its PID: a pidfd if the kernel has them (Linux 5.3), else the PID
 * together with the start time of the process, checked before each use. pidfd_open(2)
 */
export class ProcessHandle implements Disposable {
	private constructor(
		readonly pid: number,
		/** Its start time when it was opened. */
		readonly startTime: number | undefined,
		/** Undefined if the kernel has no pidfd. */
		public pidfd: number | undefined,
	) {}

	/**
	 * @param tried the attempt that the message names.
	 * @param openPidfd as in native; a test gives one that has no such call.
	 * @throws NoSuchProcess
	 */
	static open(
		pid: number,
		tried = `cannot find process ${pid}`,
		openPidfd = (number: number) => native.pidfdOpen(number),
	): ProcessHandle {
		try {
			const pidfd = openPidfd(pid);
			return new ProcessHandle(pid, processStat(pid)?.startTime, pidfd);
		} catch (error) {
			// Filters of containers answer EPERM for calls they do not know.
			if (!hasCode(error, 'ENOSYS', 'EPERM')) throw explainOpening(tried, pid, error);
		}
		if (!isMissingSaid) tellVerbose('this kernel has no pidfd: the start time of a process is compared instead');
		isMissingSaid = true;
		const stat = processStat(pid);
		if (!stat) {
			if (mayExist(pid)) throw new SystemError(`${tried}: cannot see it: ${whyUnseen()}`);
			throw new NoSuchProcess(`${tried}: no such process`);
		}
		return new ProcessHandle(pid, stat.startTime, undefined);
	}

	/**
	 * Sends a signal, with a queued value if one is given; 0 only checks. Never waits: false when the receiver's queue
	 * has no room, so that a real-time signal or a value would be lost. RLIMIT_SIGPENDING in getrlimit(2)
	 *
	 * @throws SystemError when the process has ended, or belongs to another user.
	 */
	trySend(signal: number, value?: number): boolean {
		try {
			// The kernel refuses a signal with a value. Without a value it would deliver a signal that cannot be counted.
			const needsPlace = signal >= rtmin() || (value !== undefined && signal > 0);
			if (needsPlace && (signal < rtmin() || value === undefined) && this.isQueueFull()) return false;
			this.sendNow(signal, value);
			return true;
		} catch (error) {
			if (hasCode(error, 'EAGAIN')) return false;
			throw explain(
				signal === 0 ? `cannot look for ${this.pid}` : `cannot send ${signalName(signal)} to ${this.pid}`,
				error,
				{ESRCH: 'the process has ended', EPERM: `not permitted${this.owner()}`},
			);
		}
	}

	private sendNow(signal: number, value: number | undefined): void {
		const code = value === undefined ? SI_USER : SI_QUEUE;
		const uid = process.getuid?.() ?? 0;
		if (this.pidfd !== undefined) {
			native.pidfdSendSignal(this.pidfd, signal, code, process.pid, uid, value ?? 0, 0);
			return;
		}
		if (this.isGone()) throw new SystemError(`cannot send ${signalName(signal)} to ${this.pid}: the process has ended`);
		if (value === undefined) native.kill(this.pid, signal);
		else native.rtSigqueueinfo(this.pid, signal, code, process.pid, uid, value, 0);
	}

	/** Whether the signal queue of its user is full. */
	private isQueueFull(): boolean {
		const [queued, limit] = (statusFields(`/proc/${this.pid}/status`)?.get('SigQ') ?? '0/1').split('/').map(Number);
		return (queued as number) >= (limit as number);
	}

	private owner(): string {
		const uid = statusFields(`/proc/${this.pid}/status`)?.get('Uid')?.split('\t')[0];
		if (uid === undefined) return '';
		return ` (it belongs to ${native.userName(Number(uid)) ?? `user ${uid}`})`;
	}

	/** Whether it has ended. */
	isGone(): boolean {
		if (this.pidfd !== undefined) return isReady(this.pidfd, POLLIN, 0);
		const stat = processStat(this.pid);
		return hasEnded(stat) || stat?.startTime !== this.startTime;
	}

	/** Waits for its end, `timeoutMs` at most (negative: without limit); returns whether it ended. */
	waitUntilGone(timeoutMs: number): boolean {
		if (this.pidfd !== undefined) return isReady(this.pidfd, POLLIN, timeoutMs);
		const deadline = new Deadline(timeoutMs);
		while (!this.isGone()) {
			if (deadline.hasPassed) return false;
			pause(deadline.waitMs(lookMs));
		}
		return true;
	}

	[Symbol.dispose](): void {
		const {pidfd} = this;
		this.pidfd = undefined;
		if (pidfd !== undefined) closeSync(pidfd);
	}
}

function explainOpening(tried: string, pid: number, error: unknown): unknown {
	// A thread has an id of the same kind, and no pidfd.
	if (hasCode(error, 'EINVAL', 'ENOENT') && processStat(pid))
		return new SystemError(`${tried}: it is a thread, not a process`, {cause: error});
	if (hasCode(error, 'ESRCH', 'EINVAL')) return new NoSuchProcess(`${tried}: no such process`, {cause: error});
	return explain(tried, error);
}
