import {chmodSync, closeSync, fstatSync, lstatSync} from 'node:fs';
import {DirectoryEntry} from '../../common/directory-entry.js';
import {attempt, explain, hasCode, quoted, SystemError, shellWord, UsageError} from '../../common/errors.js';
import {defaultMode} from '../../common/formats/mode.js';
import {type Address, formatAddress, parseAddress} from '../../common/formats/object-name.js';
import type {TextFormat} from '../../common/formats/text-format.js';
import {CannotSee, type FileIdentity, findOpeners, identityKey} from '../../common/process/proc.js';
import {AT_FDCWD, F_RDLCK, F_UNLCK, F_WRLCK, native, O_NONBLOCK, O_RDONLY, O_WRONLY} from '../../native/index.js';

/**
 * The life of a FIFO.
 *
 * One that somebody created stays until it is removed. One that `send` or `recv` had to make is temporary, and the
 * last of its users removes it. Three things make that safe when users come and go at the same moment, or are killed:
 *
 * - The mark is the sticky bit, which means nothing else on a FIFO: it lives as long as the FIFO and says the same to
 *   everyone, whoever made it.
 * - A user is registered by a shared lock on one byte of the folder, the one at the FIFO's inode number. The kernel
 *   drops it when the user dies, and it is there before the user waits in open(2), where it has no descriptor yet.
 * - Coming (look, make, register) and going (deregister, look for others, unlink) happen under flock(2) on the folder,
 *   so nobody can come between the look and the unlink.
 *
 * Programs that are not ours take no part in this. They are looked for in /proc before the unlink, and a reader that
 * has removed its FIFO goes on for a writer that slipped in before: no new one can come after.
 */

const temporaryMark = 0o1000;

type FifoAddress = Extract<Address, {kind: 'name' | 'path'}>;

export interface CreateSettings {
	/** Permission bits; the umask applies. Default 0600. */
	mode?: number | undefined;
	/** Removed by its last user. */
	temporary?: boolean;
}

export class Fifo implements Disposable {
	/** Where it lies in the file system. */
	readonly path: string;
	private registered = false;

	private constructor(
		private readonly place: DirectoryEntry,
		/** Names the inode without opening it (O_PATH): what was checked is what is opened. */
		private readonly handle: number,
		/** The name as its user wrote it. */
		readonly shownName: string,
	) {
		this.path = place.path;
	}

	/**
	 * Makes a FIFO; answers false when it exists already. One that was temporary is so no longer, unless `exclusive` asks
	 * for a new one only. Never blocks.
	 * mkfifo(3)
	 *
	 * @throws SystemError when it cannot be made, or when something else has that name.
	 */
	static create(
		name: string | Address,
		{mode = defaultMode, exclusive = false}: CreateSettings & {exclusive?: boolean} = {},
	): boolean {
		const address = toAddress(name);
		const place = DirectoryEntry.open(address, true) as DirectoryEntry;
		try {
			return place.withLock(() => {
				if (makeIn(place, mode)) return true;
				const handle = place.openHandle('FIFO');
				if (handle === undefined) throw new SystemError(`cannot create ${place.shown}: it vanished meanwhile`);
				const {mode: bits} = fstatSync(handle);
				if (bits & temporaryMark && !exclusive) chmodSync(`/proc/self/fd/${handle}`, bits & 0o777);
				closeSync(handle);
				return false;
			});
		} finally {
			closeSync(place.folder);
		}
	}

	/**
	 * Finds a FIFO, and makes it when it is missing and `create` is given. Does not open it for reading or writing,
	 * so nobody notices. Never blocks.
	 *
	 * @throws SystemError when there is none, or when what has that name is no FIFO.
	 */
	static open(name: string | Address, create?: CreateSettings): Fifo {
		return Fifo.tryOpen(name, create) ?? noSuchFifo(toAddress(name));
	}

	/** The same, but undefined when there is none. */
	static tryOpen(name: string | Address, create?: CreateSettings): Fifo | undefined {
		const address = toAddress(name);
		const place = DirectoryEntry.open(address, create !== undefined);
		if (!place) return undefined;
		let fifo: Fifo | undefined;
		try {
			const handle = place.openHandle('FIFO');
			if (handle !== undefined && !isTemporary(handle)) {
				fifo = new Fifo(place, handle, formatAddress(address));
			} else {
				if (handle !== undefined) closeSync(handle);
				if (handle !== undefined || create)
					fifo = place.withLock(() => Fifo.register(place, formatAddress(address), create));
			}
			return fifo;
		} finally {
			if (!fifo) closeSync(place.folder);
		}
	}

