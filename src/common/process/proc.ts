import {closeSync, openSync, readdirSync, readFileSync, readlinkSync, readSync, statSync} from 'node:fs';
import {native, O_ACCMODE, O_PATH, O_RDONLY, O_WRONLY} from '../../native/index.js';
import {hasCode} from '../errors.js';
import {hasEnded, processStat} from './process-status.js';

/**
 * Who uses what, from /proc: proc(5). Descriptors of other users' processes are left out where we may not see them; as
 * root everything shows. Where /proc shows no processes at all nothing is known, which differs from no process:
 * the answer is {@link CannotSee} then, and callers have to say so and to leave alone what they would destroy.
 */

/** /proc does not show the processes that there are. */
export class CannotSee {
	constructor(
		/** In words: `/proc is not mounted`. */
		readonly why: string,
	) {}

	/** For lines about an object. */
	get sentence(): string {
		return `cannot see which processes use it: ${this.why}`;
	}
}

/** Why /proc shows no processes, or others than those that our numbers mean; undefined where it shows them. */
export function findBlindness(): CannotSee | undefined {
	let own: string;
	try {
		own = readlinkSync('/proc/self');
	} catch {
		return new CannotSee('/proc is not mounted');
	}
	if (own !== String(process.pid)) return new CannotSee('/proc belongs to another PID namespace');
	return undefined;
}

/** What stands in place of a list of users where that is not known. */
export const describeBlindness = (): string =>
	(findBlindness() ?? new CannotSee('/proc showed no processes a moment ago')).sentence;

/** What was found, where that is known. */
export const seen = <Found>(found: Found | CannotSee): Found | undefined =>
	found instanceof CannotSee ? undefined : found;

/**
 * Whether /proc is mounted so that processes of other users cannot be looked at (`closed`), or do not even show
 * (`hidden`): hidepid in proc(5). Who may trace everybody, or is in the group of gid=, sees them all the same.
 */
export function findHiding(): 'closed' | 'hidden' | undefined {
	const mount = read('/proc/self/mountinfo')
		?.split('\n')
		.findLast((line) => line.split(' ')[4] === '/proc');
	const mode = /[ ,]hidepid=(\w+)/.exec(mount ?? '')?.[1] ?? 'off';
	if (mode === 'off' || mode === '0') return undefined;
	try {
		// The first process is always there. Where it is ours that it shows means nothing, unless we are root.
		const uid = process.geteuid?.();
		if (read('/proc/1/stat') !== undefined && (statSync('/proc/1').uid !== uid || uid === 0)) return undefined;
	} catch {
		// It does not show.
	}
	return mode === '1' || mode === 'noaccess' ? 'closed' : 'hidden';
}

export interface Opener {
	pid: number;
	/** The process's name as the kernel has it: 15 characters at most. */
	command: string;
	/** Its descriptor; undefined when it still waits in open(2). */
	descriptor: number | undefined;
	access: 'r' | 'w' | 'rw';
}

/** What identifies a file, whatever its name. */
export interface FileIdentity {
	dev: number;
	ino: number;
}

export const identityKey = ({dev, ino}: FileIdentity): string => `${dev}:${ino}`;

const read = (path: string): string | undefined => {
	try {
		return readFileSync(path, 'utf8');
	} catch {
		return undefined;
	}
};

export const commandOf = (pid: number): string => read(`/proc/${pid}/comm`)?.trimEnd() ?? '?';

/** Whether there is a process of that number, also where /proc does not show it. kill(2) */
export function mayExist(pid: number): boolean {
	try {
		native.kill(pid, 0);
		return true;
	} catch (error) {
		return !hasCode(error, 'ESRCH');
	}
}

/** Why a process that is there does not show in /proc. */
export const whyUnseen = (): string => findBlindness()?.why ?? '/proc hides it (hidepid)';

/** All there are now. */
export function processes(): number[] | CannotSee {
	return (
		findBlindness() ??
		readdirSync('/proc')
			.filter((name) => /^[0-9]+$/.test(name))
			.map(Number)
	);
}

/**
 * Everyone who has one of these files open, and everyone who waits in open(2) for the other side of a FIFO among
 * them, by {@link identityKey}. Our own descriptors are left out.
 */
export function findOpeners(files: readonly FileIdentity[]): Map<string, Opener[]> | CannotSee {
	const found = new Map<string, Opener[]>(files.map((file) => [identityKey(file), []]));
	if (files.length === 0) return found;
	const blindness = findBlindness();
	if (blindness) return blindness;
	const numbers = native.findOpenFiles(Float64Array.from(files.flatMap(({dev, ino}) => [dev, ino])));
	for (let i = 0; i < numbers.length; i += 4) {
		const [pid, descriptor, flags, index] = numbers.slice(i, i + 4) as [number, number, number, number];
		if (pid === process.pid) continue;
		if (index < 0) {
			const waiting = waitingOpen(pid);
			const list = waiting && found.get(waiting.key);
			if (list) list.push({pid, command: commandOf(pid), descriptor: undefined, access: waiting.access});
			continue;
		}
		// A descriptor that only names the file neither reads nor writes.
		if (flags & O_PATH) continue;
		const list = found.get(identityKey(files[index] as FileIdentity));
		list?.push({pid, command: commandOf(pid), descriptor, access: accessOfFlags(flags)});
	}
	return found;
}

