import {Buffer, isUtf8} from 'node:buffer';
import {createHash} from 'node:crypto';
import {
	accessSync,
	closeSync,
	existsSync,
	fstatSync,
	lstatSync,
	openSync,
	readdirSync,
	readFileSync,
	readlinkSync,
	readSync,
	statfsSync,
	statSync,
} from 'node:fs';
import {isIP, isIPv4, isIPv6} from 'node:net';
import {constants} from 'node:os';
import {basename, dirname, join, resolve} from 'node:path';
import {getSystemErrorMap} from 'node:util';
import {isKernelError, native} from '../../src/native/index.js';

/**
 * Calls of Node's modules, and of our native layer, as JSON: what they answer on Node and on the small runtime is compared.
 * The build of the executable puts the stand-ins in the place of the imports above.
 */

export type Value = null | boolean | string | number | Value[] | {$: string; is?: unknown};
export type Call = [name: string, ...values: Value[]];

type Subject = (...values: never[]) => unknown;

/** Not atimeMs: to look at a folder changes it. */
const times = ['mtimeMs', 'ctimeMs'] as const;
const kinds = ['isFile', 'isDirectory', 'isFIFO', 'isSocket', 'isSymbolicLink', 'isCharacterDevice'] as const;

function fieldsOf(stats: ReturnType<typeof statSync> | undefined) {
	if (!stats) return undefined;
	const {dev, mode, nlink, uid, gid, rdev, blksize, ino, size, blocks} = stats;
	return [
		...[dev, mode, nlink, uid, gid, rdev, blksize, ino, size, blocks],
		...times.map((name) => stats[name]),
		...kinds.map((name) => stats[name]()),
	];
}

const numbers = ['UInt16LE', 'UInt16BE', 'UInt32LE', 'UInt32BE', 'Int32LE', 'BigUInt64LE', 'DoubleLE'] as const;

/** By the name of a call: what is done. What is changed is a part of the answer. */
export const subjects: Record<string, Subject> = {
	from: (text: string, encoding?: BufferEncoding) => Buffer.from(text, encoding),
	fromBytes: (bytes: Uint8Array) => Buffer.from(bytes),
	fromPart: (bytes: Uint8Array, offset?: number, length?: number) =>
		Buffer.from(new Uint8Array(bytes).buffer, offset, length),
	of: (...bytes: number[]) => Buffer.of(...bytes),
	alloc: (size: number) => Buffer.alloc(size),
	allocUnsafe: (size: number) => Buffer.allocUnsafe(size).length,
	byteLength: (text: string) => Buffer.byteLength(text),
	concat: (list: Uint8Array[]) => Buffer.concat(list),
	toString: (bytes: Buffer, ...rest: [BufferEncoding?, number?, number?]) => bytes.toString(...rest),
	subarray: (bytes: Buffer, start?: number, end?: number) => bytes.subarray(start, end),
	slice: (bytes: Buffer, start?: number, end?: number) => {
		const part = bytes.slice(start, end);
		if (part.length > 0) part[0] = 7;
		return [bytes, part];
	},
	equals: (one: Buffer, other: Uint8Array) => one.equals(other),
	indexOf: (bytes: Buffer, value: string | number, from?: number) => bytes.indexOf(value, from),
	lastIndexOf: (bytes: Buffer, value: number, from?: number) => bytes.lastIndexOf(value, from),
	includes: (bytes: Buffer, value: string | number, from?: number) => bytes.includes(value, from),
	copy: (bytes: Buffer, target: Buffer, ...bounds: [number?, number?, number?]) => [
		bytes.copy(target, ...bounds),
		target,
	],
	write: (bytes: Buffer, text: string, offset: number, length: number, encoding: BufferEncoding) => [
		bytes.write(text, offset, length, encoding),
		bytes,
	],
	...Object.fromEntries(
		numbers.flatMap((name): [string, Subject][] => [
			[`read${name}`, (bytes: Buffer, at?: number) => bytes[`read${name}`](at)],
			[
				`write${name}`,
				(bytes: Buffer, value: never, at?: number) => [(bytes[`write${name}`] as Subject)(value, at as never), bytes],
			],
		]),
	),
	isUtf8: (bytes: Uint8Array) => isUtf8(bytes),
	decode: (bytes: Uint8Array, fatal: boolean, ignoreBOM: boolean) =>
		new TextDecoder('utf-8', {fatal, ignoreBOM}).decode(bytes),
	decodePieces: (pieces: Uint8Array[]) => {
		const decoder = new TextDecoder();
		return pieces.map((piece) => decoder.decode(piece));
	},
	join: (...parts: string[]) => join(...parts),
	resolve: (...parts: string[]) => resolve(...parts),
	basename: (path: string) => basename(path),
	dirname: (path: string) => dirname(path),
	isIP: (text: string) => [isIP(text), isIPv4(text), isIPv6(text)],
	sha256: (text: string) => createHash('sha256').update(text).digest('hex'),
	systemErrors: () => [...getSystemErrorMap()].sort(([one], [other]) => one - other),
	constants: () => [Object.entries(constants.signals), Object.entries(constants.errno)].map((table) => table.sort()),
	umask: () => process.umask(),
	cwd: () => process.cwd(),
	ids: () => [process.getuid?.(), process.geteuid?.(), process.getgid?.(), process.getegid?.(), process.platform],
	stat: (path: string, throws: boolean) => fieldsOf(statSync(path, {throwIfNoEntry: throws} as object)),
	lstat: (path: string, throws: boolean) => fieldsOf(lstatSync(path, {throwIfNoEntry: throws} as object)),
	fstat: (path: string) => onOpen(path, (descriptor) => fieldsOf(fstatSync(descriptor))),
	fstatBig: (path: string) => onOpen(path, (descriptor) => fstatSync(descriptor, {bigint: true}).mtimeNs),
	fstatClosed: (descriptor: number) => fieldsOf(fstatSync(descriptor)),
	statfs: (path: string) => Object.keys(statfsSync(path)).length > 0,
	readdir: (path: string) => readdirSync(path),
	readdirTypes: (path: string) =>
		readdirSync(path, {withFileTypes: true}).map((entry) => [entry.name, entry.isFile(), entry.isSymbolicLink()]),
	readlink: (path: string) => readlinkSync(path),
	readFile: (path: string) => readFileSync(path),
	readText: (path: string, encoding: 'utf8' | 'latin1') => readFileSync(path, encoding),
	readAt: (path: string, length: number, position: number | null) =>
		onOpen(path, (descriptor) => {
			const bytes = Buffer.alloc(length);
			return [readSync(descriptor, bytes, 0, length, position), bytes];
		}),
	open: (path: string, flags: string | number) => closeSync(openSync(path, flags)),
	close: (descriptor: number) => closeSync(descriptor),
	access: (path: string, mode: number) => accessSync(path, mode),
	exists: (path: string) => existsSync(path),
};