	/** Finds a FIFO only to look at it: no user of it, however temporary it is. Undefined when there is none. */
	static tryLook(name: string | Address): Fifo | undefined {
		const address = toAddress(name);
		const place = DirectoryEntry.open(address, false);
		if (!place) return undefined;
		let fifo: Fifo | undefined;
		try {
			const handle = place.openHandle('FIFO');
			if (handle !== undefined) fifo = new Fifo(place, handle, formatAddress(address));
			return fifo;
		} finally {
			if (!fifo) closeSync(place.folder);
		}
	}

	/** Under the folder's lock: nobody can remove what is found or made here before we are registered. */
	private static register(place: DirectoryEntry, shown: string, create: CreateSettings | undefined): Fifo | undefined {
		let handle = place.openHandle('FIFO');
		if (handle === undefined && create) {
			makeIn(place, (create.mode ?? defaultMode) | (create.temporary ? temporaryMark : 0));
			handle = place.openHandle('FIFO');
		}
		if (handle === undefined) return undefined;
		const fifo = new Fifo(place, handle, shown);
		if (isTemporary(handle)) {
			try {
				native.ofdSetlk(place.folder, F_RDLCK, fifo.identity.ino, 1);
				fifo.registered = true;
			} catch (error) {
				// A file system without locks: then nobody can know who is last, and the FIFO stays.
				if (!hasCode(error, 'EINVAL', 'EOPNOTSUPP', 'ENOLCK', 'EBADF')) throw error;
			}
		}
		return fifo;
	}

	/** Unlinks a FIFO, whoever uses it: they go on with what they have open. unlink(2) */
	static remove(name: string | Address): void {
		const address = toAddress(name);
		const shown = quoted(formatAddress(address));
		const place = DirectoryEntry.open(address, false);
		if (!place) throw new SystemError(`cannot remove ${shown}: no such FIFO`);
		try {
			place.withLock(() => {
				const handle = place.openHandle('FIFO');
				if (handle === undefined) throw new SystemError(`cannot remove ${shown}: no such FIFO`);
				closeSync(handle);
				attempt(`cannot remove ${shown}`, () => native.unlinkat(place.folder, place.name));
			});
		} finally {
			closeSync(place.folder);
		}
	}

	get identity(): FileIdentity {
		const {dev, ino} = fstatSync(this.handle);
		return {dev, ino};
	}

	/** The inode: mode, owner, times. fstat(2) */
	stat(): {mode: number; uid: number; gid: number; temporary: boolean; birthtimeMs: number} {
		const {mode, uid, gid, birthtimeMs} = fstatSync(this.handle);
		return {mode: mode & 0o777, uid, gid, temporary: isTemporary(this.handle), birthtimeMs};
	}

	/** Whether its user has to tidy up behind it, and so should not be ended by a signal without warning. */
	get isTemporary(): boolean {
		return this.registered;
	}

	/** A path to this very inode, whatever happens to its name meanwhile. */
	get handlePath(): string {
		return `/proc/self/fd/${this.handle}`;
	}

	/** A descriptor to read from, at once, whether or not there is a writer. It does not block. open(2), fifo(7) */
	openReader(): number {
		return this.openEnd(O_RDONLY | O_NONBLOCK, -1, 'reading');
	}

	/**
	 * A descriptor to write to, non-blocking itself. Waits for a reader, `timeoutMs` at most (negative: for ever);
	 * undefined when none came. open(2), fifo(7)
	 */
	openWriter(timeoutMs = -1): number | undefined {
		try {
			const descriptor = this.openEnd(O_WRONLY, timeoutMs, 'writing');
			native.fcntlSetfl(descriptor, native.fcntlGetfl(descriptor) | O_NONBLOCK);
			return descriptor;
		} catch (error) {
			if (hasCode(error, 'ETIMEDOUT')) return undefined;
			throw error;
		}
	}

