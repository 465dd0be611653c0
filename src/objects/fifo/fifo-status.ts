import {closeSync} from 'node:fs';
import {hasCode} from '../../common/errors.js';
import {octalMode} from '../../common/formats/mode.js';
import type {Address} from '../../common/formats/object-name.js';
import {CannotSee, findOpeners, identityKey, type Opener} from '../../common/process/proc.js';
import {namesInRuntimeFolder} from '../../common/runtime-folder.js';
import {AT_FDCWD, DT_FIFO, native, O_NONBLOCK, O_RDONLY} from '../../native/index.js';
import {Fifo} from './fifo.js';

/** One who reads or writes. */
export interface FifoUser {
	pid: number;
	command: string;
	/** It still waits in open(2) for the other side. */
	waiting: boolean;
}

/** What can be said about a FIFO; the keys are those of --json. */
export interface FifoStatus {
	name: string;
	path: string;
	/** Octal, as chmod(1) takes it. */
	mode: string;
	owner: string;
	/** Removed by its last user. */
	temporary: boolean;
	/** Bytes it can hold; null while nobody has it open, or where we may not look. */
	capacity: number | null;
	/** Unread bytes; null where we may not look. */
	queued: number | null;
	/** Those that we may see; null where /proc shows no processes. */
	readers: FifoUser[] | null;
	writers: FifoUser[] | null;
}

/** Looks at FIFOs without anybody noticing. Processes of other users show to root only. */
export function lookAt(fifos: readonly Fifo[], contents: boolean): FifoStatus[] {
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
 * How full it is. To ask, one needs a descriptor, and opening a FIFO is no mere look: it wakes whoever waits for the
 * other side, and closing it again is the end of the stream to them. With a reader there, one more for a moment is
 * nothing to anybody; without, we borrow a writer's own descriptor; and where nobody has it open there is no pipe.
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

/** Root sees all processes; others see their own, and whoever else may open the FIFO stays hidden. */
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
			// Gone meanwhile, not ours to look at, or a kernel that cannot.
			if (!hasCode(error, 'ESRCH', 'EPERM', 'EBADF', 'ENOSYS', 'EINVAL', 'EACCES')) throw error;
		} finally {
			if (process !== undefined) closeSync(process);
		}
	}
	return undefined;
}

/** The names of the FIFOs in the runtime folder, sorted. */
export const fifoNames = (): string[] => namesInRuntimeFolder(DT_FIFO);

/** Looks at the FIFOs of these addresses, and passes over what is missing; their contents need not be looked at. */
export function lookAtAddresses(addresses: readonly Address[], {contents = true} = {}): FifoStatus[] {
	const fifos = addresses.map((address) => Fifo.tryLook(address)).filter((fifo) => fifo !== undefined);
	try {
		return lookAt(fifos, contents);
	} finally {
		for (const fifo of fifos) fifo.close();
	}
}

export const allAddresses = (): Address[] => fifoNames().map((name) => ({kind: 'name', name}));
