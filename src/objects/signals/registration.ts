import {closeSync, fstatSync, ftruncateSync, lstatSync, readSync} from 'node:fs';
import {Deadline} from '../../common/deadline.js';
import {DirectoryEntry, typeName} from '../../common/directory-entry.js';
import {attempt, explain, hasCode, quoted, reasonOf, SystemError, UsageError} from '../../common/errors.js';
import {parseLocalAddress} from '../../common/formats/object-name.js';
import type {TextFormat} from '../../common/formats/text-format.js';
import {tellVerbose} from '../../common/output.js';
import {whyUnseen} from '../../common/process/proc.js';
import {processStat} from '../../common/process/process-status.js';
import {namesInRuntimeFolder} from '../../common/runtime-folder.js';
import {pause} from '../../common/waiting.js';
import {
	DT_REG,
	F_RDLCK,
	F_WRLCK,
	isKernelError,
	native,
	O_CREAT,
	O_NOFOLLOW,
	O_NONBLOCK,
	O_RDONLY,
	O_RDWR,
} from '../../native/index.js';
import {NoSuchProcess, ProcessHandle} from './process-handle.js';

/**
 * Names of receivers: a file in the runtime folder for each name. The file holds pid and start time, under a lock that
 * the kernel releases when its owner ends, however that happens. "Open file description locks" in fcntl(2)
 */
const suffix = '.receiver';
const longestName = 255 - suffix.length;

/** A process with the lock writes to the file next; a process that died meanwhile never does. */
const timeoutMs = 1000;
const lookMs = 2;

/** `NAME`, also written `@NAME`. */
export const receiverName: TextFormat<string> = {
	placeholder: 'NAME',
	parse(text) {
		const address = parseLocalAddress(text);
		const name = address.kind === 'abstract' || address.kind === 'name' ? address.name : undefined;
		if (name === undefined || name.includes('/'))
			throw new UsageError(`invalid receiver name '${text}': '/' is not allowed`);
		if (Buffer.byteLength(name) > longestName)
			throw new UsageError(`invalid receiver name '${text}': it is longer than ${longestName} bytes`);
		if (name === '.' || name === '..') throw new UsageError(`invalid receiver name '${text}'`);
		return name;
	},
};

/** Whether the process of that number is the one that has the name cannot be told. */
class CannotSeeOwner extends SystemError {}

interface Owner {
	pid: number;
	startTime: number;
}

/** A receiver's name, held until it is released or this process ends. */
export class Registration implements Disposable {
	private constructor(
		private readonly place: DirectoryEntry,
		private readonly descriptor: number,
	) {}

	/** @throws SystemError when a living receiver has the name, or the file was not written by a receiver. */
	static claim(name: string): Registration {
		const tried = `cannot register ${quoted(`@${name}`)}`;
		const place = DirectoryEntry.open({kind: 'name', name: name + suffix}, true) as DirectoryEntry;
		try {
			return new Registration(
				place,
				place.withLock(() => takeFile(place, tried)),
			);
		} catch (error) {
			place[Symbol.dispose]();
			throw error;
		}
	}

	[Symbol.dispose](): void {
		try {
			// Another process may have removed the file, and another receiver have taken the name since.
			this.place.cleanUpWithLock(() => {
				if (isSame(this.place, this.descriptor)) native.unlinkat(this.place.folder, this.place.name);
			});
		} catch (error) {
			if (!(error instanceof SystemError) && !isKernelError(error)) throw error;
			// A file that stays behind does no harm: no process holds its lock.
			tellVerbose(`cannot remove ${this.place.shown}: ${reasonOf(error)}`);
		}
		closeSync(this.descriptor);
		this.place[Symbol.dispose]();
	}
}

/** Makes or takes over the file of a name, and writes our identity to it. */
function takeFile(place: DirectoryEntry, tried: string): number {
	for (;;) {
		let descriptor: number;
		try {
			descriptor = native.openat(place.folder, place.name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600, -1);
		} catch (error) {
			throw explain(tried, error, otherKinds(place));
		}
		try {
			// Its owner may have removed it between our opening and our locking: then the name belongs to another file.
			if (lockFile(place, descriptor, tried)) {
				const text = Buffer.from(`${process.pid} ${processStat(process.pid)?.startTime}\n`);
				attempt(tried, () => {
					ftruncateSync(descriptor);
					native.write(descriptor, text, 0, text.length);
				});
				return descriptor;
			}
		} catch (error) {
			closeSync(descriptor);
			throw error;
		}
		closeSync(descriptor);
	}
}

