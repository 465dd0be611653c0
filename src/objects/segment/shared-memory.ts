import {closeSync, fstatSync, ftruncateSync, lstatSync, readFileSync, readSync, statfsSync, unlinkSync} from 'node:fs';
import {freemem} from 'node:os';
import {Deadline} from '../../common/deadline.js';
import {countOf, explain, hasCode, quoted, SystemError} from '../../common/errors.js';
import {defaultMode} from '../../common/formats/mode.js';
import {type Address, formatAddress} from '../../common/formats/object-name.js';
import {formatSize, sizeAndBytes} from '../../common/formats/size.js';
import {type FileIdentity, findBlindness} from '../../common/process/proc.js';
import {
	AT_FDCWD,
	LOCK_EX,
	LOCK_NB,
	LOCK_SH,
	LOCK_UN,
	type Mapping,
	native,
	O_NOFOLLOW,
	O_NONBLOCK,
	O_RDONLY,
	O_RDWR,
} from '../../native/index.js';
import type {Segment, SegmentAccess, SegmentSettings} from './segment.js';
import {type SegmentName, segmentFolder, segmentPath, toAddress} from './segment-name.js';
import {UnfinishedFile} from './unfinished-file.js';
import {bitsOf, checkAligned, checkWord, type WordType, widthOf, wordOf} from './word.js';
import {Words} from './words.js';

/** A change by a program that does not wake waiting processes is noticed at the next look. */
const lookAgainMs = 100;

/**
 * A POSIX shared memory object: the same object that any C, Python or Rust program opens by that name. shm_overview(7)
 *
 * Integers of 32 and 64 bits are read and changed atomically, in the sense of C11's atomic types, for all processes
 * that use atomic operations on the same word. Other processes may shrink a segment at any time: that is an error here,
 * and never kills this process.
 *
 * @example
 * ```ts
 * import {SharedMemory} from 'ipc-tools';
 *
 * SharedMemory.create('example', {size: 4096}); // zeroed, its memory reserved
 * using state = SharedMemory.open('example'); // the same segment as shm_open(3)'s
 * console.log(state.add('i64', 0, 5n), state.load('i64', 0)); // 0n 5n
 * console.log(state.wait('i64', 0, (value) => value > 3n, 2000)); // 5n
 * state.writeBytes(8, Buffer.from('text'));
 * console.log(`${state.readBytes(8, 4)}`); // text
 * SharedMemory.remove('example');
 * ```
 */
export class SharedMemory extends Words implements Segment {
	protected override readonly beyondReason = 'beyond-end';
	private mapping: Mapping | undefined;

	private constructor(
		/** The name as the user wrote it. */
		readonly shownName: string,
		/** Its descriptor; pread(2), pwrite(2), mmap(2) and flock(2) accept it. -1 once it is closed. */
		public descriptor: number,
		private readonly access: SegmentAccess,
	) {
		super();
	}

	/**
	 * Makes a zeroed segment and reserves its memory; returns false when the name exists already, and leaves that segment
	 * unchanged. The segment gets its name once it is complete. shm_open(3), fallocate(2)
	 *
	 * @throws SystemError with both numbers when there is no room; nothing is left then. Also when the name belongs to
	 * something that is not a segment.
	 */
	static create(name: string | Address, settings: SegmentSettings = {}): boolean {
		const segment = SharedMemory.make(name, settings);
		segment?.close();
		return segment !== undefined;
	}

	/**
	 * The same, and open; undefined when it exists already. `fill` may write into it before any other process can see it.
	 */
	static make(
		name: string | Address,
		{size = 0, mode = defaultMode}: SegmentSettings,
		fill?: (segment: SharedMemory) => void,
	): SharedMemory | undefined {
		const address = toAddress(name);
		const shown = formatAddress(address);
		const tried = `cannot create ${quoted(shown)}`;
		let file: UnfinishedFile;
		try {
			file = new UnfinishedFile(mode);
		} catch (error) {
			throw explain(tried, error, {ENOSPC: 'no memory is left for it', ...folderReasons});
		}
		const segment = new SharedMemory(shown, file.descriptor, 'both');
		try {
			segment.reserve(size, tried);
			fill?.(segment);
			file.name(segmentPath(address));
			return segment;
		} catch (error) {
			file.giveUp();
			segment.close();
			if (hasCode(error, 'EEXIST')) {
				checkIsFile(address, tried);
				return undefined;
			}
			throw explain(tried, error, findBlindness() ? {} : folderReasons);
		}
	}

