import {host} from './host.js';

/** node:buffer, as far as the commands use it. Everything that is here does what Node's does, errors included. */

type Encoding = string;

const base64Letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** utf8, latin1, hex or base64, whichever way it is written. */
function encodingOf(name: Encoding | undefined): 'utf8' | 'latin1' | 'ascii' | 'hex' | 'base64' {
	switch (name?.toLowerCase()) {
		case undefined:
		case 'utf8':
		case 'utf-8':
			return 'utf8';
		case 'latin1':
		case 'binary':
			return 'latin1';
		case 'ascii':
			return 'ascii';
		case 'hex':
			return 'hex';
		case 'base64':
			return 'base64';
		default:
			throw Object.assign(new TypeError(`Unknown encoding: ${name}`), {code: 'ERR_UNKNOWN_ENCODING'});
	}
}

function encode(text: string, encoding: Encoding | undefined): Uint8Array {
	switch (encodingOf(encoding)) {
		case 'utf8':
			return host.encodeUtf8(text);
		case 'latin1':
		case 'ascii':
			return Uint8Array.from({length: text.length}, (_, i) => text.charCodeAt(i));
		case 'hex':
			return encodeHex(text);
		default:
			return encodeBase64(text);
	}
}

/** Up to the first pair of characters that is none of hex digits. */
function encodeHex(text: string): Uint8Array {
	const bytes = new Uint8Array(text.length >> 1);
	for (let i = 0; i < bytes.length; i++) {
		const pair = text.slice(2 * i, 2 * i + 2);
		if (!/^[0-9a-f]{2}$/i.test(pair)) return bytes.subarray(0, i);
		bytes[i] = Number.parseInt(pair, 16);
	}
	return bytes;
}

/** Characters that are not of the alphabet are passed over, those of the URL alphabet are taken; it ends at a `=`. */
function encodeBase64(text: string): Uint8Array {
	const bytes = new Uint8Array(Math.ceil((text.length * 3) / 4));
	let filled = 0;
	let bits = 0;
	let count = 0;
	for (const letter of text) {
		if (letter === '=') break;
		const value = base64Letters.indexOf(letter === '-' ? '+' : letter === '_' ? '/' : letter);
		if (value < 0) continue;
		bits = ((bits << 6) | value) & 0xffffff;
		count += 6;
		if (count < 8) continue;
		count -= 8;
		bytes[filled++] = bits >> count;
	}
	return bytes.subarray(0, filled);
}

function decodeBase64(bytes: Uint8Array, start: number, end: number): string {
	let text = '';
	for (let i = start; i < end; i += 3) {
		const left = end - i;
		const group =
			((bytes[i] as number) << 16) |
			((left > 1 ? (bytes[i + 1] as number) : 0) << 8) |
			(left > 2 ? (bytes[i + 2] as number) : 0);
		text += base64Letters.charAt(group >> 18) + base64Letters.charAt((group >> 12) & 63);
		text += left > 1 ? base64Letters.charAt((group >> 6) & 63) : '=';
		text += left > 2 ? base64Letters.charAt(group & 63) : '=';
	}
	return text;
}

const hexPairs = Array.from({length: 256}, (_, byte) => byte.toString(16).padStart(2, '0'));

/** A place within [0, most]; a negative one counts from the end. */
function place(index: number | undefined, usual: number, most: number): number {
	const number = index === undefined ? usual : Math.trunc(Number(index)) || 0;
	return number < 0 ? Math.max(0, most + number) : Math.min(number, most);
}

/** As `place`, but nothing counts from the end: for toString. */
const bound = (index: number | undefined, usual: number, most: number): number =>
	Math.min(Math.max(index === undefined ? usual : Math.trunc(Number(index)) || 0, 0), most);

