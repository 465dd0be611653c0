import {quoted, SystemError, UsageError} from '../common/errors.js';
import {jsonRecord} from '../common/framing/framing.js';
import {print, printDone, printLine} from '../common/output.js';
import type {Segment} from '../objects/segment/segment.js';
import {formatDouble, isWordType, parseDouble, parseWord, type WordType} from '../objects/segment/word.js';

/** The types of a value at an offset. Integers and f64 are read and stored atomically, str and hex are not. */
export type ValueType = WordType | 'f64' | 'str' | 'hex';

export const defaultType = 'i64';

/** Maximum for values that have to be held in memory as a whole; `ipc-shm read` has no such limit. */
const mostBytes = 16 * 1024 ** 2;
const pieceBytes = 4096;

/** A value as it is printed, and as JSON. */
export interface Shown {
	/** Bytes if it may be anything. */
	text: string | Buffer;
	/** Already JSON: a number of 64 bits has more digits than a JavaScript number can keep. */
	json: string;
}

export const showWord = (value: bigint): Shown => ({text: String(value), json: String(value)});

const showDouble = (value: number): Shown => {
	const text = formatDouble(value);
	return {text, json: Number.isFinite(value) ? text : `"${text}"`};
};

const showText = (bytes: Buffer): Shown => {
	const record = jsonRecord(bytes);
	return {text: bytes, json: 'data' in record ? JSON.stringify(record.data) : JSON.stringify(record)};
};

const showHex = (bytes: Buffer): Shown => ({text: bytes.toString('hex'), json: `"${bytes.toString('hex')}"`});

/** The value at an offset. A str without a length ends before the first NUL, a hex at the segment's end. */
export function readValue(segment: Segment, type: ValueType, offset: number, length: number | undefined): Shown {
	if (isWordType(type)) return showWord(segment.load(type, offset));
	if (type === 'f64') return showDouble(segment.loadDouble(offset));
	const {size} = segment;
	if (offset + (length ?? 0) > size) throw segment.beyond('read', offset, length ?? 0, size);
	const wanted = length ?? size - offset;
	if (type === 'str' && length === undefined) return showText(readText(segment, offset));
	if (wanted > mostBytes)
		throw new SystemError(
			`cannot read ${quoted(segment.shownName)}: ${wanted} bytes are too many for a value, which has ${mostBytes} at most (use --length, or ipc-shm read)`,
		);
	const bytes = segment.readBytes(offset, wanted);
	return type === 'str' ? showText(bytes) : showHex(bytes);
}

function readText(segment: Segment, offset: number): Buffer {
	const pieces: Buffer[] = [];
	for (let at = offset; ; at += pieceBytes) {
		const piece = segment.readBytes(at, pieceBytes);
		const end = piece.indexOf(0);
		pieces.push(end < 0 ? piece : piece.subarray(0, end));
		if (end >= 0 || piece.length < pieceBytes) return Buffer.concat(pieces);
		if (at - offset > mostBytes)
			throw new SystemError(
				`cannot read ${quoted(segment.shownName)}: the text has no end within ${mostBytes} bytes (use --length)`,
			);
	}
}

/** Parses the value for a type; the result stores it and returns the old and the new value. */
export function parseStore(
	type: ValueType,
	text: string,
): (segment: Segment, offset: number) => {before: Shown; after: Shown} {
	if (isWordType(type)) {
		const value = parseWord(type, text);
		return (segment, offset) => ({
			before: showWord(segment.exchange(type, offset, value)),
			after: showWord(value),
		});
	}
	if (type === 'f64') {
		const value = parseDouble(text);
		return (segment, offset) => ({
			before: showDouble(segment.exchangeDouble(offset, value)),
			after: showDouble(value),
		});
	}
	const bytes = type === 'hex' ? parseHex(text) : Buffer.from(text);
	const show = type === 'hex' ? showHex : showText;
	return (segment, offset) => {
		const before = segment.replaceBytes(offset, bytes);
		return {before: show(before), after: show(bytes)};
	};
}

function parseHex(text: string): Buffer {
	const digits = text.replace(/^0x/i, '');
	if (!/^([0-9a-f]{2})+$/i.test(digits))
		throw new UsageError(`'${text}' is not a value (hex): pairs of hexadecimal digits are expected`);
	return Buffer.from(digits, 'hex');
}

export function printValue({text, json}: Shown, asJson: boolean): void {
	if (asJson) printLine(`{"value":${json}}`);
	else if (typeof text === 'string') printLine(text);
	else print(Buffer.concat([text, Buffer.from('\n')]));
}

export function printChange(before: Shown, after: Shown, asJson: boolean): void {
	const done = 'the value has been changed';
	if (asJson) printDone(done, changeAsJson(before, after));
	// Texts may contain anything: on one line they could not be told apart.
	else if (typeof before.text === 'string') printDone(done, `${before.text} ${after.text}`);
}

export const changeAsJson = (before: Shown, after: Shown): string => `{"old":${before.json},"new":${after.json}}`;
