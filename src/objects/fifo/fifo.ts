import {chmodSync, closeSync, fstatSync, lstatSync} from 'node:fs';
import {DirectoryEntry} from '../../common/directory-entry.js';
import {attempt, explain, hasCode, quoted, SystemError, UsageError} from '../../common/errors.js';
import {defaultMode} from '../../common/formats/mode.js';
import {type Address, formatAddress, parseLocalAddress} from '../../common/formats/object-name.js';
import type {TextFormat} from '../../common/formats/text-format.js';
import {CannotSee, type FileIdentity, findOpeners, identityKey} from '../../common/process/proc.js';
import {reopen} from '../../common/reopen.js';
import {F_RDLCK, F_UNLCK, F_WRLCK, native, O_NONBLOCK, O_RDONLY, O_WRONLY} from '../../native/index.js';

/**
 * The life of a FIFO.
 *
 * A FIFO made with `create` stays until it is removed. A FIFO that `send` or `recv` had to make is temporary, and the
 * last of its users removes it. Three things make that safe when users start and stop at the same moment, or are
 * killed:
 *
 * - The mark is the sticky bit, which means nothing else on a FIFO: it lives as long as the FIFO, and every process
 *   sees the same mark.
 * - A user is registered by a shared lock on one byte of the folder, the byte at the FIFO's inode number. The kernel
 *   drops the lock when the user dies. The user takes the lock before it waits in open(2), where it has no descriptor
 *   yet.
 * - Starting (look, make, register) and stopping (deregister, look for other users, unlink) happen under flock(2) on
 *   the folder, so no other user can start between the look and the unlink.
 *
 * Other programs take no part in this. We look for them in /proc before the unlink, and a reader that has removed its
 * FIFO keeps running for a writer that opened the FIFO before: no new writer can open it after the removal.
 */

const temporaryMark = 0o1000;

type FifoAddress = Extract<Address, {kind: 'name' | 'path'}>;

export interface CreateSettings {
	/** Permission bits; the umask applies. Default 0600. */
	mode?: number | undefined;
	/** Removed by its last user. */
	temporary?: boolean;
	/**
	 * Called before a temporary FIFO is made or joined. From then on its user has to clean up after it, and must not be
	 * ended by a signal without warning.
	 */
	beforeTemporary?: (() => void) | undefined;
}

/**
 * A FIFO, also called a named pipe, and this process as a user of it. Its descriptors are for read(2), write(2) and
 * splice(2). fifo(7)
 *
 * Only `openWriter` may wait, for a reader, and blocks the event loop meanwhile.
 *
 * @example
 * ```ts
 * import {closeSync, readFileSync, writeSync} from 'node:fs';
 * import {Fifo} from 'ipc-tools';
 *
 * using fifo = Fifo.open('example', {temporary: true}); // created if missing, removed by its last user
 * const reader = fifo.openReader();
 * const writer = fifo.openWriter(2000); // waits for a reader, two seconds at most
 * if (writer !== undefined) {
 * 	writeSync(writer, 'hello');
 * 	closeSync(writer);
 * }
 * console.log(readFileSync(reader, 'utf8')); // hello
 * closeSync(reader);
 * ```
 */
export class Fifo implements Disposable {
	/** Its path in the file system. */
	readonly path: string;
	private registered = false;
	private isClosed = false;

	private constructor(
		private readonly place: DirectoryEntry,
		/** Refers to the inode without opening the FIFO (O_PATH): the inode that was checked is the one that is opened. */
		private readonly handle: number,
		/** The name as the user wrote it. */
		readonly shownName: string,
	) {
		this.path = place.path;
	}

	/**
	 * Makes a FIFO; returns false if it already exists. An existing temporary FIFO becomes permanent, unless `exclusive`
	 * asks for a new FIFO only. Never blocks. mkfifo(3)
	 *
	 * @throws SystemError when the FIFO cannot be made, or when the name belongs to something else.
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
				// A link to nothing exists too: it is refused as the link that it is.
				const handle = place.openHandle('FIFO') ?? place.openHandle('FIFO', false);
				if (handle === undefined) throw new SystemError(`cannot create ${place.shown}: it was removed meanwhile`);
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
	 * Finds a FIFO, and makes it if it is missing and `create` is given. Does not open the FIFO for reading or writing,
	 * so no other process is woken. Never blocks.
	 *
	 * @throws SystemError when the FIFO does not exist, or when the name belongs to something that is not a FIFO.
	 */
	static open(name: string | Address, create?: CreateSettings): Fifo {
		return Fifo.tryOpen(name, create) ?? noSuchFifo(toAddress(name));
	}

	/** The same, but undefined when the FIFO does not exist. */
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

	/**
	 * Finds a FIFO only to look at it: does not become a user of it, even if the FIFO is temporary. Undefined when it
	 * does not exist.
	 */
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

	/** Under the folder's lock: no process can remove the FIFO that is found or made here before we are registered. */
	private static register(place: DirectoryEntry, shown: string, create: CreateSettings | undefined): Fifo | undefined {
		let handle = place.openHandle('FIFO');
		let made = false;
		if (create && (handle === undefined ? create.temporary : isTemporary(handle))) create.beforeTemporary?.();
		try {
			if (handle === undefined && create) {
				made = makeIn(place, (create.mode ?? defaultMode) | (create.temporary ? temporaryMark : 0));
				handle = place.openHandle('FIFO');
			}
			if (handle === undefined) return undefined;
			const fifo = new Fifo(place, handle, shown);
			if (isTemporary(handle)) fifo.registered = tryRegister(place, fifo.identity);
			return fifo;
		} catch (error) {
			if (made) native.unlinkat(place.folder, place.name);
			throw error;
		}
	}