export class Buffer extends Uint8Array {
	static override from(value: string, encoding?: Encoding): Buffer;
	static override from(value: ArrayBufferLike, offset?: number, length?: number): Buffer;
	static override from(value: ArrayLike<number> | Iterable<number>): Buffer;
	static override from(
		value: string | ArrayBufferLike | ArrayLike<number> | Iterable<number>,
		more?: Encoding | number,
		length?: number,
	): Buffer {
		if (typeof value === 'string') return ofBytes(encode(value, more as Encoding | undefined));
		if (value instanceof ArrayBuffer) return new Buffer(value, more as number | undefined, length);
		if (value instanceof Uint8Array) {
			const copy = new Buffer(value.length);
			copy.set(value);
			return copy;
		}
		return ofBytes(Uint8Array.from(value as ArrayLike<number>));
	}

	static override of(...bytes: number[]): Buffer {
		return ofBytes(Uint8Array.of(...bytes));
	}

	static alloc(size: number, fill?: number | string | Uint8Array): Buffer {
		const buffer = new Buffer(size);
		return fill === undefined ? buffer : buffer.fill(fill as number);
	}

	static allocUnsafe(size: number): Buffer {
		return new Buffer(size);
	}

	static allocUnsafeSlow(size: number): Buffer {
		return new Buffer(size);
	}

	static byteLength(value: string | ArrayBufferView | ArrayBuffer, encoding?: Encoding): number {
		if (typeof value !== 'string') return value.byteLength;
		return encodingOf(encoding) === 'utf8' ? host.utf8Length(value) : encode(value, encoding).length;
	}

	static isBuffer(value: unknown): value is Buffer {
		return value instanceof Buffer;
	}

	static concat(list: readonly Uint8Array[], length?: number): Buffer {
		const total = length ?? list.reduce((sum, piece) => sum + piece.length, 0);
		const all = new Buffer(total);
		let filled = 0;
		for (const piece of list) {
			const part = piece.length > total - filled ? piece.subarray(0, total - filled) : piece;
			all.set(part, filled);
			filled += part.length;
		}
		return all;
	}

	static compare(one: Uint8Array, other: Uint8Array): number {
		return host.compare(one, other);
	}

	override subarray(start?: number, end?: number): Buffer {
		const from = place(start, 0, this.length);
		const to = place(end, this.length, this.length);
		return new Buffer(this.buffer, this.byteOffset + from, Math.max(0, to - from));
	}

	/** Node's shares the memory, as `subarray` does. */
	override slice(start?: number, end?: number): Buffer {
		return this.subarray(start, end);
	}

	override toString(encoding?: Encoding, start?: number, end?: number): string {
		const from = bound(start, 0, this.length);
		const to = Math.max(from, bound(end, this.length, this.length));
		switch (encodingOf(encoding)) {
			case 'utf8':
				return host.decodeUtf8(this, from, to);
			case 'latin1':
				return host.decodeLatin1(this, from, to);
			case 'ascii':
				return host.decodeLatin1(
					Uint8Array.prototype.slice.call(this, from, to).map((byte) => byte & 0x7f),
					0,
					to - from,
				);
			case 'hex': {
				let text = '';
				for (let i = from; i < to; i++) text += hexPairs[this[i] as number];
				return text;
			}
			default:
				return decodeBase64(this, from, to);
		}
	}

	latin1Slice(start?: number, end?: number): string {
		return this.toString('latin1', start, end);
	}

	utf8Slice(start?: number, end?: number): string {
		return this.toString('utf8', start, end);
	}

	toJSON(): {type: 'Buffer'; data: number[]} {
		return {type: 'Buffer', data: Array.from(this)};
	}

	equals(other: Uint8Array): boolean {
		return this.length === other.length && host.compare(this, other) === 0;
	}

	compare(other: Uint8Array): number {
		return host.compare(this, other);
	}

	copy(target: Uint8Array, targetStart = 0, start = 0, end = this.length): number {
		if (targetStart >= target.length || start >= end) return 0;
		const piece = this.subarray(start, Math.min(end, this.length, start + target.length - targetStart));
		target.set(piece, targetStart);
		return piece.length;
	}

	override indexOf(value: number | string | Uint8Array, from?: number, encoding?: Encoding): number {
		const start = place(from, 0, this.length);
		if (typeof value === 'number') return super.indexOf(value & 0xff, start);
		return host.indexOf(this, typeof value === 'string' ? encode(value, encoding) : value, start);
	}

