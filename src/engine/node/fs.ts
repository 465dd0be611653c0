import {Buffer} from './buffer.js';
import {host} from './host.js';
import {nodeOnly} from './node-only.js';
import {systemError} from './system-errors.js';

/** node:fs, as far as the commands use it: blocking functions, the same results and the same errors. */

const typeBits = 0o170000;

/** The fields as the host gives them, each time as seconds and nanoseconds. */
const fieldNames = ['dev', 'mode', 'nlink', 'uid', 'gid', 'rdev', 'blksize', 'ino', 'size', 'blocks'] as const;
const timeNames = ['atime', 'mtime', 'ctime', 'birthtime'] as const;

export class Stats {
	declare readonly dev: number;
	declare readonly mode: number;
	declare readonly nlink: number;
	declare readonly uid: number;
	declare readonly gid: number;
	declare readonly rdev: number;
	declare readonly blksize: number;
	declare readonly ino: number;
	declare readonly size: number;
	declare readonly blocks: number;
	declare readonly atimeMs: number;
	declare readonly mtimeMs: number;
	declare readonly ctimeMs: number;
	declare readonly birthtimeMs: number;

	constructor(fields: readonly number[]) {
		const all: Record<string, number> = {};
		for (const [i, name] of fieldNames.entries()) all[name] = fields[i] as number;
		for (const [i, name] of timeNames.entries()) {
			const at = fieldNames.length + 2 * i;
			all[`${name}Ms`] = (fields[at] as number) * 1e3 + (fields[at + 1] as number) / 1e6;
		}
		Object.assign(this, all);
	}

	isFile(): boolean {
		return (this.mode & typeBits) === 0o100000;
	}

	isDirectory(): boolean {
		return (this.mode & typeBits) === 0o040000;
	}

	isFIFO(): boolean {
		return (this.mode & typeBits) === 0o010000;
	}

	isSocket(): boolean {
		return (this.mode & typeBits) === 0o140000;
	}

	isSymbolicLink(): boolean {
		return (this.mode & typeBits) === 0o120000;
	}

	isCharacterDevice(): boolean {
		return (this.mode & typeBits) === 0o020000;
	}

	isBlockDevice(): boolean {
		return (this.mode & typeBits) === 0o060000;
	}

	get mtime(): Date {
		return new Date(this.mtimeMs);
	}
}

export type BigIntStats = Readonly<
	Record<(typeof fieldNames)[number] | `${(typeof timeNames)[number]}${'Ms' | 'Ns'}`, bigint>
>;

function bigIntStats(fields: readonly number[]): BigIntStats {
	const all: Record<string, bigint> = {};
	for (const [i, name] of fieldNames.entries()) all[name] = BigInt(fields[i] as number);
	for (const [i, name] of timeNames.entries()) {
		const at = fieldNames.length + 2 * i;
		const nanoseconds = BigInt(fields[at] as number) * 1_000_000_000n + BigInt(fields[at + 1] as number);
		all[`${name}Ns`] = nanoseconds;
		all[`${name}Ms`] = nanoseconds / 1_000_000n;
	}
	return all as BigIntStats;
}

/** An entry of a folder, by its type as the kernel gives it (DT_REG and so on). readdir(3) */
class Dirent {
	constructor(
		readonly name: string,
		private readonly type: number,
	) {}

	isFile(): boolean {
		return this.type === 8;
	}

	isDirectory(): boolean {
		return this.type === 4;
	}

	isFIFO(): boolean {
		return this.type === 1;
	}

	isSocket(): boolean {
		return this.type === 12;
	}

	isSymbolicLink(): boolean {
		return this.type === 10;
	}
}

/** The result, or Node's error where the kernel refused. */
function check<Result>(result: Result | number, syscall: string, path?: string): Result {
	if (typeof result === 'number' && result < 0) throw systemError(result, syscall, path);
	return result as Result;
}

interface StatOptions {
	throwIfNoEntry?: boolean;
}

function statOf(path: string, follow: boolean, options: StatOptions | undefined): Stats | undefined {
	const fields = host.stat(path, follow);
	if (typeof fields !== 'number') return new Stats(fields);
	if (options?.throwIfNoEntry === false && fields === -ENOENT) return undefined;
	throw systemError(fields, follow ? 'stat' : 'lstat', path);
}

const ENOENT = 2;

export function fstatSync(descriptor: number): Stats;
export function fstatSync(descriptor: number, options: {bigint: true}): BigIntStats;
export function fstatSync(descriptor: number, options?: {bigint: true}): Stats | BigIntStats {
	const fields = check<number[]>(host.fstat(descriptor), 'fstat');
	return options?.bigint ? bigIntStats(fields) : new Stats(fields);
}
export const statSync = (path: string, options?: StatOptions): Stats | undefined => statOf(path, true, options);
export const lstatSync = (path: string, options?: StatOptions): Stats | undefined => statOf(path, false, options);