	/** The same without waiting: undefined when there is no reader. */
	tryOpenWriter(): number | undefined {
		try {
			return native.openat(AT_FDCWD, this.handlePath, O_WRONLY | O_NONBLOCK, 0, -1);
		} catch (error) {
			if (hasCode(error, 'ENXIO')) return undefined;
			throw explain(`cannot open ${quoted(this.shownName)} for writing`, error);
		}
	}

	private openEnd(flags: number, timeoutMs: number, purpose: string): number {
		return attempt(`cannot open ${quoted(this.shownName)} for ${purpose}`, () =>
			native.openat(AT_FDCWD, this.handlePath, flags, 0, timeoutMs),
		);
	}

	/**
	 * Ends this use. Removes the FIFO when it is temporary and nobody else uses it; answers whether it did.
	 * A descriptor that is still open for reading then has its last writers: see `openReader`.
	 */
	leave(): boolean {
		if (!this.registered) return false;
		this.registered = false;
		const {folder, name} = this.place;
		try {
			return this.place.withLock(() => {
				const file = this.identity;
				native.ofdSetlk(folder, F_UNLCK, file.ino, 1);
				if (native.ofdGetlk(folder, F_WRLCK, file.ino, 1)) return false;
				// Nothing is opened for this: it has to work when the descriptors are used up.
				const {dev, ino} = lstatSync(`/proc/self/fd/${folder}/${name}`);
				if (dev !== file.dev || ino !== file.ino || !isTemporary(this.handle) || hasStrangers(file)) return false;
				native.unlinkat(folder, name);
				return true;
			});
		} catch (error) {
			// Gone already, or not ours to remove: there is nothing left to tidy.
			if (hasCode(error, 'ENOENT', 'EACCES', 'EPERM', 'EROFS', 'ETIMEDOUT') || error instanceof SystemError)
				return false;
			throw error;
		}
	}

	/** Leaves, and lets go of everything. */
	[Symbol.dispose](): void {
		try {
			this.leave();
		} finally {
			closeQuietly(this.handle);
			closeQuietly(this.place.folder);
		}
	}

	close(): void {
		this[Symbol.dispose]();
	}
}

/** Somebody who takes part in no registration has it open, as far as we may see, or may have where nobody shows. */
function hasStrangers(file: FileIdentity): boolean {
	try {
		const openers = findOpeners([file]);
		return openers instanceof CannotSee || (openers.get(identityKey(file)) ?? []).length > 0;
	} catch (error) {
		// With the descriptors used up nobody can look; who has it open keeps it open.
		if (hasCode(error, 'EMFILE', 'ENFILE')) return false;
		throw error;
	}
}

/** @throws SystemError */
export function noSuchFifo(address: Address): never {
	const shown = formatAddress(address);
	throw new SystemError(
		`cannot open ${quoted(shown)}: no such FIFO (make it with: ipc-pipe create ${shellWord(shown)})`,
	);
}

/** A FIFO's name on the command line: what can be none is refused before anything is done. */
export const fifoName: TextFormat<Address> = {placeholder: 'NAME', parse: (text) => toAddress(text)};

function toAddress(name: string | Address): FifoAddress {
	const address = typeof name === 'string' ? parseAddress(name) : name;
	if (address.kind === 'abstract')
		throw new UsageError(`'@${address.name}' is no name for a FIFO: abstract names are for sockets`);
	if (address.kind === 'cluster')
		throw new UsageError(`'${address.url}' is an address on a cluster, which this version does not reach`);
	return address;
}

/** Answers false when something has that name already. */
function makeIn({folder, name, shown}: DirectoryEntry, mode: number): boolean {
	try {
		native.mkfifoat(folder, name, mode);
		return true;
	} catch (error) {
		if (hasCode(error, 'EEXIST')) return false;
		throw explain(`cannot create ${shown}`, error);
	}
}

/** Temporary, and made by us: somebody else's sticky bit is no concern of ours. */
function isTemporary(handle: number): boolean {
	const {mode, uid} = fstatSync(handle);
	return (mode & temporaryMark) !== 0 && uid === process.geteuid?.();
}

function closeQuietly(descriptor: number): void {
	try {
		closeSync(descriptor);
	} catch {
		// Closed before.
	}
}
