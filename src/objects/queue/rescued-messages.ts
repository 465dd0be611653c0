import {createHash, randomBytes} from 'node:crypto';
import {closeSync, fstatSync, readSync} from 'node:fs';
import {explain, hasCode, quoted, reasonOf, SystemError} from '../../common/errors.js';
import {tellError, tellVerbose} from '../../common/output.js';
import {openRuntimeFolder, runtimeFolderPath} from '../../common/runtime-folder.js';
import {
	isKernelError,
	LOCK_EX,
	LOCK_NB,
	native,
	O_CREAT,
	O_EXCL,
	O_NOFOLLOW,
	O_NONBLOCK,
	O_RDONLY,
	O_RDWR,
} from '../../native/index.js';
import {hardMostBytes} from './limits.js';
import {highestPriority, type Message, type Queue} from './queue.js';

/**
 * Messages that were taken from a queue, could not be delivered and found no room to go back: a file for each in the
 * runtime folder, which the next receiver of a queue of that name takes first.
 *
 * A file is written under another name and renamed, so that it is there whole or not at all. Its name begins with
 * the queue's and sorts as the queue would: the highest priority first, then the oldest. The process that unlinks it has it:
 * of several receivers that succeeds for one. The lock (flock(2)) of a process that still waits for room for its message
 * keeps receivers away until it has ended.
 */
const prefix = 'rescued-';
const unfinishedPrefix = 'unfinished-rescued-';
const magic = 'ipc-mq rescued message 1\n';
const mostHeaderBytes = 4096;
/** A file that was begun longer ago than this was left behind by a killed process. */
const staleMs = 60_000;
/** How exact a file system's times are, generously. */
const coarseMs = 100;

let sequence = 0;

/** A message in its file. */
export interface KeptMessage {
	/** It has found another place. */
	discard(): void;
	/** From now on receivers take it. */
	release(): void;
}

/** Those of a queue; undefined where it needs none, since what is received stays in it until it is confirmed. */
export const rescuedOf = (queue: Queue): RescuedMessages | undefined =>
	queue.keepsRescued ? new RescuedMessages(queue.shownName) : undefined;

export class RescuedMessages implements Disposable {
	private folder: number | undefined;
	private lookedAtNs = -1n;
	private names: string[] = [];
	private readonly refused = new Set<string>();

	/** @param queue its name, without a slash. */
	constructor(private readonly queue: string) {}

	/**
	 * Writes a message into a file that only this process has until it says what becomes of it.
	 *
	 * @throws SystemError when it cannot be written.
	 */
	static keep(queue: string, {data, priority}: Message): KeptMessage {
		const tried = `cannot keep a message in the runtime folder ${quoted(runtimeFolderPath())}`;
		const folder = openRuntimeFolder(true) as number;
		const unique = randomBytes(6).toString('hex');
		const [unfinished, name] = [`${unfinishedPrefix}${unique}`, `${beginOf(queue)}${orderOf(priority)}-${unique}`];
		let descriptor: number | undefined;
		try {
			descriptor = native.openat(folder, unfinished, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600, -1);
			lock(descriptor);
			const header = Buffer.from(`${magic}${JSON.stringify({queue, priority, bytes: data.length})}\n`);
			for (const bytes of [header, data])
				for (let at = 0; at < bytes.length; ) at += native.write(descriptor, bytes, at, bytes.length - at);
			native.renameat2(folder, unfinished, name, 0);
		} catch (error) {
			if (descriptor !== undefined) {
				unlinkIfThere(folder, unfinished);
				closeSync(descriptor);
			}
			closeSync(folder);
			throw explain(tried, error);
		}
		const close = () => {
			closeSync(descriptor);
			closeSync(folder);
		};
		return {
			discard() {
				unlinkIfThere(folder, name);
				close();
			},
			release: close,
		};
	}

	/** The next one, which is the caller's from now on; undefined when there is none. */
	take(): Message | undefined {
		for (const name of this.look()) {
			try {
				const message = this.takeFile(name);
				if (message) return message;
			} catch (error) {
				if (!(error instanceof SystemError)) throw error;
				this.refused.add(name);
				tellError(`${error.message}; it is left where it is`);
			}
		}
		return undefined;
	}

	/** How many there are; null where the runtime folder cannot be looked at. */
	count(): number | null {
		const names = this.look();
		return this.folder === undefined && !isMissing() ? null : names.length;
	}

	/** Throws all of them away: how many. */
	discardAll(): number {
		let count = 0;
		while (this.take()) count++;
		return count;
	}

	/** The names of the files, in their order. Looks again only when the folder has changed. */
	private look(): string[] {
		try {
			this.folder ??= openRuntimeFolder(false);
			if (this.folder === undefined) return [];
			const {mtimeNs} = fstatSync(this.folder, {bigint: true});
			if (mtimeNs !== this.lookedAtNs || this.names.length > 0) {
				// A folder that has just changed may change again without its time showing that.
				this.lookedAtNs = Date.now() - Number(mtimeNs / 1_000_000n) > coarseMs ? mtimeNs : -1n;
				const entries = native.readdir(this.folder).filter((entry): entry is string => typeof entry === 'string');
				const rescued = entries.filter((name) => name.startsWith(prefix));
				const begin = rescued.length > 0 ? beginOf(this.queue) : '';
				this.names = rescued.filter((name) => name.startsWith(begin)).sort();
				for (const name of entries) if (name.startsWith(unfinishedPrefix)) this.clear(name);
			}
		} catch (error) {
			// A queue needs no runtime folder: one that is refused holds nothing of ours.
			if (!(error instanceof SystemError) && !isKernelError(error)) throw error;
			tellVerbose(`cannot look for rescued messages: ${reasonOf(error)}`);
			this.names = [];
		}
		return this.names.filter((name) => !this.refused.has(name));
	}

