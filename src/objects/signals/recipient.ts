import {Deadline} from '../../common/deadline.js';
import {explain, hasCode, SystemError} from '../../common/errors.js';
import {signalName} from '../../common/formats/signal-name.js';
import {CannotSee, descendantsOf, processes, whyUnseen} from '../../common/process/proc.js';
import {processStat} from '../../common/process/process-status.js';
import {pause} from '../../common/waiting.js';
import {native, PIDFD_SIGNAL_PROCESS_GROUP} from '../../native/index.js';
import {NoSuchProcess, ProcessHandle} from './process-handle.js';
import {SI_QUEUE, SI_USER} from './received-signal.js';

/** The target of one signal: a process, or a process group as a whole. */
export interface Recipient extends Disposable {
	readonly pid: number;
	/** Only of a process group. */
	readonly group?: number;
	/** Whether a process was in the group. */
	hasMember?(pid: number): boolean;
	/** Of the process, or of the group's leader: ids are reused. */
	readonly startTime: number | undefined;
	/** False when a signal queue is full. */
	trySend(signal: number, value?: number): boolean;
	isGone(): boolean;
	/** Whether the process ended in time. */
	waitUntilGone(timeoutMs: number): boolean;
}

/** Opens a process that may have ended. */
function tryOpen(pid: number): ProcessHandle | undefined {
	try {
		return ProcessHandle.open(pid);
	} catch (error) {
		if (error instanceof SystemError) return undefined;
		throw error;
	}
}

/**
 * The process group of a process. The kernel sends the signal to all members in one step, so that no process can escape
 * by forking; the members at this moment are the processes that are waited for.
 */
export class GroupHandle implements Recipient {
	readonly pid: number;
	readonly group: number;
	private readonly members: ProcessHandle[] = [];

	/** While this is held the id of the group is not reused, even when its leader has ended. */
	private readonly leader: ProcessHandle | undefined;

	/** Takes ownership of the handle. */
	constructor(private readonly of: ProcessHandle) {
		const tried = `cannot send to the process group of ${of.pid}`;
		this.pid = of.pid;
		const stat = processStat(of.pid);
		if (!stat && !of.isGone()) throw new SystemError(`${tried}: cannot see its process group: ${whyUnseen()}`);
		if (!stat || of.isGone()) throw new NoSuchProcess(`${tried}: it has ended`);
		// A kernel thread has no group, and 0 would mean our own.
		if (stat.group === 0) throw new SystemError(`${tried}: it has no process group`);
		this.group = stat.group;
		this.leader = tryOpen(this.group);
		// The process still exists and is in the group: so the group has existed all the time, and its leader is the
		// process that was opened.
		if (processStat(of.pid)?.group !== this.group || of.isGone()) throw new NoSuchProcess(`${tried}: it has ended`);
	}

	/** Finds all members, to wait for them. We do not wait for ourselves. */
	findMembers(): void {
		const known = new Set([process.pid, ...this.members.map(({pid}) => pid)]);
		const all = processes();
		if (all instanceof CannotSee)
			throw new SystemError(`cannot see which processes are in the group ${this.group}: ${all.why}`);
		for (const pid of all) {
			if (known.has(pid) || processStat(pid)?.group !== this.group) continue;
			const handle = tryOpen(pid);
			// Checked again after opening: from now on its PID cannot be reused.
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
					`${tried} with a value: this kernel does not support it, or the group leader has ended (send to each process instead)`,
				);
			native.kill(-this.group, signal);
			return true;
		} catch (error) {
			throw explain(tried, error, {ESRCH: 'all its processes have ended', EPERM: 'not permitted'});
		}
	}

	hasMember(pid: number): boolean {
		return this.members.some((member) => member.pid === pid);
	}

	get startTime(): number | undefined {
		return this.leader?.startTime;
	}

	/** A group whose only member is this process counts as not ended. */
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

/** Waits until all have ended and reports each one; returns the processes that have not ended in time. */
export function waitForAll<Waited extends {recipient: Recipient}>(
	all: readonly Waited[],
	timeoutMs: number,
	onEnd?: (ended: Waited) => void,
): Waited[] {
	const deadline = new Deadline(timeoutMs);
	// All of them have to end: the order does not matter.
	return all.filter((one) => {
		if (!one.recipient.waitUntilGone(deadline.waitMs())) return true;
		onEnd?.(one);
		return false;
	});
}

/** Neither stopped nor ended. proc(5) */
const isRunning = ({pid}: ProcessHandle): boolean => /^[^TtZX]$/.test(processStat(pid)?.state ?? 'X');

/**
 * After SIGSTOP: waits until none of them runs, at most that long. A process that is in the middle of fork(2) has a child before it
 * stops.
 */
export function waitUntilStopped(all: readonly ProcessHandle[], timeoutMs: number): void {
	const deadline = new Deadline(timeoutMs);
	for (const handle of all) while (isRunning(handle) && !handle.isGone() && !deadline.hasPassed) pause(1);
}

/**
 * A process with all its descendants, parents first; our own process is never part of it.
 *
 * A descendant counts once it was seen after it was opened: before that, its PID alone could belong to another process.
 */
export class ProcessTree {
	private readonly confirmed = new Map<number, ProcessHandle>();

	private readonly root: number;

	/** Takes ownership of the handle. */
	constructor(root: ProcessHandle) {
		this.root = root.pid;
		if (root.pid !== process.pid) this.confirmed.set(root.pid, root);
	}

	/** Looks twice; returns the processes that were not known before. */
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

	/** The PIDs of descendants of the known processes that live. */
	private lookForMore(): number[] {
		const living = this.all.filter((handle) => !handle.isGone()).map(({pid}) => pid);
		const found = descendantsOf(...living);
		if (found instanceof CannotSee) throw new SystemError(`cannot see the descendants of ${this.root}: ${found.why}`);
		return found.filter((pid) => pid !== process.pid && !this.confirmed.has(pid));
	}

	/** All known processes, the root first. */
	get all(): ProcessHandle[] {
		return [...this.confirmed.values()];
	}
}