/** False when the name belongs to another file now. */
function lockFile(place: DirectoryEntry, descriptor: number, tried: string): boolean {
	const stats = fstatSync(descriptor);
	if (!stats.isFile()) throw new SystemError(`${tried}: ${place.shown} in the runtime folder is ${typeName(stats)}`);
	try {
		native.ofdSetlk(descriptor, F_WRLCK, 0, 0);
	} catch (error) {
		if (!hasCode(error, 'EAGAIN', 'EACCES')) throw explain(tried, error);
		throw new SystemError(`${tried}: process ${readOwner(descriptor)?.pid ?? '?'} has that name`);
	}
	if (!isSame(place, descriptor)) return false;
	// Never overwrite other files: only a file that a dead receiver left is ours.
	if (fstatSync(descriptor).nlink > 1)
		throw new SystemError(`${tried}: ${place.shown} in the runtime folder has a second hard link`);
	if (fstatSync(descriptor).size > 0 && !readOwner(descriptor))
		throw new SystemError(`${tried}: ${place.shown} in the runtime folder was not written by a receiver`);
	return true;
}

/** What a failed open(2) tells about the kind of file. */
const otherKinds = (place: DirectoryEntry): Record<string, string> => ({
	ELOOP: `${place.shown} in the runtime folder is a symbolic link`,
	ENXIO: `${place.shown} in the runtime folder is a socket`,
	EISDIR: `${place.shown} in the runtime folder is a folder`,
	ENOENT: 'the runtime folder has just been removed',
});

/** The living receiver of a name. @throws NoSuchProcess when there is none. */
export function openReceiver(name: string, tried: string): ProcessHandle {
	const nobody = new NoSuchProcess(`${tried}: no process is registered as ${quoted(`@${name}`)}`);
	using place = DirectoryEntry.open({kind: 'name', name: name + suffix}, false);
	if (place === undefined) throw nobody;
	const deadline = new Deadline(timeoutMs);
	while (!deadline.hasPassed) {
		const owner = lockedOwner(place, tried);
		if (owner === 'nobody') throw nobody;
		const handle = owner && openOwner(owner, tried);
		// The owner may have died and its PID may have been reused in between: the lock tells that the owner still lives.
		const again = handle && lockedOwner(place, tried);
		if (handle && typeof again === 'object' && again.pid === handle.pid && again.startTime === handle.startTime)
			return handle;
		handle?.[Symbol.dispose]();
		pause(lookMs);
	}
	throw nobody;
}

/** The names of the living receivers, sorted. */
export const receiverNames = (): string[] =>
	namesInRuntimeFolder(DT_REG)
		.filter((file) => file.endsWith(suffix))
		.map((file) => file.slice(0, -suffix.length))
		.filter(isReceiver);

function isReceiver(name: string): boolean {
	try {
		openReceiver(name, '')[Symbol.dispose]();
		return true;
	} catch (error) {
		if (error instanceof SystemError) return false;
		throw error;
	}
}

/** The owner of the lock; undefined while it has not written its identity yet. */
function lockedOwner(place: DirectoryEntry, tried: string): Owner | 'nobody' | undefined {
	let descriptor: number;
	try {
		descriptor = native.openat(place.folder, place.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, -1);
	} catch (error) {
		if (hasCode(error, 'ENOENT')) return 'nobody';
		throw explain(tried, error, otherKinds(place));
	}
	try {
		if (!fstatSync(descriptor).isFile()) return 'nobody';
		return native.ofdGetlk(descriptor, F_RDLCK, 0, 0) ? readOwner(descriptor) : 'nobody';
	} finally {
		closeSync(descriptor);
	}
}

function openOwner({pid, startTime}: Owner, tried: string): ProcessHandle | undefined {
	try {
		const handle = ProcessHandle.open(pid);
		if (handle.startTime === startTime) return handle;
		const isUnseen = handle.startTime === undefined && !handle.isGone();
		handle[Symbol.dispose]();
		if (isUnseen) throw new CannotSeeOwner(`${tried}: cannot see process ${pid}, which has that name: ${whyUnseen()}`);
	} catch (error) {
		if (!(error instanceof SystemError) || error instanceof CannotSeeOwner) throw error;
	}
	return undefined;
}

function readOwner(descriptor: number): Owner | undefined {
	const bytes = Buffer.alloc(64);
	const length = readSync(descriptor, bytes, 0, bytes.length, 0);
	const [, pid, startTime] = /^([0-9]+) ([0-9]+)\n$/.exec(bytes.toString('latin1', 0, length)) ?? [];
	return pid === undefined ? undefined : {pid: Number(pid), startTime: Number(startTime)};
}

/** Whether the name still belongs to this very file. */
function isSame(place: DirectoryEntry, descriptor: number): boolean {
	const now = lstatSync(place.pathInFolder, {throwIfNoEntry: false});
	const opened = fstatSync(descriptor);
	return now !== undefined && now.ino === opened.ino && now.dev === opened.dev;
}