export function statfsSync(
	path: string,
): Record<'type' | 'bsize' | 'blocks' | 'bfree' | 'bavail' | 'files' | 'ffree', number> {
	const [type, bsize, blocks, bfree, bavail, files, ffree] = check<number[]>(host.statfs(path), 'statfs', path) as [
		number,
		number,
		number,
		number,
		number,
		number,
		number,
	];
	return {type, bsize, blocks, bfree, bavail, files, ffree};
}

export const constants = {F_OK: 0, X_OK: 1, W_OK: 2, R_OK: 4} as const;

const openFlags: Record<string, number> = {r: 0, w: 0o1101};

export function openSync(path: string, flags: string | number = 'r', mode = 0o666): number {
	const bits = typeof flags === 'number' ? flags : openFlags[flags];
	if (bits === undefined) throw new TypeError(`flags '${flags}' are not known here`);
	return check<number>(host.open(path, bits, mode), 'open', path);
}

export function closeSync(descriptor: number): void {
	check(host.close(descriptor), 'close');
}

export function mkdirSync(path: string, mode: number | {mode?: number} = 0o777): void {
	check(host.mkdir(path, typeof mode === 'number' ? mode : (mode.mode ?? 0o777), 0), 'mkdir', path);
}

export function unlinkSync(path: string): void {
	check(host.unlink(path, 0, 0), 'unlink', path);
}

export function rmdirSync(path: string): void {
	check(host.rmdir(path, 0, 0), 'rmdir', path);
}

export function chmodSync(path: string, mode: number): void {
	check(host.chmod(path, mode, 0), 'chmod', path);
}

export function fchmodSync(descriptor: number, mode: number): void {
	check(host.fchmod(descriptor, mode), 'fchmod');
}

export function lchownSync(path: string, uid: number, gid: number): void {
	check(host.lchown(path, uid, gid), 'lchown', path);
}

export function accessSync(path: string, mode = 0): void {
	check(host.access(path, mode, 0), 'access', path);
}

export const existsSync = (path: string): boolean => !path.includes('\0') && host.access(path, 0, 0) === 0;

export function ftruncateSync(descriptor: number, length = 0): void {
	check(host.ftruncate(descriptor, length), 'ftruncate');
}

interface Span {
	offset?: number;
	length?: number;
	position?: number | bigint | null;
}

/** `(fd, bytes, offset, length, position)` and `(fd, bytes, {offset, length, position})` are the same. */
function spanOf(
	bytes: Uint8Array,
	offset: number | Span,
	length: number | undefined,
	position: number | bigint | null,
) {
	if (typeof offset === 'object') return spanOf(bytes, offset.offset ?? 0, offset.length, offset.position ?? null);
	return {offset, length: length ?? bytes.length - offset, position: position ?? -1};
}

export function readSync(
	descriptor: number,
	bytes: Uint8Array,
	offset: number | Span = 0,
	length?: number,
	position: number | bigint | null = null,
): number {
	const span = spanOf(bytes, offset, length, position);
	if (span.length === 0) return 0;
	return check<number>(host.read(descriptor, bytes, span.offset, span.length, span.position), 'read');
}

export function writeSync(
	descriptor: number,
	data: Uint8Array | string,
	offset: number | Span = 0,
	length?: number,
	position: number | bigint | null = null,
): number {
	const bytes = typeof data === 'string' ? Buffer.from(data) : data;
	const span = typeof data === 'string' ? spanOf(bytes, 0, undefined, null) : spanOf(bytes, offset, length, position);
	return check<number>(host.write(descriptor, bytes, span.offset, span.length, span.position), 'write');
}

export function readdirSync(path: string): string[];
export function readdirSync(path: string, options: {withFileTypes: true}): Dirent[];
export function readdirSync(path: string, options?: {withFileTypes?: boolean}): string[] | Dirent[] {
	const flat = check<(string | number)[]>(host.readdir(path), 'scandir', path);
	const entries: Dirent[] = [];
	for (let i = 0; i < flat.length; i += 2) entries.push(new Dirent(flat[i] as string, flat[i + 1] as number));
	// libuv sorts by bytes.
	entries.sort((one, other) => host.compare(Buffer.from(one.name), Buffer.from(other.name)));
	return options?.withFileTypes ? entries : entries.map(({name}) => name);
}

export const readlinkSync = (path: string): string => check<string>(host.readlink(path), 'readlink', path);

type Encoding = 'utf8' | 'utf-8' | 'latin1' | 'ascii' | 'hex' | 'base64';

export function readFileSync(path: string | number): Buffer;
export function readFileSync(path: string | number, encoding: Encoding | {encoding: Encoding}): string;
export function readFileSync(path: string | number, options?: Encoding | {encoding?: Encoding}): Buffer | string {
	const encoding = typeof options === 'string' ? options : options?.encoding;
	const bytes = typeof path === 'number' ? check<Uint8Array>(host.readAll(path), 'read') : readNamed(path);
	const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	return encoding ? buffer.toString(encoding) : buffer;
}

function readNamed(path: string): Uint8Array {
	const descriptor = check<number>(host.open(path, 0, 0), 'open', path);
	const bytes = host.readAll(descriptor);
	host.close(descriptor);
	return check<Uint8Array>(bytes, 'read');
}

export const chownSync = nodeOnly('fs.chownSync');