	override lastIndexOf(value: number | string | Uint8Array, from?: number, encoding?: Encoding): number {
		const last = from === undefined ? this.length : from < 0 ? this.length + from : from;
		if (typeof value === 'number') return last < 0 ? -1 : super.lastIndexOf(value & 0xff, last);
		const wanted = typeof value === 'string' ? encode(value, encoding) : value;
		for (let at = Math.min(last, this.length - wanted.length); at >= 0; at--)
			if (host.compare(this.subarray(at, at + wanted.length), wanted) === 0) return at;
		return -1;
	}

	override includes(value: number | string | Uint8Array, from?: number): boolean {
		return this.indexOf(value, from) >= 0;
	}

	override fill(value: number | string | Uint8Array, start?: number, end?: number): this {
		if (typeof value === 'number') return super.fill(value & 0xff, start, end);
		const pattern = typeof value === 'string' ? encode(value, undefined) : value;
		const to = end ?? this.length;
		for (let i = start ?? 0; i < to; i++)
			this[i] = pattern.length > 0 ? (pattern[(i - (start ?? 0)) % pattern.length] as number) : 0;
		return this;
	}

	/** `write(text, offset, length, encoding)`; the numbers may be left out. Never writes a part of a character. */
	write(text: string, offset?: number | Encoding, length?: number | Encoding, encoding?: Encoding): number {
		if (typeof offset === 'string') return this.write(text, 0, undefined, offset);
		if (typeof length === 'string') return this.write(text, offset, undefined, length);
		const start = offset ?? 0;
		const bytes = encode(text, encoding);
		let count = Math.min(bytes.length, this.length - start, length ?? Number.POSITIVE_INFINITY);
		if (count < bytes.length && encodingOf(encoding) === 'utf8')
			while (count > 0 && ((bytes[count] as number) & 0xc0) === 0x80) count--;
		this.set(bytes.subarray(0, count), start);
		return count;
	}
}

const ofBytes = (bytes: Uint8Array): Buffer =>
	new Buffer(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength);

/** readUInt32LE, writeDoubleBE and so on: Node's name for each of DataView's. */
const numbers = {
	UInt8: 'Uint8',
	Int8: 'Int8',
	UInt16: 'Uint16',
	Int16: 'Int16',
	UInt32: 'Uint32',
	Int32: 'Int32',
	BigUInt64: 'BigUint64',
	BigInt64: 'BigInt64',
	Float: 'Float32',
	Double: 'Float64',
};
const widths: Record<string, number> = {Uint8: 1, Int8: 1, Uint16: 2, Int16: 2, Uint32: 4, Int32: 4, Float32: 4};

type Reader = (at: number, isLittle: boolean) => number | bigint;
type Writer = (at: number, value: number | bigint, isLittle: boolean) => void;
const views = DataView.prototype as unknown as Record<string, Reader & Writer>;

for (const [name, kind] of Object.entries(numbers)) {
	const read = views[`get${kind}`] as Reader;
	const write = views[`set${kind}`] as Writer;
	const width = widths[kind] ?? 8;
	for (const end of width === 1 ? [''] : ['LE', 'BE']) {
		const isLittle = end !== 'BE';
		const reader = function (this: Buffer, at = 0) {
			return read.call(viewOf(this), at, isLittle);
		};
		const writer = function (this: Buffer, value: number | bigint, at = 0) {
			write.call(viewOf(this), at, value, isLittle);
			return at + width;
		};
		const names = [`${name}${end}`, `${name}${end}`.replace('UInt', 'Uint')];
		for (const each of new Set(names)) {
			Object.defineProperty(Buffer.prototype, `read${each}`, {value: reader, configurable: true, writable: true});
			Object.defineProperty(Buffer.prototype, `write${each}`, {value: writer, configurable: true, writable: true});
		}
	}
}

function viewOf(buffer: Buffer): DataView {
	return new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

export const isUtf8 = (bytes: Uint8Array): boolean => host.isUtf8(bytes);

host.setBufferPrototype(Buffer.prototype);