/** Who has files in memory, with a descriptor or without. */
export interface Mappers {
	/** Process ids, by {@link identityKey}; our own is left out. */
	pids: Map<string, number[]>;
	/** How many processes there are whose memory we may not see; null where some do not even show. */
	unseen: number | null;
}

export function findMappers(files: readonly FileIdentity[]): Mappers | CannotSee {
	const blindness = files.length > 0 ? findBlindness() : undefined;
	if (blindness) return blindness;
	const pids = new Map<string, number[]>(files.map((file) => [identityKey(file), []]));
	let unseen = 0;
	const numbers = native.findMappings(Float64Array.from(files.flatMap(({dev, ino}) => [dev, ino])));
	for (let i = 0; i < numbers.length; i += 2) {
		const [pid, index] = numbers.slice(i, i + 2) as [number, number];
		if (index < 0) unseen++;
		else if (pid !== process.pid) pids.get(identityKey(files[index] as FileIdentity))?.push(pid);
	}
	return {pids, unseen: findHiding() === 'hidden' ? null : unseen};
}

function accessOfFlags(flags: number): Opener['access'] {
	const access = flags & O_ACCMODE;
	return access === O_RDONLY ? 'r' : access === O_WRONLY ? 'w' : 'rw';
}

/** The numbers of open(2) and openat(2); arm64 has no open(2). */
const openCall = process.arch === 'x64' ? 2 : -1;
const openatCall = process.arch === 'x64' ? 257 : 56;

/**
 * A process that waits in open(2) has no descriptor yet. /proc/PID/syscall tells the call and its arguments, the
 * path is in its memory; both need the right to trace it, and without that it stays unseen.
 */
function waitingOpen(pid: number): {key: string; access: Opener['access']} | undefined {
	const call = read(`/proc/${pid}/syscall`)?.split(' ');
	if (!call || call.length < 4) return undefined;
	const [first = '', second = '', third = ''] = call.slice(1);
	const isOpen = Number(call[0]) === openCall;
	if (!isOpen && Number(call[0]) !== openatCall) return undefined;
	const path = textAt(pid, isOpen ? first : second);
	if (path === undefined) return undefined;
	const folder = Number(BigInt.asIntN(32, BigInt(first || '0')));
	const base = path.startsWith('/')
		? `/proc/${pid}/root`
		: !isOpen && folder >= 0
			? `/proc/${pid}/fd/${folder}/`
			: `/proc/${pid}/cwd/`;
	const own = /^\/proc\/self\//.test(path) ? path.replace('/proc/self/', `/proc/${pid}/`) : base + path;
	try {
		return {key: identityKey(statSync(own)), access: accessOfFlags(Number(isOpen ? second : third))};
	} catch {
		return undefined;
	}
}

function textAt(pid: number, address: string): string | undefined {
	let memory: number | undefined;
	try {
		memory = openSync(`/proc/${pid}/mem`, 'r');
		const bytes = Buffer.alloc(4096);
		let count = 0;
		// The text may end just before a page that is not there: read to the page's end first.
		const start = BigInt(address);
		const first = Number(4096n - (start % 4096n));
		count = readSync(memory, bytes, 0, first, start as unknown as number);
		if (!bytes.subarray(0, count).includes(0) && first < 4096) {
			count += readSync(memory, bytes, first, 4096 - first, (start + BigInt(first)) as unknown as number);
		}
		const end = bytes.subarray(0, count).indexOf(0);
		return end < 0 ? undefined : bytes.toString('utf8', 0, end);
	} catch {
		return undefined;
	} finally {
		if (memory !== undefined) closeSync(memory);
	}
}

/** Everything alive that descends from one of these processes now, parents before children. */
export function descendantsOf(...ancestors: number[]): number[] | CannotSee {
	const children = new Map<number, number[]>();
	const all = processes();
	if (all instanceof CannotSee) return all;
	for (const pid of all) {
		const stat = processStat(pid);
		if (!stat || hasEnded(stat)) continue;
		children.set(stat.parent, [...(children.get(stat.parent) ?? []), pid]);
	}
	const found: number[] = [];
	const seen = new Set(ancestors);
	for (const queue = [...ancestors]; queue.length > 0; ) {
		const next = (children.get(queue.shift() as number) ?? []).filter((pid) => !seen.has(pid));
		for (const pid of next) seen.add(pid);
		found.push(...next);
		queue.push(...next);
	}
	return found;
}