function onOpen<Result>(path: string, use: (descriptor: number) => Result): Result {
	const descriptor = openSync(path, 'r');
	try {
		return use(descriptor);
	} finally {
		closeSync(descriptor);
	}
}

/** What is passed to the native layer, and cannot be written as JSON. */
const oddValues: Record<string, (is: unknown) => unknown> = {
	undefined: () => undefined,
	number: (is) => Number(is),
	bigint: (is) => BigInt(is as string),
	Buffer: (is) => Buffer.from(is as number[]),
	bytes: (is) => Uint8Array.from(is as number[]),
	words: (is) => Int32Array.from(is as number[]),
	doubles: (is) => Float64Array.from(is as number[]),
	arrayBuffer: (is) => new ArrayBuffer(is as number),
	view: (is) => new DataView(new ArrayBuffer(is as number)),
	symbol: () => Symbol('x'),
	function: () => () => {},
	object: () => ({}),
	detached: () => detached(new Uint8Array(8)),
	getter: () =>
		Object.defineProperty([], 0, {
			get() {
				throw new Error('thrown by a getter');
			},
		}),
};

/** Its memory now belongs to another buffer. */
function detached(bytes: Uint8Array): Uint8Array {
	const buffer = bytes.buffer as ArrayBuffer & {transfer?: () => ArrayBuffer};
	if (buffer.transfer) buffer.transfer();
	else structuredClone(buffer, {transfer: [buffer]});
	return bytes;
}

const plainValue = (value: Value): unknown =>
	Array.isArray(value)
		? value.map(plainValue)
		: typeof value === 'object' && value
			? oddValues[value.$]?.(value.is)
			: value;

/** As JSON can show it, with its type. */
function shown(value: unknown): unknown {
	if (value === undefined) return {$: 'undefined'};
	if (typeof value === 'bigint') return {$: 'bigint', is: String(value)};
	if (typeof value === 'number')
		return Number.isFinite(value) && !Object.is(value, -0) ? value : {$: `number ${value}`};
	if (value instanceof Uint8Array)
		return {$: value instanceof Buffer ? 'Buffer' : 'bytes', is: Array.from(value).join(' ')};
	return Array.isArray(value) ? value.map(shown) : value;
}

function perform([name, ...values]: Call): unknown {
	const subject = subjects[name];
	try {
		if (subject) return shown(subject(...(values.map(plainValue) as never[])));
		(native as unknown as Record<string, Subject>)[name]?.(...(values.map(plainValue) as never[]));
		return 'answered';
	} catch (error) {
		const {name: kind, message, code} = error as Error & {code?: unknown};
		// What is out of range is a defect of the caller: that it is refused matters, not how Node words it.
		const isRefusal = kind === 'RangeError' || (subject && kind === 'TypeError');
		if (isRefusal) return {error: kind};
		return {error: kind, code: shown(code), message, isKernelError: isKernelError(error)};
	}
}

export const performAll = (calls: readonly Call[]): unknown[] => calls.map(perform);
