import {closeSync, fstatSync, type Stats} from 'node:fs';
import {basename, dirname} from 'node:path';
import {AT_FDCWD, LOCK_EX, LOCK_UN, native, O_DIRECTORY, O_NOFOLLOW, O_PATH, O_RDONLY} from '../native/index.js';
import {attempt, explain, hasCode, quoted, SystemError} from './errors.js';
import {openRuntimeFolder, runtimeFolderPath} from './runtime-folder.js';

/**
 * Other processes hold a folder for as long as it takes to look at all processes: milliseconds, and on a busy machine more than a
 * second when several processes leave at once. A process that holds it longer has been stopped or is hostile.
 */
const folderTimeoutMs = 10_000;

/**
 * The folder that a FIFO or a socket lies in, open, and its name there. Whatever is asked or done goes through the open
 * folder, so the one that was checked is the one that is used.
 */
export class DirectoryEntry implements Disposable {
	private constructor(
		readonly folder: number,
		readonly name: string,
		readonly path: string,
		/** A link is followed in a path that its user gave, never in the runtime folder. */
		readonly followsLinks: boolean,
		/** In quotes, as messages have it. */
		readonly shown: string,
	) {}

	/** Undefined when the folder is missing and is not to be made. */
	static open(
		address: {kind: 'name'; name: string} | {kind: 'path'; path: string},
		create: boolean,
	): DirectoryEntry | undefined {
		if (address.kind === 'name') {
			const folder = openRuntimeFolder(create);
			if (folder === undefined) return undefined;
			const {name} = address;
			return new DirectoryEntry(folder, name, `${runtimeFolderPath()}/${name}`, false, quoted(name));
		}
		const path = dirname(address.path);
		const openFolder = (flags: number) => native.openat(AT_FDCWD, path, flags | O_DIRECTORY, 0, -1);
		const placeIn = (folder: number) =>
			new DirectoryEntry(folder, basename(address.path), address.path, true, quoted(address.path));
		try {
			return placeIn(openFolder(O_RDONLY));
		} catch (error) {
			// A folder that may be passed but not read serves as well, only it cannot be locked.
			if (hasCode(error, 'EACCES'))
				return placeIn(attempt(`cannot open the folder ${quoted(path)}`, () => openFolder(O_PATH)));
			if (hasCode(error, 'ENOENT') && !create) return undefined;
			throw explain(`cannot open the folder ${quoted(path)}`, error, {ENOENT: 'no such folder'});
		}
	}

	/** A path to the name through the open folder. */
	get pathInFolder(): string {
		return `/proc/self/fd/${this.folder}/${this.name}`;
	}

	/**
	 * Refers to the entry without opening it (O_PATH); undefined when it does not exist. Refuses an entry of another
	 * kind.
	 */
	openHandle(kind: 'FIFO' | 'socket', followsLinks = this.followsLinks): number | undefined {
		let handle: number;
		try {
			handle = native.openat(this.folder, this.name, O_PATH | (followsLinks ? 0 : O_NOFOLLOW), 0, -1);
		} catch (error) {
			if (hasCode(error, 'ENOENT')) return undefined;
			throw explain(`cannot open ${this.shown}`, error);
		}
		const stats = fstatSync(handle);
		if (kind === 'FIFO' ? stats.isFIFO() : stats.isSocket()) return handle;
		closeSync(handle);
		throw new SystemError(`${this.shown} is ${typeName(stats)}, not a ${kind}`);
	}

	/**
	 * Work that no other ipc-tools process does at the same time in this folder; leaves nothing behind. A signal that was
	 * caught ends the wait for the others. flock(2)
	 */
	withLock<Result>(work: () => Result): Result {
		return this.locked(work, []);
	}

	/** The same to clean up, which is done even if another signal comes meanwhile. */
	cleanUpWithLock<Result>(work: () => Result): Result {
		return this.locked(work, ['EINTR']);
	}

	private locked<Result>(work: () => Result, unimportant: readonly string[]): Result {
		let isLocked = false;
		try {
			native.flock(this.folder, LOCK_EX, folderTimeoutMs);
			isLocked = true;
		} catch (error) {
			if (hasCode(error, 'ETIMEDOUT'))
				throw new SystemError(`cannot look at ${this.shown}: another process keeps its folder locked`);
			// A folder that cannot be locked (not readable, a file system without locks): go on as if alone.
			if (!hasCode(error, 'EBADF', 'EOPNOTSUPP', 'ENOLCK', 'EINVAL', ...unimportant)) throw error;
		}
		try {
			return work();
		} finally {
			if (isLocked) native.flock(this.folder, LOCK_UN, -1);
		}
	}

	[Symbol.dispose](): void {
		closeSync(this.folder);
	}
}

/** A kind of file, as messages have it. */
export function typeName(stats: Stats): string {
	if (stats.isFile()) return 'a regular file';
	if (stats.isDirectory()) return 'a folder';
	if (stats.isFIFO()) return 'a FIFO';
	if (stats.isSocket()) return 'a socket';
	if (stats.isSymbolicLink()) return 'a symbolic link';
	return 'a device';
}