	/** Unlinks a FIFO, also one in use: its users keep what they have open. unlink(2) */
	static remove(name: string | Address): void {
		const address = toAddress(name);
		const shown = quoted(formatAddress(address));
		const place = DirectoryEntry.open(address, false);
		if (!place) throw new SystemError(`cannot remove ${shown}: no such FIFO`);
		try {
			place.withLock(() => {
				// A link to nothing exists too: it is refused as the link that it is.
				const handle = place.openHandle('FIFO') ?? place.openHandle('FIFO', false);
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

	/** Whether its user has to clean up after it, and so should not be ended by a signal without warning. */
	get isTemporary(): boolean {
		return this.registered;
	}

	/** A path to this very inode, even if its name is removed or given to another file. */
	get handlePath(): string {
		return `/proc/self/fd/${this.handle}`;
	}

	/** A descriptor for reading, at once, with or without a writer. It does not block. open(2), fifo(7) */
	openReader(): number {
		return this.openEnd(O_RDONLY | O_NONBLOCK, -1, 'reading');
	}

	/**
	 * A non-blocking descriptor for writing. Waits for a reader, `timeoutMs` at most (negative: without limit); undefined
	 * when there was none in time. open(2), fifo(7)
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
			return reopen(this.handle, O_WRONLY | O_NONBLOCK, -1, this.place);
		} catch (error) {
			if (hasCode(error, 'ENXIO')) return undefined;
			throw explain(`cannot open ${quoted(this.shownName)} for writing`, error);
		}
	}

	private openEnd(flags: number, timeoutMs: number, purpose: string): number {
		return attempt(`cannot open ${quoted(this.shownName)} for ${purpose}`, () =>
			reopen(this.handle, flags, timeoutMs, this.place),
		);
	}

	/**
	 * Ends this use. Removes the FIFO if it is temporary and no other process uses it; returns whether it was removed. A
	 * descriptor that is still open for reading then has its last writers: see `openReader`.
	 */
	leave(): boolean {
		if (!this.registered) return false;
		this.registered = false;
		const {folder, name} = this.place;
		try {
			return this.place.cleanUpWithLock(() => {
				const file = this.identity;
				native.ofdSetlk(folder, F_UNLCK, file.ino, 1);
				if (native.ofdGetlk(folder, F_WRLCK, file.ino, 1)) return false;
				// Opens no descriptor: this has to work when the descriptors are used up.
				const {dev, ino} = lstatSync(`/proc/self/fd/${folder}/${name}`);
				if (dev !== file.dev || ino !== file.ino || !isTemporary(this.handle) || hasStrangers(file)) return false;
				native.unlinkat(folder, name);
				return true;
			});
		} catch (error) {
			// The FIFO has been removed already, or we have no permission: there is nothing left to clean up.
			if (hasCode(error, 'ENOENT', 'EACCES', 'EPERM', 'EROFS', 'ETIMEDOUT') || error instanceof SystemError)
				return false;
			throw error;
		}
	}

	/** Ends this use and closes all descriptors. */
	[Symbol.dispose](): void {
		if (this.isClosed) return;
		this.isClosed = true;
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

/** False on a file system without locks: then no process can know if it is the last one, and the FIFO stays. */
function tryRegister(place: DirectoryEntry, {ino}: FileIdentity): boolean {
	try {
		native.ofdSetlk(place.folder, F_RDLCK, ino, 1);
		return true;
	} catch (error) {
		if (!hasCode(error, 'EINVAL', 'EOPNOTSUPP', 'ENOLCK', 'EBADF')) throw error;
		return false;
	}
}

/** Another program, which does not register, has the FIFO open, as far as we have permission to see, or may have it open. */
function hasStrangers(file: FileIdentity): boolean {
	try {
		const openers = findOpeners([file]);
		return openers instanceof CannotSee || (openers.get(identityKey(file)) ?? []).length > 0;
	} catch (error) {
		// With the descriptors used up nothing can be seen; a process that has the FIFO open keeps it open.
		if (hasCode(error, 'EMFILE', 'ENFILE')) return false;
		throw error;
	}
}

/** @throws SystemError */
export function noSuchFifo(address: Address): never {
	const shown = formatAddress(address);
	throw new SystemError(`cannot open ${quoted(shown)}: no such FIFO`, {reason: 'no-fifo', subject: shown});
}

/** A FIFO's name on the command line: an invalid name is refused before anything is done. */
export const fifoName: TextFormat<Address> = {
	placeholder: 'NAME',
	completes: 'objects and paths',
	parse: (text) => toAddress(text),
};

function toAddress(name: string | Address): FifoAddress {
	const address = parseLocalAddress(name);
	if (address.kind === 'abstract')
		throw new UsageError(`invalid FIFO name '@${address.name}': abstract names are for sockets`);
	return address;
}

/** Returns false when the name exists already. */
function makeIn({folder, name, shown}: DirectoryEntry, mode: number): boolean {
	try {
		native.mkfifoat(folder, name, mode);
		return true;
	} catch (error) {
		if (hasCode(error, 'EEXIST')) return false;
		throw explain(`cannot create ${shown}`, error);
	}
}

/** Temporary, and made by us: the sticky bit of another user's FIFO does not concern us. */
function isTemporary(handle: number): boolean {
	const {mode, uid} = fstatSync(handle);
	return (mode & temporaryMark) !== 0 && uid === process.geteuid?.();
}

function closeQuietly(descriptor: number): void {
	try {
		closeSync(descriptor);
	} catch {
		// It was closed before.
	}
}
