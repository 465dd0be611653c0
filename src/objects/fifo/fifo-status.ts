import {closeSync} from 'node:fs';
import {hasCode} from '../../common/errors.js';
import {octalMode} from '../../common/formats/mode.js';
import type {Address} from '../../common/formats/object-name.js';
import {CannotSee, findOpeners, identityKey, type Opener} from '../../common/process/proc.js';
import {namesInRuntimeFolder} from '../../common/runtime-folder.js';
import {AT_FDCWD, DT_FIFO, native, O_NONBLOCK, O_RDONLY} from '../../native/index.js';
import {Fifo} from './fifo.js';

/** A process that reads or writes a FIFO. */
export interface FifoUser {
	pid: number;
	command: string;
	/** The process still waits in open(2) for the other side. */
	waiting: boolean;
	/** The machine that it says it is on. Of a user of a pipe on a cluster only. */
	host?: string;
}

/** The status of a FIFO, or of a pipe on a cluster; the keys are those of --json. What the other kind has is null. */
export interface FifoStatus {
	name: string;
	path: string | null;
	/** Octal, as chmod(1) takes it. */
	mode: string | null;
	owner: string | null;
	/** Removed by its last user. */
	temporary: boolean;
	/** Capacity in bytes; null while no process has the FIFO open, or when we have no permission to look; or no limit, on a cluster. */
	capacity: number | null;
	/** Unread bytes; null when we have no permission to look. */
	queued: number | null;
	/** Those that we may see; null where /proc shows no processes. */
	readers: FifoUser[] | null;
	writers: FifoUser[] | null;
	/** Of a pipe on a cluster only. */
	cluster?: {replicas: number; leader: string | null; created: string};
}

/** Looks at FIFOs without waking any process. Only root sees the processes of other users. */
function lookAt(fifos: readonly Fifo[], contents: boolean): FifoStatus[] {
	const openers = findOpeners(fifos.map(({identity}) => identity));
	return fifos.map((fifo) => {
		const users = openers instanceof CannotSee ? undefined : (openers.get(identityKey(fifo.identity)) ?? []);
		const {mode, uid, temporary} = fifo.stat();
		const usersWith = (letter: 'r' | 'w') =>
			users
				?.filter(({access}) => access.includes(letter))
				.map(({pid, command, descriptor}) => ({pid, command, waiting: descriptor === undefined}));
		return {
			name: fifo.shownName,
			path: fifo.path,
			mode: octalMode(mode),
			owner: native.userName(uid) ?? String(uid),
			temporary,
			...(contents && users ? lookInside(fifo, users) : {capacity: null, queued: null}),
			readers: onePerProcess(usersWith('r')),
			writers: onePerProcess(usersWith('w')),
		};
	});
}

/** A shell and the programs it started may hold the same FIFO more than once. */
function onePerProcess(users: FifoUser[] | undefined): FifoUser[] | null {
	if (users === undefined) return null;
	return [...new Map(users.map((user) => [user.pid, user])).values()].sort((a, b) => a.pid - b.pid);
}

/**
 * Capacity and fill level. To ask, we need a descriptor, and opening a FIFO has side effects: it wakes the process that
 * waits for the other side, and closing the FIFO again ends the stream for that process. If there is a reader, one more
 * reader for a moment changes nothing. Without a reader, we borrow a descriptor of a writer. If no process has the FIFO
 * open, there is no pipe.
 */
function lookInside(fifo: Fifo, users: readonly Opener[]): {capacity: number | null; queued: number | null} {
	const open = users.filter(({descriptor}) => descriptor !== undefined);
	if (open.length === 0) return {capacity: null, queued: seesEveryUser(fifo) ? 0 : null};
	const descriptor = open.some(({access}) => access.includes('r')) ? openToLook(fifo) : borrow(open);
	if (descriptor === undefined) return {capacity: null, queued: null};
	try {
		return {capacity: native.fcntlGetpipeSz(descriptor), queued: native.ioctlFionread(descriptor)};
	} finally {
		closeSync(descriptor);
	}
}

/** Root sees all processes. Other users see their own processes only, so other users of the FIFO stay hidden. */
function seesEveryUser(fifo: Fifo): boolean {
	const {uid, mode} = fifo.stat();
	return process.geteuid?.() === 0 || (uid === process.geteuid?.() && (mode & 0o077) === 0);
}

function openToLook(fifo: Fifo): number | undefined {
	try {
		return native.openat(AT_FDCWD, fifo.handlePath, O_RDONLY | O_NONBLOCK, 0, -1);
	} catch (error) {
		if (hasCode(error, 'EACCES', 'EPERM')) return undefined;
		throw error;
	}
}

function borrow(openers: readonly Opener[]): number | undefined {
	for (const {pid, descriptor} of openers) {
		let process: number | undefined;
		try {
			process = native.pidfdOpen(pid);
			return native.pidfdGetfd(process, descriptor as number);
		} catch (error) {
			// The process has ended, we have no permission to look, or the kernel does not support it.
			if (!hasCode(error, 'ESRCH', 'EPERM', 'EBADF', 'ENOSYS', 'EINVAL', 'EACCES')) throw error;
		} finally {
			if (process !== undefined) closeSync(process);
		}
	}
	return undefined;
}

/** The names of the FIFOs in the runtime folder, sorted. */
export const fifoNames = (): string[] => namesInRuntimeFolder(DT_FIFO);

/** Looks at the FIFOs of these addresses and skips missing ones; we need no permission to read their contents. */
export function lookAtAddresses(addresses: readonly Address[], {contents = true} = {}): FifoStatus[] {
	const fifos = addresses.map((address) => Fifo.tryLook(address)).filter((fifo) => fifo !== undefined);
	try {
		return lookAt(fifos, contents);
	} finally {
		for (const fifo of fifos) fifo.close();
	}
}

export const allAddresses = (): Address[] => fifoNames().map((name) => ({kind: 'name', name}));
