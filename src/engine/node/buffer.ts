import {host} from './host.js';

/** node:buffer, as far as the commands use it. What is here does what Node's does: test/engine/stand-ins.test.ts compares them. */

type Encoding = string;

const base64Letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** utf8, latin1, hex or base64, whichever way it is written. */
function encodingOf(name: Encoding | undefined): 'utf8' | 'latin1' | 'hex' | 'base64' {
	switch (name?.toLowerCase()) {
		case undefined:
		case 'utf8':
		case 'utf-8':
			return 'utf8';
		case 'latin1':
		case 'binary':
			return 'latin1';
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

/** How many bytes Node makes room for: up to two `=` at the end stand for nothing. */
function base64Size(text: string): number {
	const length = text.length - (/={1,2}$/.exec(text)?.[0].length ?? 0);
	return (length >> 2) * 3 + (((length & 3) + 1) >> 1);
}

/** Characters that are not of the alphabet are passed over, those of the URL alphabet are taken; it ends at a `=`. */
function encodeBase64(text: string): Uint8Array {
	const bytes = new Uint8Array(base64Size(text));
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
		if (filled === bytes.length) break;
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

const hexPair = (byte: number): string => byte.toString(16).padStart(2, '0');

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

	static alloc(size: number): Buffer {
		return new Buffer(size);
	}

	static allocUnsafe(size: number): Buffer {
		return new Buffer(size);
	}

	static allocUnsafeSlow(size: number): Buffer {
		return new Buffer(size);
	}

	static byteLength(value: string | Uint8Array): number {
		return typeof value === 'string' ? host.utf8Length(value) : value.byteLength;
	}

	static concat(list: readonly Uint8Array[]): Buffer {
		const all = new Buffer(list.reduce((sum, piece) => sum + piece.length, 0));
		let filled = 0;
		for (const piece of list) {
			all.set(piece, filled);
			filled += piece.length;
		}
		return all;
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
		const to = bound(end, this.length, this.length);
		if (from >= to) return '';
		switch (encodingOf(encoding)) {
			case 'utf8':
				return host.decodeUtf8(this, from, to);
			case 'latin1':
				return host.decodeLatin1(this, from, to);
			case 'hex': {
				let text = '';
				for (let i = from; i < to; i++) text += hexPair(this[i] as number);
				return text;
			}
			default:
				return decodeBase64(this, from, to);
		}
	}

	equals(other: Uint8Array): boolean {
		return this.length === other.length && host.compare(this, other) === 0;
	}

	copy(target: Uint8Array, targetStart = 0, start = 0, end = this.length): number {
		if (targetStart < 0 || start < 0 || start > this.length || end < 0) throw outOfRange();
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

	/** Of a byte. */
	override lastIndexOf(value: number, from?: number): number {
		const last = Math.trunc(Number(from ?? this.length));
		return super.lastIndexOf(value & 0xff, Number.isNaN(last) ? this.length : last);
	}

	override includes(value: number | string | Uint8Array, from?: number): boolean {
		return this.indexOf(value, from) >= 0;
	}

	/** Never writes a part of a character. */
	write(text: string, start: number, length: number, encoding: Encoding): number {
		if (start > this.length || length > this.length) throw outOfRange();
		const bytes = encode(text, encoding);
		let count = Math.min(bytes.length, this.length - start, length);
		if (count < bytes.length && encodingOf(encoding) === 'utf8')
			while (count > 0 && ((bytes[count] as number) & 0xc0) === 0x80) count--;
		this.set(bytes.subarray(0, count), start);
		return count;
	}
}

const ofBytes = (bytes: Uint8Array): Buffer =>
	new Buffer(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength);

const outOfRange = () => Object.assign(new RangeError('a value is out of range'), {code: 'ERR_OUT_OF_RANGE'});

/** Node's name for each of DataView's that is used, how wide it is, and the range of what may be written. */
const numbers = {
	UInt16: ['Uint16', 2, 0, 0xffff],
	UInt32: ['Uint32', 4, 0, 0xffff_ffff],
	Int32: ['Int32', 4, -(2 ** 31), 2 ** 31 - 1],
	BigUInt64: ['BigUint64', 8, 0n, 2n ** 64n - 1n],
	Double: ['Float64', 8, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
} as const;

type Reader = (at: number, isLittle: boolean) => number | bigint;
type Writer = (at: number, value: number | bigint, isLittle: boolean) => void;
const views = DataView.prototype as unknown as Record<string, Reader & Writer>;

for (const [name, [kind, width, least, most]] of Object.entries(numbers)) {
	const read = views[`get${kind}`] as Reader;
	const write = views[`set${kind}`] as Writer;
	for (const end of ['LE', 'BE']) {
		const isLittle = end === 'LE';
		const reader = function (this: Buffer, at = 0) {
			return read.call(viewOf(this), at, isLittle);
		};
		const writer = function (this: Buffer, value: number | bigint, at = 0) {
			if (value < least || value > most) throw outOfRange();
			write.call(viewOf(this), at, value, isLittle);
			return at + width;
		};
		Object.defineProperty(Buffer.prototype, `read${name}${end}`, {value: reader});
		Object.defineProperty(Buffer.prototype, `write${name}${end}`, {value: writer});
	}
}

function viewOf(buffer: Buffer): DataView {
	return new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

export const isUtf8 = (bytes: Uint8Array): boolean => host.isUtf8(bytes);

host.setBufferPrototype(Buffer.prototype);
