import {fstatSync, lstatSync} from 'node:fs';
import {SystemError} from '../../common/errors.js';
import {octalMode} from '../../common/formats/mode.js';
import type {Address} from '../../common/formats/object-name.js';
import {
	CannotSee,
	commandOf,
	type FileIdentity,
	findMappers,
	findOpeners,
	identityKey,
} from '../../common/process/proc.js';
import {native} from '../../native/index.js';
import {type RingStatus, readRingStatus} from '../ring/ring-layout.js';
import {segmentPath, toAddress} from './segment-name.js';
import {SharedMemory} from './shared-memory.js';

/** A process that uses a segment. */
export interface SegmentUser {
	pid: number;
	command: string;
	/** Whether the process maps the segment, and whether it has a descriptor of it. */
	maps: boolean;
	open: boolean;
}

/** The status of a segment; the keys are those of --json. */
export interface SegmentStatus {
	name: string;
	/** Bytes. */
	size: number;
	/** Bytes of memory that it takes. */
	allocated: number;
	/** Octal, as chmod(1) takes it. */
	mode: string | null;
	/** Null on a cluster, as its mode. */
	owner: string | null;
	/** When a system call (not a store to mapped memory) last touched it, ISO 8601. */
	changed: string;
	/** Processes that use it; only root sees processes of other users. Null where /proc shows no processes. */
	users: SegmentUser[] | null;
	/** Number of processes whose mappings we have no permission to see; null where some processes are hidden. */
	unseen: number | null;
	/** The ring, if send and recv have made the segment one. */
	ring: RingStatus | null;
	/** Only on a cluster: the revision, the number of copies, and whether it is a value or an object of the object store. */
	cluster?: {revision: number; replicas: number; stored: 'value' | 'object'};
}

/**
 * Looks at segments and changes nothing; skips missing ones. A segment that cannot be opened is shown without its ring.
 */
export function lookAtSegments(addresses: readonly Address[]): SegmentStatus[] {
	const found = addresses.map(lookAt).filter((status) => status !== undefined);
	const identities = found.map(({identity}) => identity);
	const used = findUsers(identities);
	return found.map(({identity, status}) => {
		if (used instanceof CannotSee) return {...status, users: null, unseen: null};
		const {openers, mappers, unseen} = used;
		const key = identityKey(identity);
		const users = new Map<number, SegmentUser>();
		for (const pid of mappers.get(key) ?? []) users.set(pid, {pid, command: commandOf(pid), maps: true, open: false});
		for (const {pid, command} of openers.get(key) ?? [])
			users.set(pid, {pid, command, maps: users.get(pid)?.maps ?? false, open: true});
		return {...status, users: [...users.values()].sort((a, b) => a.pid - b.pid), unseen};
	});
}

/** Who has files of memory open, who maps them, and how many processes cannot be looked into. */
export function findUsers(files: readonly FileIdentity[]) {
	const openers = findOpeners(files);
	if (openers instanceof CannotSee) return openers;
	const mapping = findMappers(files);
	return mapping instanceof CannotSee ? mapping : {openers, mappers: mapping.pids, unseen: mapping.unseen};
}

function lookAt(name: Address) {
	const address = toAddress(name);
	const stat = lstatSync(segmentPath(address), {throwIfNoEntry: false});
	if (!stat?.isFile()) return undefined;
	using segment = openToLook(address);
	const {dev, ino, size, blocks, mode, uid, mtimeMs, ctimeMs} = segment ? fstatSync(segment.descriptor) : stat;
	return {
		identity: {dev, ino},
		status: {
			name: address.name,
			size,
			allocated: blocks * 512,
			mode: octalMode(mode),
			owner: native.userName(uid) ?? String(uid),
			changed: new Date(Math.max(mtimeMs, ctimeMs)).toISOString(),
			ring: segment ? readRingStatus(segment) : null,
		},
	};
}

function openToLook(address: Address): SharedMemory | undefined {
	try {
		return SharedMemory.tryOpen(address, 'read');
	} catch (error) {
		if (error instanceof SystemError) return undefined;
		throw error;
	}
}

/** Group and others: where the mode lets no other user use it, processes that cannot be inspected do not matter. */
const othersBits = 0o077;

/** Why some process that we cannot see may use a segment of this mode; undefined where none can. */
export function describeUnseen(mode: number, unseen: number | null): string | undefined {
	if (unseen === 0 || !(mode & othersBits)) return undefined;
	const advice = process.geteuid?.() === 0 ? '' : ' (root can see more)';
	return `its mode lets other users use it, and ${unseenProcesses(unseen)} cannot be inspected${advice}`;
}

export const unseenProcesses = (unseen: number | null): string =>
	unseen === null ? 'processes that /proc hides' : processCount(unseen);

const processCount = (count: number): string => (count === 1 ? '1 process' : `${count} processes`);

/** `process 12 (python3)`, `3 processes (12 python3, 13 cat, 14 cat)` */
export function describeProcesses(pids: readonly number[]): string {
	const shown = pids.slice(0, 5).map((pid) => `${pid} ${commandOf(pid)}`);
	const more = pids.length > 5 ? ', ...' : '';
	return `${pids.length === 1 ? 'process' : processCount(pids.length)} (${shown.join(', ')}${more})`;
}
