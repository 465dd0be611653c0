import {closeSync, fstatSync, lstatSync, readdirSync} from 'node:fs';
import {Deadline} from '../../common/deadline.js';
import {countOf, explain, hasCode, quoted, SystemError, UsageError} from '../../common/errors.js';
import {defaultMode, octalMode} from '../../common/formats/mode.js';
import {type Address, formatAddress, parseLocalAddress} from '../../common/formats/object-name.js';
import type {TextFormat} from '../../common/formats/text-format.js';
import type {FileIdentity} from '../../common/process/proc.js';
import {AT_FDCWD, native, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, type SemaphoreHandle} from '../../native/index.js';
import type {AnySemaphore} from './any-semaphore.js';
import type {Holder, Holding, HoldSettings} from './holding.js';
import {cutOff, SemaphoreHolders} from './semaphore-holders.js';

/** The settings of a new semaphore. */
export interface SemaphoreSettings {
	/** Initial units, 0 to {@link mostUnits}. Default 1. */
	value?: number | undefined;
	/** Permission bits; the umask applies. Default 0600. Of a semaphore on this machine only. */
	mode?: number | undefined;
	/** How many servers store it, at least. Of a semaphore on a cluster only. */
	replicas?: number | undefined;
}

/** SEM_VALUE_MAX, the same in glibc and musl. sem_post(3) */
export const mostUnits = 2 ** 31 - 1;

const folder = '/dev/shm';

/** A waiting process looks at this interval whether a holder has died without releasing its unit. */
const lookAgainMs = 500;

/**
 * A POSIX named semaphore: the same object that any C, Python or Rust program opens by that name. sem_overview(7)
 *
 * `try…` returns at once; `wait` and `hold` may wait, in the kernel, and block the event loop meanwhile. A unit taken
 * by `wait` is lost when the process is killed, as with every semaphore; a unit taken by `hold` is released.
 *
 * @example
 * ```ts
 * import {Semaphore} from 'ipc-tools';
 *
 * using jobs = Semaphore.open('example', {value: 3}); // created if missing; the same semaphore as sem_open(3)'s
 * {
 * 	using unit = jobs.hold({timeoutMs: 2000}); // undefined after two seconds; a crash releases it too
 * 	console.log(unit !== undefined, jobs.value); // true 2
 * }
 * console.log(jobs.value); // 3
 * Semaphore.remove('example');
 * ```
 */
export class Semaphore implements AnySemaphore {
	private readonly holders: SemaphoreHolders;

	private constructor(
		/** The name as the user wrote it. */
		readonly shownName: string,
		/** Its file; -1 once it is closed. */
		public descriptor: number,
		/** For the native layer. */
		readonly handle: SemaphoreHandle,
		/** Whether it may be changed; otherwise it can only be looked at. */
		readonly isWritable: boolean,
		path: string,
	) {
		this.holders = new SemaphoreHolders(quoted(shownName), descriptor, handle, path);
	}

	/** Makes a semaphore; returns false when the name exists already, and leaves that semaphore unchanged. sem_open(3) */
	static create(name: string | Address, {value = 1, mode = defaultMode, replicas}: SemaphoreSettings = {}): boolean {
		const address = toAddress(name);
		if (replicas !== undefined)
			throw new SystemError(`cannot create ${quoted(address.name)}: only a semaphore on a cluster has replicas`);
		try {
			native.semCreate(`/${address.name}`, mode, value);
			return true;
		} catch (error) {
			if (hasCode(error, 'EEXIST')) return false;
			throw explain(`cannot create ${quoted(address.name)}`, error, {
				EINVAL: `the value must be between 0 and ${mostUnits}`,
				ENOENT: `there is no ${folder}, where semaphores live (mount it, as root: mount -t tmpfs none ${folder})`,
				ENOSPC: `no space left in ${folder}`,
			});
		}
	}

	/** Opens a semaphore; with `create` makes it first if it is missing. */
	static open(name: string | Address, create?: SemaphoreSettings): Semaphore {
		const address = toAddress(name);
		// Another process may make and remove the semaphore meanwhile: a few rounds settle that.
		for (let round = 0; round < 100; round++) {
			const found = Semaphore.tryOpen(address);
			if (found) return found;
			if (!create) break;
			Semaphore.create(address, create);
		}
		const shown = formatAddress(address);
		throw new SystemError(`cannot open ${quoted(shown)}: no such semaphore`, {reason: 'no-semaphore', subject: shown});
	}

