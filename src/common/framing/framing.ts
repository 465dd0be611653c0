import {SystemError, UsageError} from '../errors.js';
import {choice} from '../formats/text-format.js';

/** How records are told apart in a stream: see ipc-tools(7), FRAMING. */
export type Framing = 'lines' | 'null' | 'length' | 'raw' | 'json';

/** What a record may be at most where it has to be held in memory as a whole. */
export const mostRecordBytes = 256 * 1024 ** 2;

const newline = 10;
/** The length before each record in the framing `length`. */
export const headerBytes = 4;
const mostLength = 0xffff_ffff;

/** The options by which every command that moves records lets its user choose. */
export const framingOptions = {
	framing: {
		value: choice('FRAMING', 'lines', 'null', 'length', 'raw', 'json'),
		help: 'record framing: lines, null, length, raw or json',
	},
	null: {short: '0', help: 'each record ends with a NUL (--framing null)'},
	raw: {help: 'no separators: all data is one record (--framing raw)'},
} as const;

/** What the framing options, taken together, ask for; undefined when none was given. */
export function chosenFraming(options: {
	framing?: Framing | undefined;
	null?: boolean;
	raw?: boolean;
	json?: boolean;
}): Framing | undefined {
	const wishes = new Set<Framing>();
	if (options.framing) wishes.add(options.framing);
	if (options.null) wishes.add('null');
	if (options.raw) wishes.add('raw');
	if (options.json) wishes.add('json');
	if (wishes.size > 1) throw new UsageError(`records cannot be framed as ${[...wishes].join(' and ')} at once`);
	return [...wishes][0];
}

/** The byte that ends a record, for the framings that have one. */
export function separatorOf(framing: Framing): number | undefined {
	if (framing === 'lines' || framing === 'json') return newline;
	return framing === 'null' ? 0 : undefined;
}

/** A record that its framing cannot carry, or a stream that breaks it; the message names the framing and the reason. */
export class FramingError extends SystemError {}

/** One record in the form in which it is sent on a stream. */
export function encodeRecord(framing: Framing, record: Uint8Array): Buffer {
	const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength);
	if (framing === 'raw') return bytes;
	if (framing === 'json') return Buffer.from(`${JSON.stringify(jsonRecord(bytes))}\n`);
	if (framing === 'length') {
		if (bytes.length > mostLength) throw new FramingError('a record of 4 GiB or more has no 32-bit length');
		const framed = Buffer.allocUnsafe(headerBytes + bytes.length);
		framed.writeUInt32BE(bytes.length);
		bytes.copy(framed, headerBytes);
		return framed;
	}
	const separator = separatorOf(framing) as number;
	if (bytes.includes(separator))
		throw new FramingError(
			`a record contains a ${framing === 'lines' ? 'newline' : 'NUL'}, which would end it (use --framing length)`,
		);
	const framed = Buffer.allocUnsafe(bytes.length + 1);
	bytes.copy(framed);
	framed[bytes.length] = separator;
	return framed;
}

let strictText: InstanceType<typeof TextDecoder> | undefined;

/** @throws TypeError for bytes that are not UTF-8 */
function decodeText(bytes: Uint8Array): string {
	strictText ??= new TextDecoder('utf-8', {fatal: true, ignoreBOM: true});
	return strictText.decode(bytes);
}

/** `{"data": text}`, or `{"base64": …}` for bytes that are not UTF-8; loses nothing either way. */
export function jsonRecord(record: Uint8Array): {data: string} | {base64: string} {
	try {
		return {data: decodeText(record)};
	} catch {
		return {base64: Buffer.from(record.buffer, record.byteOffset, record.byteLength).toString('base64')};
	}
}

export interface JsonRecord {
	data: Buffer;
	/** Whatever else the object holds, such as a priority. */
	fields: Record<string, unknown>;
}

