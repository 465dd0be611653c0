import {closeSync, fstatSync, ftruncateSync} from 'node:fs';
import {attempt, explain, hasCode, quoted, SystemError, UsageError} from '../common/errors.js';
import {parseAddress} from '../common/object-name.js';
import {processStat} from '../common/process-status.js';
import {openRuntimeFolder} from '../common/runtime-folder.js';
import type {TextFormat} from '../common/text-format.js';
import {F_RDLCK, F_WRLCK, native, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR} from '../native/index.js';
import {ProcessHandle} from './process-handle.js';

/**
 * Names of receivers: a file in the runtime folder for each, which holds pid and start time, under a lock that the
 * kernel takes away when its owner ends, however that comes about. "Open file description locks" in fcntl(2)
 */
const suffix = '.receiver';
const longestName = 255 - suffix.length;

/** Whoever has the lock writes into the file next; one that died meanwhile never does. */
const patienceMs = 1000;
const lookMs = 2;

/** `NAME`, also written `@NAME`. */
export const receiverName: TextFormat<string> = {
	placeholder: 'NAME',
	parse(text) {
		const address = parseAddress(text);
		const name = address.kind === 'abstract' || address.kind === 'name' ? address.name : undefined;
		if (address.kind === 'cluster')
			throw new UsageError(`'${text}' is an address on a cluster, which this version does not reach`);
		if (name === undefined || name.includes('/'))
			throw new UsageError(`'${text}' is no name for a receiver: it has a slash inside`);
		if (Buffer.byteLength(name) > longestName)
			throw new UsageError(`'${text}' is no name for a receiver: it is longer than ${longestName} bytes`);
		if (name === '.' || name === '..') throw new UsageError(`'${text}' is no name for a receiver`);
		return name;
	},
};

interface Owner {
	pid: number;
	startTime: number;
}

/** A receiver's name, held until it is released or this process ends. */
export class Registration implements Disposable {
	private constructor(
		private readonly folder: number,
		private readonly file: string,
		private readonly descriptor: number,
	) {}

	/** @throws SystemError when a living receiver has the name. */
	static claim(name: string): Registration {
		const folder = openRuntimeFolder(true) as number;
		const file = name + suffix;
		const tried = `cannot register ${quoted(`@${name}`)}`;
		for (;;) {
			let descriptor: number;
			try {
				descriptor = native.openat(folder, file, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600, -1);
			} catch (error) {
				throw explain(tried, error);
			}
			try {
				native.ofdSetlk(descriptor, F_WRLCK, 0, 0);
			} catch (error) {
				const owner = readOwner(descriptor);
				closeSync(descriptor);
				if (!hasCode(error, 'EAGAIN', 'EACCES')) throw explain(tried, error);
				throw new SystemError(`${tried}: process ${owner?.pid ?? '?'} has that name`);
			}
			// Its owner may have removed it between our opening and our locking: then it is no longer the one.
			if (isSame(folder, file, descriptor)) {
				const text = Buffer.from(`${process.pid} ${processStat(process.pid)?.startTime}\n`);
				attempt(tried, () => {
					ftruncateSync(descriptor);
					native.write(descriptor, text, 0, text.length);
				});
				return new Registration(folder, file, descriptor);
			}
			closeSync(descriptor);
		}
	}

	[Symbol.dispose](): void {
		// Still under the lock: nobody else can have the name yet.
		native.unlinkat(this.folder, this.file);
		closeSync(this.descriptor);
		closeSync(this.folder);
	}
}

/** The living receiver of a name. @throws SystemError when there is none. */
export function openReceiver(name: string, tried: string): ProcessHandle {
	const nobody = new SystemError(`${tried}: nobody is registered as ${quoted(`@${name}`)}`);
	const folder = openRuntimeFolder(false);
	if (folder === undefined) throw nobody;
	const deadline = performance.now() + patienceMs;
	try {
		while (performance.now() < deadline) {
			const owner = lockedOwner(folder, name + suffix, tried);
			if (owner === 'nobody') throw nobody;
			const handle = owner && openOwner(owner);
			// It may have died and another taken its number in between: the lock tells that the owner still lives.
			const again = handle && lockedOwner(folder, name + suffix, tried);
			if (handle && typeof again === 'object' && again.pid === handle.pid && again.startTime === handle.startTime)
				return handle;
			handle?.[Symbol.dispose]();
			native.poll(new Int32Array(0), lookMs);
		}
		throw nobody;
	} finally {
		closeSync(folder);
	}
}

/** Who holds the lock; undefined while that cannot be told yet. */
function lockedOwner(folder: number, file: string, tried: string): Owner | 'nobody' | undefined {
	let descriptor: number;
	try {
		descriptor = native.openat(folder, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, -1);
	} catch (error) {
		if (hasCode(error, 'ENOENT')) return 'nobody';
		throw explain(tried, error);
	}
	try {
		return native.ofdGetlk(descriptor, F_RDLCK, 0, 0) ? readOwner(descriptor) : 'nobody';
	} finally {
		closeSync(descriptor);
	}
}

function openOwner({pid, startTime}: Owner): ProcessHandle | undefined {
	try {
		const handle = ProcessHandle.open(pid);
		if (handle.startTime === startTime) return handle;
		handle[Symbol.dispose]();
	} catch (error) {
		if (!(error instanceof SystemError)) throw error;
	}
	return undefined;
}

function readOwner(descriptor: number): Owner | undefined {
	const bytes = Buffer.alloc(64);
	const length = native.read(descriptor, bytes, 0, bytes.length);
	const [, pid, startTime] = /^([0-9]+) ([0-9]+)\n$/.exec(bytes.toString('latin1', 0, length)) ?? [];
	return pid === undefined ? undefined : {pid: Number(pid), startTime: Number(startTime)};
}

function isSame(folder: number, file: string, descriptor: number): boolean {
	try {
		const now = native.openat(folder, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, -1);
		const [a, b] = [fstatSync(now), fstatSync(descriptor)];
		closeSync(now);
		return a.ino === b.ino && a.dev === b.dev;
	} catch (error) {
		if (hasCode(error, 'ENOENT')) return false;
		throw error;
	}
}