	/**
	 * Opens a semaphore, or returns undefined when it does not exist. With 'look' read permission is enough.
	 *
	 * @throws SystemError for a file that is not a semaphore: using it would end us with SIGBUS, or change other data.
	 */
	static tryOpen(name: string | Address, access: 'use' | 'look' = 'use'): Semaphore | undefined {
		const address = toAddress(name);
		const shown = formatAddress(address);
		const tried = `cannot open ${quoted(shown)}`;
		const path = pathOf(address);
		let descriptor: number;
		let isWritable = true;
		try {
			try {
				descriptor = native.openat(AT_FDCWD, path, O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0, -1);
			} catch (error) {
				if (access === 'use' || !hasCode(error, 'EACCES', 'EROFS')) throw error;
				descriptor = native.openat(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, -1);
				isWritable = false;
			}
		} catch (error) {
			if (hasCode(error, 'ENOENT')) return undefined;
			throw explain(tried, error, {
				ELOOP: `it is not a semaphore: ${path} is a symbolic link`,
				EISDIR: `it is not a semaphore: ${path} is a folder`,
				ENXIO: `it is not a semaphore: ${path} is a socket or a device`,
				...(hasCode(error, 'EACCES') ? {EACCES: denied(path)} : {}),
			});
		}
		try {
			const stat = fstatSync(descriptor);
			if (!stat.isFile()) throw new SystemError(`${tried}: it is not a semaphore: ${path} is not a regular file`);
			checkSize(descriptor, `${tried}: it is not a semaphore: ${path}`);
			return new Semaphore(shown, descriptor, native.semMap(descriptor, isWritable), isWritable, path);
		} catch (error) {
			closeSync(descriptor);
			throw explain(tried, error, {
				EILSEQ: `it is not a semaphore of this C library: ${path} has other contents, or a program with another C library created it`,
			});
		}
	}

	/** Unlinks a semaphore: processes that have it open keep using it. sem_unlink(3) */
	static remove(name: string | Address): void {
		const address = toAddress(name);
		try {
			native.semUnlink(`/${address.name}`);
		} catch (error) {
			throw explain(`cannot remove ${quoted(formatAddress(address))}`, error, {
				ENOENT: 'no such semaphore',
				EISDIR: 'it is not a semaphore: it is a folder',
				// glibc reports EACCES for the kernel's EPERM.
				...(hasCode(error, 'EACCES', 'EPERM') ? {EACCES: denied(pathOf(address)), EPERM: denied(pathOf(address))} : {}),
			});
		}
	}

	/** The names of all semaphores, sorted. Other files may be among them: opening one tells. */
	static names(): string[] {
		const prefix = native.semPrefix();
		try {
			return readdirSync(folder)
				.filter((name) => (prefix === '' ? hasSize(name) : name.startsWith(prefix) && name.length > prefix.length))
				.map((name) => name.slice(prefix.length))
				.sort();
		} catch (error) {
			if (hasCode(error, 'ENOENT')) return [];
			throw explain('cannot list the semaphores', error);
		}
	}

	/** Units that are free now. sem_getvalue(3) */
	get value(): number {
		return this.explained('look at', () => native.semGetvalue(this.handle));
	}

	/** Number of waiting processes, as the C library counts them: a process killed while it waited stays counted. */
	get waiters(): number {
		return this.explained('look at', () => native.semWaiters(this.handle));
	}

	/** Identifies the semaphore among all open files, whatever its name. */
	get identity(): FileIdentity {
		const {dev, ino} = fstatSync(this.descriptor);
		return {dev, ino};
	}

	/** Whether its name has been unlinked, or given to another semaphore. */
	get isRemoved(): boolean {
		return fstatSync(this.descriptor).nlink === 0;
	}

	/** Mode and owner. fstat(2) */
	stat(): {mode: number; uid: number; gid: number} {
		const {mode, uid, gid} = fstatSync(this.descriptor);
		return {mode: mode & 0o777, uid, gid};
	}

	/** Takes a unit without waiting: false when there is none. sem_trywait(3) */
	tryWait(): boolean {
		return this.explained('take a unit of', () => native.semTrywait(this.handle));
	}

	/** Takes a unit without waiting, one that a dead holder has left too. */
	tryTake(): boolean {
		return this.tryWait() || (this.reap() > 0 && this.tryWait());
	}

	/**
	 * Takes a unit, waiting for one `timeoutMs` at most (negative: without limit): false when there was none. Meanwhile
	 * releases the units of dead holders. sem_wait(3)
	 */
	wait(timeoutMs = -1): boolean {
		if (this.tryWait()) return true;
		const take = () => {
			this.reap();
			return this.tryWait() || undefined;
		};
		return this.untilTaken(take, timeoutMs) ?? false;
	}

	/** Adds units, all or none, and wakes as many waiting processes. sem_post(3) */
	post(count = 1): void {
		if (this.explained('post to', () => native.semPost(this.handle, count))) return;
		throw new SystemError(
			`cannot post ${countOf(count, 'unit')} to ${quoted(this.shownName)}: it has ${this.value}, and the maximum is ${mostUnits}`,
		);
	}

	/** Waits until there is a unit, without taking it: false when there was none in time. futex(2) */
	awaitUnit(timeoutMs = -1): boolean {
		try {
			this.explained('wait for', () => native.semAwait(this.handle, timeoutMs));
			return true;
		} catch (error) {
			if (hasCode(error, 'ETIMEDOUT')) return false;
			throw error;
		}
	}