	private takeFile(name: string): Message | undefined {
		const folder = this.folder as number;
		const shown = quoted(`${runtimeFolderPath()}/${name}`);
		const tried = `cannot take the rescued message ${shown}`;
		let descriptor: number;
		try {
			descriptor = native.openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, -1);
		} catch (error) {
			// Another receiver was quicker.
			if (hasCode(error, 'ENOENT')) return undefined;
			throw explain(tried, error, {ELOOP: 'it is a symbolic link', ENXIO: 'it is a socket'});
		}
		try {
			if (!tryLock(descriptor)) return undefined;
			const message = readMessage(descriptor, this.queue, tried);
			native.unlinkat(folder, name);
			return message;
		} catch (error) {
			if (hasCode(error, 'ENOENT')) return undefined;
			throw explain(tried, error);
		} finally {
			closeSync(descriptor);
		}
	}

	/** What one that was killed has begun to write. */
	private clear(name: string): void {
		const folder = this.folder as number;
		try {
			const descriptor = native.openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, -1);
			const {mtimeMs} = fstatSync(descriptor);
			closeSync(descriptor);
			if (Date.now() - mtimeMs > staleMs) unlinkIfThere(folder, name);
		} catch (error) {
			if (!isKernelError(error)) throw error;
			tellVerbose(`cannot remove ${quoted(name)} from the runtime folder: ${reasonOf(error)}`);
		}
	}

	[Symbol.dispose](): void {
		if (this.folder !== undefined) closeSync(this.folder);
		this.folder = undefined;
	}
}

/** What the files of a queue begin with: its name may be as long as a name of a file can be. */
const beginOf = (queue: string): string => `${prefix}${createHash('sha256').update(queue).digest('hex').slice(0, 16)}-`;

const orderOf = (priority: number): string =>
	[
		String(highestPriority - priority).padStart(5, '0'),
		String(Date.now()).padStart(15, '0'),
		String(sequence++).padStart(6, '0'),
	].join('-');

/** Whether there is no runtime folder at all. */
function isMissing(): boolean {
	try {
		const folder = openRuntimeFolder(false);
		if (folder !== undefined) closeSync(folder);
		return folder === undefined;
	} catch (error) {
		if (error instanceof SystemError) return false;
		throw error;
	}
}

function readMessage(descriptor: number, queue: string, tried: string): Message {
	const refusal = (why: string) => new SystemError(`${tried}: ${why}`);
	const stats = fstatSync(descriptor);
	if (!stats.isFile()) throw refusal('it is not a regular file');
	if (stats.uid !== process.geteuid?.()) throw refusal(`it belongs to user ${stats.uid}`);
	if (stats.size > hardMostBytes + mostHeaderBytes) throw refusal(`it is longer than any message: ${stats.size} bytes`);
	const bytes = Buffer.alloc(stats.size);
	const length = readSync(descriptor, bytes, 0, bytes.length, 0);
	const end = bytes.subarray(0, mostHeaderBytes).indexOf('\n', magic.length);
	const notOurs = 'it was not written by ipc-mq, or has been changed';
	if (bytes.toString('latin1', 0, magic.length) !== magic || end < 0 || length < bytes.length) throw refusal(notOurs);
	let header: unknown;
	try {
		header = JSON.parse(bytes.toString('utf8', magic.length, end));
	} catch {
		throw refusal(notOurs);
	}
	const {queue: from, priority, bytes: count} = (header ?? {}) as Record<string, unknown>;
	const isPriority = typeof priority === 'number' && Number.isInteger(priority) && priority >= 0;
	if (!isPriority || priority > highestPriority || count !== length - end - 1) throw refusal(notOurs);
	if (from !== queue) throw refusal(`it belongs to the queue ${quoted(String(from))}`);
	return {data: bytes.subarray(end + 1), priority};
}

/** A file system without locks: then receivers may take a message while its last one still waits for room. */
function lock(descriptor: number): void {
	tryLock(descriptor);
}

function tryLock(descriptor: number): boolean {
	try {
		native.flock(descriptor, LOCK_EX | LOCK_NB, -1);
		return true;
	} catch (error) {
		if (hasCode(error, 'EOPNOTSUPP', 'ENOLCK', 'EINVAL', 'EBADF')) return true;
		if (hasCode(error, 'EAGAIN')) return false;
		throw error;
	}
}

function unlinkIfThere(folder: number, name: string): void {
	try {
		native.unlinkat(folder, name);
	} catch (error) {
		if (!hasCode(error, 'ENOENT')) throw error;
	}
}