/** The other way: one line that `jsonRecord` or a person wrote. */
export function parseJsonRecord(line: Uint8Array): JsonRecord {
	let text: string;
	try {
		text = decodeText(line);
	} catch {
		throw new FramingError('it is not valid UTF-8, as JSON must be');
	}
	let value: unknown;
	try {
		value = JSON.parse(text);
	} catch {
		throw new FramingError('it is not JSON');
	}
	if (typeof value !== 'object' || value === null || Array.isArray(value))
		throw new FramingError('it is not a JSON object with "data" or "base64"');
	const {data, base64, ...fields} = value as Record<string, unknown>;
	if (data !== undefined && base64 !== undefined) throw new FramingError('it has both "data" and "base64"');
	if (typeof data === 'string') {
		if (/\p{Surrogate}/u.test(data)) throw new FramingError('"data" contains half of a surrogate pair');
		return {data: Buffer.from(data), fields};
	}
	if (typeof base64 === 'string') {
		const bytes = Buffer.from(base64, 'base64');
		if (bytes.toString('base64').replace(/=+$/, '') !== base64.replace(/=+$/, ''))
			throw new FramingError('"base64" is not valid');
		return {data: bytes, fields};
	}
	throw new FramingError('"data" or "base64" is missing, or is not a string');
}

/**
 * Cuts a stream into records, whatever the sizes of the pieces it comes in. `json` gives the lines; parse them with
 * {@link parseJsonRecord}. Holds at most one unfinished record in memory.
 */
export class RecordDecoder {
	private pieces: Buffer[] = [];
	private held = 0;

	constructor(
		private readonly framing: Framing,
		private readonly most = mostRecordBytes,
	) {}

	/** The bytes of an unfinished record that are held back. */
	get pending(): number {
		return this.held;
	}

	/** The records that this piece completes. They are views: use them before the piece is written over. */
	*push(piece: Uint8Array): Generator<Buffer> {
		const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
		if (this.framing === 'raw') {
			this.hold(Buffer.from(bytes));
		} else if (this.framing === 'length') {
			yield* this.pushLengths(bytes);
		} else {
			yield* this.pushSeparated(bytes, separatorOf(this.framing) as number);
		}
	}

	/** The last record: the bytes after the last separator, or all bytes in `raw`. */
	*end(): Generator<Buffer> {
		if (this.framing === 'raw') {
			yield this.take();
		} else if (this.held > 0) {
			if (this.framing === 'length') throw new FramingError(this.cutOff());
			yield this.take();
		}
	}

	private *pushSeparated(bytes: Buffer, separator: number): Generator<Buffer> {
		let start = 0;
		for (let at = bytes.indexOf(separator); at >= 0; at = bytes.indexOf(separator, start)) {
			const rest = bytes.subarray(start, at);
			start = at + 1;
			if (this.held === 0) {
				yield rest;
			} else {
				this.hold(rest);
				yield this.take();
			}
		}
		if (start < bytes.length) this.hold(Buffer.from(bytes.subarray(start)));
	}

	private *pushLengths(bytes: Buffer): Generator<Buffer> {
		let rest = bytes;
		while (rest.length > 0) {
			const wanted = this.wanted();
			if (this.held === 0 && rest.length >= headerBytes) {
				const length = this.checkLength(rest.readUInt32BE());
				if (rest.length >= headerBytes + length) {
					yield rest.subarray(headerBytes, headerBytes + length);
					rest = rest.subarray(headerBytes + length);
					continue;
				}
			}
			const part = rest.subarray(0, wanted - this.held);
			this.hold(Buffer.from(part));
			rest = rest.subarray(part.length);
			if (this.held >= headerBytes && this.held === this.wanted()) yield this.take().subarray(headerBytes);
		}
	}

	/** How many bytes the held record has in all, as far as that is known. */
	private wanted(): number {
		if (this.held < headerBytes) return headerBytes;
		if ((this.pieces[0] as Buffer).length < headerBytes) this.pieces = [Buffer.concat(this.pieces)];
		return headerBytes + this.checkLength((this.pieces[0] as Buffer).readUInt32BE());
	}

	private checkLength(length: number): number {
		if (length > this.most) throw new FramingError(`a record announces ${length} bytes, more than ${this.most}`);
		return length;
	}

	private cutOff(): string {
		return this.held < headerBytes
			? `the last record is incomplete: ${this.held} of the ${headerBytes} bytes of its length arrived`
			: `the last record is incomplete: ${this.held - headerBytes} of ${this.wanted() - headerBytes} bytes arrived`;
	}

	private hold(piece: Buffer): void {
		if (piece.length === 0) return;
		this.held += piece.length;
		if (this.held > this.most + headerBytes)
			throw new FramingError(`a record is longer than ${this.most} bytes, too long to be held in memory`);
		this.pieces.push(piece);
	}

	private take(): Buffer {
		const record = this.pieces.length === 1 ? (this.pieces[0] as Buffer) : Buffer.concat(this.pieces);
		this.pieces = [];
		this.held = 0;
		return record;
	}
}