	/** Wakes all waiting processes, so that they look again. futex(2) */
	wakeAll(): void {
		native.semWake(this.handle, mostUnits);
	}

	/**
	 * Takes a unit that is released however this process ends, waiting for one `timeoutMs` at most (negative: without
	 * limit): undefined when there was none. The unit is held until the holding is released, and after that by processes
	 * that have inherited its descriptor.
	 */
	hold(settings: HoldSettings = {}): Holding | undefined {
		return this.untilTaken(() => this.holders.tryTake(settings), settings.timeoutMs ?? -1, settings.onWait);
	}

	/**
	 * Not libc's sem_wait(3), though it does the same: when that returns from a file that was cut off meanwhile, it
	 * touches the file once more.
	 */
	private untilTaken<Taken>(take: () => Taken | undefined, timeoutMs: number, onWait?: () => void): Taken | undefined {
		const deadline = new Deadline(timeoutMs);
		let hasWaited = false;
		try {
			for (;;) {
				const taken = take();
				if (taken !== undefined) return taken;
				if (deadline.hasPassed) return undefined;
				if (!hasWaited) onWait?.();
				hasWaited = true;
				this.awaitUnit(deadline.waitMs(lookAgainMs));
			}
		} finally {
			if (hasWaited) this.passOn();
		}
	}

	/**
	 * However a wait has ended: we may have been woken for a unit that we did not take, and another process may take it.
	 */
	private passOn(): void {
		try {
			if (native.semGetvalue(this.handle) > 0) native.semWake(this.handle, 1);
		} catch (error) {
			if (!hasCode(error, 'EFAULT')) throw error;
		}
	}

	/** The holders of units that `hold` took, dead ones included. Units taken by other programs cannot be known. */
	listHolders(): Holder[] {
		return this.holders.list();
	}

	/** Releases the units of dead holders; returns how many. */
	reap(): number {
		return this.holders.reap();
	}

	/** For what several processes do together: see {@link SemaphoreHolders}. */
	get table(): SemaphoreHolders {
		return this.holders;
	}

	private explained<Result>(what: string, call: () => Result): Result {
		try {
			return call();
		} catch (error) {
			throw explain(`cannot ${what} ${quoted(this.shownName)}`, error, {EFAULT: cutOff});
		}
	}

	[Symbol.dispose](): void {
		const {descriptor} = this;
		this.descriptor = -1;
		if (descriptor < 0) return;
		native.semUnmap(this.handle);
		closeSync(descriptor);
	}

	close(): void {
		this[Symbol.dispose]();
	}
}

function denied(path: string): string {
	const stat = lstatSync(path, {throwIfNoEntry: false});
	if (!stat) return 'permission denied';
	const owner = native.userName(stat.uid) ?? String(stat.uid);
	return `permission denied: it belongs to ${owner}, with mode ${octalMode(stat.mode)}`;
}

/** The list of holders behind it appears and disappears, also between two calls of ours: several looks tell. */
function checkSize(descriptor: number, complaint: string): void {
	let size = 0;
	for (let look = 0; look < 10; look++) {
		size = fstatSync(descriptor).size;
		if (size === semaphoreBytes() || SemaphoreHolders.isThere(descriptor)) return;
	}
	throw new SystemError(`${complaint} has ${size} bytes, a semaphore has ${semaphoreBytes()}`);
}

let bytes: number | undefined;

function semaphoreBytes(): number {
	try {
		bytes ??= native.semSize();
	} catch (error) {
		throw explain('cannot use semaphores', error, {ENOSYS: 'the semaphores of this C library are not supported'});
	}
	return bytes;
}

const pathOf = ({name}: SemaphoreName): string => `${folder}/${native.semPrefix()}${name}`;

/** With musl all segments of shared memory are beside the semaphores: only those of this size may be semaphores. */
function hasSize(file: string): boolean {
	const stat = lstatSync(`${folder}/${file}`, {throwIfNoEntry: false});
	return stat?.isFile() === true && (stat.size === semaphoreBytes() || SemaphoreHolders.isSize(stat.size));
}

type SemaphoreName = Address & {kind: 'name'};

/** sem_open(3) puts four letters before the name. */
const longestName = 251;

/** A semaphore's name on the command line: an invalid name is refused before anything is done. */
export const semaphoreName: TextFormat<Address> = {
	placeholder: 'NAME',
	completes: 'objects',
	parse: (text) => toAddress(text),
};

function toAddress(name: string | Address): SemaphoreName {
	const address = parseLocalAddress(name);
	const shown = formatAddress(address);
	if (address.kind !== 'name')
		throw new UsageError(`invalid semaphore name '${shown}': '${address.kind === 'path' ? '/' : '@'}' is not allowed`);
	const length = Buffer.byteLength(address.name);
	if (length > longestName)
		throw new UsageError(`invalid semaphore name '${shown}': it has ${length} bytes, the maximum is ${longestName}`);
	return address;
}
