import {fstatSync} from 'node:fs';
import {isKernelError, native} from '../native/index.js';
import {countOf, explain, hasCode, SystemError} from './errors.js';
import {formatSize} from './formats/size.js';
import {explainStdout, tellVerbose} from './output.js';
import {Progress} from './terminal/progress.js';

const largePipe = 1024 ** 2;
/** The default capacity of a pipe: any other was chosen by a program. pipe(7) */
const usualPipe = 65_536;

/**
 * Makes a pipe large, since throughput hangs on that more than on anything else. Whatever is not a pipe, or may not
 * grow (a user's pipes hold 64 MiB in all), or was given a size on purpose, stays as it is. fcntl(2), F_SETPIPE_SZ
 */
export function growPipe(descriptor: number): void {
	try {
		if (native.fcntlGetpipeSz(descriptor) === usualPipe) native.fcntlSetpipeSz(descriptor, largePipe);
	} catch (error) {
		if (!hasCode(error, 'EBADF', 'EPERM', 'EBUSY', 'ENOMEM', 'EINVAL')) throw error;
	}
}

/** The capacity a user asked for: not getting it is an error. */
export function setPipeSize(descriptor: number, bytes: number, shown: string): void {
	try {
		const got = native.fcntlSetpipeSz(descriptor, Math.min(bytes, 2 ** 31 - 1));
		if (got !== bytes) tellVerbose(`${shown} holds ${formatSize(got)} (${got} bytes)`);
	} catch (error) {
		throw explain(`cannot give ${shown} a capacity of ${formatSize(bytes)}`, error, {
			EPERM: 'more than this user may have (see: sysctl fs.pipe-max-size fs.pipe-user-pages-soft)',
			EBUSY: 'it contains more data than that',
			EINVAL: 'it is larger than any pipe can be',
		});
	}
}

export interface Move {
	input: number;
	output: number;
	/** Gets a copy of everything. */
	copyTo?: number;
	/** How long to wait for the input, and for room in the output, each time; negative: without limit. */
	inputTimeoutMs?: number;
	outputTimeoutMs?: number;
	progress?: Progress | undefined;
}

export interface Moved {
	bytes: number;
	/** False when a timeout ended it. */
	ended: boolean;
}

/**
 * Moves bytes until the input ends or one side kept us waiting too long. Blocks. Throws the kernel's error, with
 * `side` and `bytes` (all that went through before).
 *
 * A file is copied, not spliced: splice(2) would share its pages, and what is written to the file later would show in
 * what the reader has not read yet.
 */
export function moveBytes({
	input,
	output,
	copyTo = -1,
	inputTimeoutMs = -1,
	outputTimeoutMs = -1,
	progress,
}: Move): Moved {
	const byCopy = fstatSync(input).isFile();
	let bytes = 0;
	let quietSince = performance.now();
	const left = (timeoutMs: number) =>
		timeoutMs < 0 || !progress ? timeoutMs : Math.max(0, Math.ceil(timeoutMs - (performance.now() - quietSince)));
	for (;;) {
		try {
			const sliceMs = progress ? Progress.sliceMs : -1;
			const moved = native.transfer(
				input,
				output,
				copyTo,
				sliceMs,
				left(inputTimeoutMs),
				left(outputTimeoutMs),
				byCopy,
			);
			bytes += moved.bytes;
			if (moved.bytes > 0) quietSince = performance.now();
			progress?.add(moved.bytes);
			if (moved.ended) return {bytes, ended: true};
		} catch (error) {
			if (!isKernelError(error)) throw error;
			bytes += error.bytes ?? 0;
			progress?.add(error.bytes ?? 0);
			error.bytes = bytes;
			if (error.code !== 'ETIMEDOUT') throw error;
			return {bytes, ended: false};
		}
	}
}

export interface Copy {
	input: number;
	/** Where in a file to read; without, wherever it stands, as a pipe has it. */
	inputOffset?: number;
	output: number;
	/** Where in a file to write, likewise. */
	outputOffset?: number;
	/** Bytes at most. */
	most?: number;
	/** Whether the output file must not grow, also when another process makes it smaller meanwhile: ENXIO. */
	staysWithin?: boolean;
	progress?: Progress | undefined;
}

/**
 * Copies bytes until the input ends or `most` have been moved, and returns how many. Blocks. Throws the kernel's error,
 * with `side` and `bytes`. pread(2), pwrite(2)
 */
export function copyBytes({
	input,
	inputOffset,
	output,
	outputOffset,
	most,
	staysWithin = false,
	progress,
}: Copy): number {
	let bytes = 0;
	const from = (offset: number | undefined) => (offset === undefined ? -1 : offset + bytes);
	for (;;) {
		try {
			const left = (most ?? Number.MAX_SAFE_INTEGER) - bytes;
			const sliceMs = progress ? Progress.sliceMs : -1;
			const moved = native.copyRange(input, from(inputOffset), output, from(outputOffset), left, sliceMs, staysWithin);
			bytes += moved.bytes;
			progress?.add(moved.bytes);
			if (moved.ended) return bytes;
		} catch (error) {
			if (isKernelError(error)) error.bytes = bytes + (error.bytes ?? 0);
			throw error;
		}
	}
}

/** Progress as --progress asks for it; the total is known when stdin is a file. */
export function progressOf(
	wanted: boolean,
	unit: 'bytes' | 'records' | 'messages',
	source?: number,
): Progress | undefined {
	if (!wanted) return undefined;
	const stat = source === undefined ? undefined : fstatSync(source);
	return new Progress(unit, unit === 'bytes' && stat?.isFile() ? stat.size : undefined);
}

/** What a failed move means to the user: `to` and `from` name the sides that are not the standard streams. */
export function explainMove(error: unknown, {from, to}: {from?: string; to?: string}): unknown {
	if (!isKernelError(error) || error.code === 'EINTR') return error;
	const sofar = countOf(error.bytes ?? 0, 'byte');
	if (error.side === 'copy' || (error.side === 'out' && to === undefined)) {
		const explained = explainStdout(error);
		return explained instanceof SystemError
			? new SystemError(`${explained.message} (${sofar} ${error.bytes === 1 ? 'was' : 'were'} written)`, {cause: error})
			: explained;
	}
	if (error.side === 'in')
		return explain(`cannot read ${from ?? 'stdin'}`, error, {
			EISDIR: 'it is a folder',
			EBADF: 'it is not open for reading',
		});
	return explain(`cannot send to ${to}`, error, {EPIPE: `the reader left after ${sofar}`});
}