	/** Opens a segment. shm_open(3) */
	static open(name: string | Address, access: SegmentAccess = 'both'): SharedMemory {
		const found = SharedMemory.tryOpen(name, access);
		if (found) return found;
		const shown = formatAddress(toAddress(name));
		throw new SystemError(`cannot open ${quoted(shown)}: no such segment`, {reason: 'no-segment', subject: shown});
	}

	/** Opens a segment, or returns undefined when it does not exist. shm_open(3) */
	static tryOpen(name: string | Address, access: SegmentAccess = 'both'): SharedMemory | undefined {
		const address = toAddress(name);
		const shown = formatAddress(address);
		const flags = (access === 'read' ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_NONBLOCK;
		let descriptor: number;
		try {
			descriptor = native.openat(AT_FDCWD, segmentPath(address), flags, 0, -1);
		} catch (error) {
			if (hasCode(error, 'ENOENT')) return undefined;
			throw explain(`cannot open ${quoted(shown)}`, error, {
				ELOOP: 'it is a symbolic link, not a segment',
				EISDIR: 'it is a folder, no segment',
				ENXIO: 'it is not a segment: not a regular file',
			});
		}
		if (fstatSync(descriptor).isFile()) return new SharedMemory(shown, descriptor, access);
		closeSync(descriptor);
		throw new SystemError(`cannot open ${quoted(shown)}: it is not a segment: not a regular file`);
	}

	/**
	 * Unlinks a segment: processes that map it keep using it, and its memory is free after the last of them.
	 * shm_unlink(3)
	 */
	static remove(name: string | Address): void {
		const address = toAddress(name);
		const tried = `cannot remove ${quoted(formatAddress(address))}`;
		checkIsFile(address, tried);
		try {
			unlinkSync(segmentPath(address));
		} catch (error) {
			throw explain(tried, error, {
				ENOENT: 'no such segment',
				EISDIR: 'it is a folder, no segment',
				EPERM: 'it belongs to another user, or is not a segment',
			});
		}
	}

	/** Bytes, now: other processes may change that. fstat(2) */
	get size(): number {
		return fstatSync(this.descriptor).size;
	}

	/** Identifies the segment among all open files, whatever its name. */
	get identity(): FileIdentity {
		const {dev, ino} = fstatSync(this.descriptor);
		return {dev, ino};
	}

	/** Whether its name has been unlinked. fstat(2) */
	get isRemoved(): boolean {
		return fstatSync(this.descriptor).nlink === 0;
	}

	/** @throws SystemError when its name has been unlinked since it was opened: then no other process sees the change. */
	checkIsThere(tried: string): void {
		if (this.isRemoved)
			throw new SystemError(`cannot ${tried} ${quoted(this.shownName)}: it has been removed meanwhile`);
	}

	/**
	 * Grows the segment and reserves its memory, or shrinks it: processes that touch the removed part get SIGBUS.
	 * ftruncate(2)
	 */
	resize(bytes: number): void {
		const before = this.size;
		if (bytes >= before) this.reserve(bytes, `cannot resize ${quoted(this.shownName)}`);
		else this.truncate(bytes);
	}

	/** Shrinks it to that size. ftruncate(2) */
	truncate(bytes: number): void {
		try {
			ftruncateSync(this.descriptor, bytes);
		} catch (error) {
			throw explain(`cannot resize ${quoted(this.shownName)}`, error, {EINVAL: 'it is not open for writing'});
		}
	}

	/** Reserves memory for the first bytes up to this number; the segment grows to them. fallocate(2) */
	reserve(bytes: number, tried = `cannot reserve memory for ${quoted(this.shownName)}`): void {
		if (bytes === 0) return;
		this.checkRoom(bytes, tried);
		try {
			native.fallocate(this.descriptor, bytes);
		} catch (error) {
			throw explain(tried, error, {
				ENOSPC: {text: `there was no room at that moment: ${noRoom(bytes, this.missing(bytes))}`, reason: 'no-room'},
				EFBIG: `${formatSize(bytes)} are more than a file may have (RLIMIT_FSIZE; see: ulimit -f)`,
				EINVAL: `${bytes} bytes are more than any file can have`,
				EBADF: 'it is not open for writing',
			});
		}
	}

	/** Refuses a size that cannot be reserved. An attempt would first take all memory away from other processes. */
	checkRoom(bytes: number, tried: string): void {
		const missing = this.missing(bytes);
		if (missing > freeBytes()) throw new SystemError(`${tried}: ${noRoom(bytes, missing)}`, {reason: 'no-room'});
		const memory = availableMemory();
		if (missing > memory)
			throw new SystemError(
				`${tried}: it would need ${sizeAndBytes(bytes)}, and this machine has ${formatSize(memory)} of memory left (${memory} bytes; see: free)`,
			);
	}

	/** How much memory is missing for this many bytes. */
	missing(bytes: number): number {
		const {size, blocks} = fstatSync(this.descriptor);
		return bytes - Math.min(size, blocks * 512);
	}

	/** Bytes from there on; fewer at its end. pread(2) */
	readBytes(offset: number, length: number): Buffer {
		const bytes = Buffer.alloc(Math.max(0, Math.min(length, this.size - offset)));
		let done = 0;
		try {
			while (done < bytes.length) {
				const count = readSync(this.descriptor, bytes, done, bytes.length - done, offset + done);
				if (count === 0) break;
				done += count;
			}
		} catch (error) {
			throw explain(`cannot read ${quoted(this.shownName)}`, error);
		}
		return bytes.subarray(0, done);
	}

	/**
	 * Stores bytes there. mmap(2)
	 *
	 * @throws SystemError when they would go beyond its end; the segment never grows.
	 */
	writeBytes(offset: number, bytes: Uint8Array): void {
		const {size} = this;
		if (offset + bytes.length > size) throw this.beyond('write', offset, bytes.length, size);
		try {
			native.storeWithin(this.descriptor, offset, bytes);
		} catch (error) {
			if (hasCode(error, 'ENXIO')) throw this.beyond('write', offset, bytes.length, this.size);
			throw explain(`cannot write to ${quoted(this.shownName)}`, error, {
				ENOSPC: `its memory is not reserved, and ${segmentFolder} is full (see: df ${segmentFolder})`,
			});
		}
	}

	replaceBytes(offset: number, bytes: Uint8Array): Buffer {
		const before = this.readBytes(offset, bytes.length);
		this.writeBytes(offset, bytes);
		return before;
	}

	/** The value of a word. */
	load(type: WordType, offset: number): bigint {
		return wordOf(
			type,
			this.touch('read', type, offset, (mapping, width) => native.atomicLoad(mapping, offset, width)),
		);
	}

	/** Stores a value and returns the old one. Wakes processes that wait for the word, as every change here does. */
	exchange(type: WordType, offset: number, value: bigint): bigint {
		return this.change(type, offset, [value], (mapping, width) =>
			native.atomicExchange(mapping, offset, width, bitsOf(value)),
		);
	}

	/** Adds and returns the old value. Wraps around at the limits of the type, as C's atomic_fetch_add does. */
	add(type: WordType, offset: number, value: bigint): bigint {
		return this.change(type, offset, [value], (mapping, width) =>
			native.atomicAdd(mapping, offset, width, bitsOf(value)),
		);
	}

	/**
	 * Stores if the word has the expected value, and returns the old value: if that is the expected one, the new value
	 * was stored.
	 */
	compareExchange(type: WordType, offset: number, expected: bigint, value: bigint): bigint {
		return this.change(type, offset, [expected, value], (mapping, width) =>
			native.atomicCompareExchange(mapping, offset, width, bitsOf(expected), bitsOf(value)),
		);
	}

	/**
	 * Waits until a word meets a condition, and returns its value; undefined when it did not in time. Blocks. A process
	 * that changes the word and wakes (futex(2), on its address or, of 64 bits, on that of its low half) is noticed at
	 * once, other processes within 100 ms. `look` is called before each sleep, of 100 ms at most.
	 */
	wait(
		type: WordType,
		offset: number,
		isWanted: (value: bigint) => boolean,
		timeoutMs = -1,
		look?: () => void,
	): bigint | undefined {
		const deadline = new Deadline(timeoutMs);
		for (;;) {
			const value = this.load(type, offset);
			if (isWanted(value)) return value;
			if (deadline.hasPassed) return undefined;
			look?.();
			const woken = this.touch('wait for', type, offset, (mapping) =>
				native.futexWait(mapping, offset, BigInt.asUintN(32, value), deadline.waitMs(lookAgainMs)),
			);
			if (!woken && this.isRemoved)
				throw new SystemError(`cannot wait for ${quoted(this.shownName)}: it has been removed`);
		}
	}

	/**
	 * Takes the segment's own lock, waiting `timeoutMs` at most (negative: without limit): false when other processes
	 * held it. The lock ends with its holder, however that ends. flock(2)
	 */
	lock(kind: 'shared' | 'exclusive', timeoutMs = -1): boolean {
		const operation = (kind === 'shared' ? LOCK_SH : LOCK_EX) | (timeoutMs === 0 ? LOCK_NB : 0);
		try {
			// Without LOCK_NB a time of 0 would be over before the first try.
			native.flock(this.descriptor, operation, timeoutMs === 0 ? -1 : timeoutMs);
		} catch (error) {
			if (hasCode(error, 'EAGAIN', 'ETIMEDOUT')) return false;
			throw explain(`cannot lock ${quoted(this.shownName)}`, error);
		}
		this.checkIsThere('lock');
		return true;
	}

	/** flock(2) */
	unlock(): void {
		native.flock(this.descriptor, LOCK_UN, -1);
	}

	private change(
		type: WordType,
		offset: number,
		values: readonly bigint[],
		call: (mapping: Mapping, width: number) => bigint,
	): bigint {
		for (const value of values) checkWord(type, value);
		const before = this.touch('change', type, offset, (mapping, width) => {
			const found = call(mapping, width);
			native.futexWake(mapping, offset);
			return found;
		});
		return wordOf(type, before);
	}

	private touch<Result>(
		tried: string,
		type: WordType,
		offset: number,
		call: (mapping: Mapping, width: number) => Result,
	): Result {
		const width = widthOf(type);
		checkAligned(type, width, offset);
		try {
			this.mapping ??= native.shmMap(this.descriptor, this.access === 'both');
			return call(this.mapping, width);
		} catch (error) {
			const {size} = this;
			if (hasCode(error, 'ENXIO') && offset + width > size) throw this.beyond(tried, offset, width, size);
			const notThere = `the memory at offset ${offset} is missing: another process shrank the segment, or ${segmentFolder} is full`;
			throw explain(`cannot ${tried} ${quoted(this.shownName)}`, error, {
				EFAULT: notThere,
				ENXIO: notThere,
				EACCES: 'it is not open for writing',
			});
		}
	}

	[Symbol.dispose](): void {
		const {descriptor} = this;
		this.descriptor = -1;
		if (descriptor < 0) return;
		if (this.mapping) native.shmUnmap(this.mapping);
		closeSync(descriptor);
	}

	close(): void {
		this[Symbol.dispose]();
	}
}

/** If the name belongs to something that is not a segment. */
function checkIsFile(address: SegmentName, tried: string): void {
	const path = segmentPath(address);
	const stat = lstatSync(path, {throwIfNoEntry: false});
	if (!stat || stat.isFile()) return;
	const what = stat.isSymbolicLink() ? 'a symbolic link' : stat.isDirectory() ? 'a folder' : 'not a regular file';
	throw new SystemError(`${tried}: it is not a segment: ${path} is ${what}`);
}

const folderReasons = {
	ENOENT: `there is no ${segmentFolder} (mount it, as root: mkdir -p ${segmentFolder} && mount -t tmpfs shm ${segmentFolder})`,
	EOPNOTSUPP: `${segmentFolder} is not a tmpfs`,
};

function freeBytes(): number {
	const {bavail, bsize, blocks} = statfsSync(segmentFolder);
	// A tmpfs without a limit reports that it has no blocks.
	return blocks === 0 ? Number.POSITIVE_INFINITY : bavail * bsize;
}

/**
 * The memory available before the kernel kills processes to get more: /dev/shm may promise more than there is. proc(5)
 */
function availableMemory(): number {
	let text: string;
	try {
		text = readFileSync('/proc/meminfo', 'utf8');
	} catch {
		// Less exact, and always there. sysinfo(2)
		return freemem();
	}
	const kibibytes = (field: string) => Number(new RegExp(`^${field}: +([0-9]+) kB`, 'm').exec(text)?.[1] ?? Number.NaN);
	const total = 1024 * (kibibytes('MemAvailable') + kibibytes('SwapFree'));
	return Number.isNaN(total) ? Number.POSITIVE_INFINITY : total;
}

/** There is no room: both numbers and a remedy. */
export function noRoom(wanted: number, missing = wanted, atLeast = ''): string {
	const free = freeBytes();
	const more = missing === wanted ? '' : `, ${sizeAndBytes(missing)} more than it has`;
	const hint = `see: mount -o remount,size=SIZE ${segmentFolder}`;
	const left =
		free < 1024 ? `${countOf(free, 'byte')} free (${hint})` : `${formatSize(free)} free (${free} bytes; ${hint})`;
	return `it would need ${atLeast}${sizeAndBytes(wanted)}${more}, and ${segmentFolder} has ${left}`;
}
