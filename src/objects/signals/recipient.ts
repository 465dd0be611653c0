import {Deadline} from '../../common/deadline.js';
import {explain, hasCode, SystemError} from '../../common/errors.js';
import {signalName} from '../../common/formats/signal-name.js';
import {descendantsOf, processes} from '../../common/process/proc.js';
import {processStat} from '../../common/process/process-status.js';
import {native, PIDFD_SIGNAL_PROCESS_GROUP} from '../../native/index.js';
import {ProcessHandle} from './process-handle.js';
import {SI_QUEUE, SI_USER} from './received-signal.js';

/** Whoever gets one signal: a process, or a process group as a whole. */
export interface Recipient extends Disposable {
	readonly pid: number;
	/** Only of a process group. */
	readonly group?: number;
	/** Whether a process was in the group. */
	hasMember?(pid: number): boolean;
	/** Of the process, or of the group's leader: numbers are given again. */
	readonly startTime: number | undefined;
	/** False when a queue is full. */
	trySend(signal: number, value?: number): boolean;
	isGone(): boolean;
	/** Whether the end came in time. */
	waitUntilGone(timeoutMs: number): boolean;
}

/** Opens a process that may have gone. */
function tryOpen(pid: number): ProcessHandle | undefined {
	try {
		return ProcessHandle.open(pid);
	} catch (error) {
		if (error instanceof SystemError) return undefined;
		throw error;
	}
}

/**
 * The process group that a process belongs to. The signal goes to all of it in one step of the kernel, so that nobody
 * can escape by forking; its members, as they are now, are who is waited for.
 */
export class GroupHandle implements Recipient {
	readonly pid: number;
	readonly group: number;
	private readonly members: ProcessHandle[] = [];

	/** While it is held the number of the group stays that of this group, even when its leader has ended. */
	private readonly leader: ProcessHandle | undefined;

	/** Takes the handle over. */
	constructor(private readonly of: ProcessHandle) {
		const tried = `cannot send to the process group of ${of.pid}`;
		this.pid = of.pid;
		const stat = processStat(of.pid);
		if (!stat || of.isGone()) throw new SystemError(`${tried}: it has ended`);
		// A kernel thread is in no group, and 0 would mean our own.
		if (stat.group === 0) throw new SystemError(`${tried}: it is in none`);
		this.group = stat.group;
		this.leader = tryOpen(this.group);
		// Still there and in it: so the group has been there all the time, and its leader is who was opened.
		if (processStat(of.pid)?.group !== this.group || of.isGone()) throw new SystemError(`${tried}: it has ended`);
	}

	/** Finds everybody in it, for who wants to wait. We are not among those we wait for. */
	findMembers(): void {
		const known = new Set([process.pid, ...this.members.map(({pid}) => pid)]);
		for (const pid of processes()) {
			if (known.has(pid) || processStat(pid)?.group !== this.group) continue;
			const handle = tryOpen(pid);
			// Looked at again once it cannot be taken for another.
			if (handle && processStat(pid)?.group === this.group) this.members.push(handle);
			else handle?.[Symbol.dispose]();
		}
	}

	trySend(signal: number, value?: number): boolean {
		const tried = `cannot send ${signalName(signal)} to the process group ${this.group}`;
		try {
			try {
				if (this.leader?.pidfd !== undefined) {
					const [pidfd, uid] = [this.leader.pidfd, process.getuid?.() ?? 0];
					const code = value === undefined ? SI_USER : SI_QUEUE;
					native.pidfdSendSignal(pidfd, signal, code, process.pid, uid, value ?? 0, PIDFD_SIGNAL_PROCESS_GROUP);
					return true;
				}
			} catch (error) {
				if (hasCode(error, 'EAGAIN')) return false;
				// Before Linux 6.9.
				if (!hasCode(error, 'EINVAL')) throw error;
			}
			if (value !== undefined)
				throw new SystemError(
					`${tried} with a value: this kernel cannot, or its leader has ended (send to each process instead)`,
				);
			native.kill(-this.group, signal);
			return true;
		} catch (error) {
			throw explain(tried, error, {ESRCH: 'all of it has ended', EPERM: 'not permitted'});
		}
	}

	hasMember(pid: number): boolean {
		return this.members.some((member) => member.pid === pid);
	}

	get startTime(): number | undefined {
		return this.leader?.startTime;
	}

	/** Of a group in which we are alone nobody has gone. */
	isGone(): boolean {
		return this.members.length > 0 && this.members.every((member) => member.isGone());
	}

	waitUntilGone(timeoutMs: number): boolean {
		const members = this.members.map((recipient) => ({recipient}));
		return waitForAll(members, timeoutMs).length === 0;
	}

	[Symbol.dispose](): void {
		this.of[Symbol.dispose]();
		this.leader?.[Symbol.dispose]();
		for (const member of this.members) member[Symbol.dispose]();
	}
}

/** Waits until all have ended, each of which is told; those that have not in time. */
export function waitForAll<Waited extends {recipient: Recipient}>(
	all: readonly Waited[],
	timeoutMs: number,
	onEnd?: (ended: Waited) => void,
): Waited[] {
	const deadline = new Deadline(timeoutMs);
	// Each has to go: in which order does not matter.
	return all.filter((one) => {
		if (!one.recipient.waitUntilGone(deadline.waitMs())) return true;
		onEnd?.(one);
		return false;
	});
}

/**
 * A process with all its descendants, parents first; our own process is never part of it.
 *
 * A descendant counts once it was seen after it was opened, since its number alone may be another's by then.
 */
export class ProcessTree {
	private readonly confirmed = new Map<number, ProcessHandle>();

	/** Takes the handle over. */
	constructor(root: ProcessHandle) {
		if (root.pid !== process.pid) this.confirmed.set(root.pid, root);
	}

	/** Looks twice; those that were not known before. */
	findMore(): ProcessHandle[] {
		const opened = new Map<number, ProcessHandle>();
		for (const pid of this.lookForMore()) {
			const handle = tryOpen(pid);
			if (handle) opened.set(pid, handle);
		}
		if (opened.size === 0) return [];
		const found: ProcessHandle[] = [];
		for (const pid of this.lookForMore()) {
			const handle = opened.get(pid);
			if (!handle || handle.isGone()) continue;
			opened.delete(pid);
			this.confirmed.set(pid, handle);
			found.push(handle);
		}
		for (const handle of opened.values()) handle[Symbol.dispose]();
		return found;
	}

	/** The numbers of descendants of those that are known and live. */
	private lookForMore(): number[] {
		const living = this.all.filter((handle) => !handle.isGone()).map(({pid}) => pid);
		return descendantsOf(...living).filter((pid) => pid !== process.pid && !this.confirmed.has(pid));
	}

	/** All that are known, the root first. */
	get all(): ProcessHandle[] {
		return [...this.confirmed.values()];
	}
}
