import {UsageError} from '../../common/errors.js';
import {refuse, type TextFormat} from '../../common/formats/text-format.js';

/** Integers that are read and changed atomically. */
export type WordType = 'i32' | 'u32' | 'i64' | 'u64';
/** How many bytes they have, and whether they can be negative. */
const shapes: Record<WordType, {bits: 32 | 64; isSigned: boolean}> = {
	i32: {bits: 32, isSigned: true},
	u32: {bits: 32, isSigned: false},
	i64: {bits: 64, isSigned: true},
	u64: {bits: 64, isSigned: false},
};

export const wordTypes = Object.keys(shapes) as WordType[];

export const isWordType = (type: string): type is WordType => Object.hasOwn(shapes, type);

export const widthOf = (type: WordType): 4 | 8 => (shapes[type].bits === 32 ? 4 : 8);

/** The number that these bits represent. */
export function wordOf(type: WordType, bits: bigint): bigint {
	const {bits: count, isSigned} = shapes[type];
	return isSigned ? BigInt.asIntN(count, bits) : BigInt.asUintN(count, bits);
}

/** The bits as the native layer expects them. */
export const bitsOf = (value: bigint): bigint => BigInt.asIntN(64, value);

export function checkWord(type: WordType, value: bigint): void {
	if (wordOf(type, value) === value) return;
	const {bits, isSigned} = shapes[type];
	const [least, most] = isSigned
		? [-(1n << BigInt(bits - 1)), (1n << BigInt(bits - 1)) - 1n]
		: [0n, (1n << BigInt(bits)) - 1n];
	throw new UsageError(`'${value}' is not a valid ${type}: the range is ${least} to ${most}`);
}

export function checkAligned(type: string, width: number, offset: number): void {
	if (!Number.isSafeInteger(offset) || offset < 0) throw new UsageError(`${offset} is not a valid offset`);
	if (offset % width !== 0)
		throw new UsageError(`offset ${offset} is not aligned: ${type} needs a multiple of ${width}`);
}

/** `17`, `-17`, `0x11`, `-0x11` */
export function parseWord(type: WordType, text: string): bigint {
	const [, sign, digits] = /^([-+]?)(0x[0-9a-f]+|[0-9]+)$/i.exec(text) ?? [];
	if (digits === undefined)
		refuse(
			text,
			`a number (${type})`,
			text === '' ? 'it is empty' : 'digits, or 0x and hexadecimal digits, are expected',
		);
	const value = sign === '-' ? -BigInt(digits) : BigInt(digits);
	checkWord(type, value);
	return value;
}

/** `3.25`, `-1e9`, `inf`, `nan` */
export function parseDouble(text: string): number {
	const word = /^([-+]?)(inf|infinity|nan)$/i.exec(text);
	if (word) {
		const value = /^n/i.test(word[2] as string) ? Number.NaN : Number.POSITIVE_INFINITY;
		return word[1] === '-' ? -value : value;
	}
	if (!/^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?$/i.test(text))
		refuse(text, 'a number (f64)', 'digits are expected');
	return Number(text);
}

export function formatDouble(value: number): string {
	if (Number.isNaN(value)) return 'nan';
	if (!Number.isFinite(value)) return value < 0 ? '-inf' : 'inf';
	return Object.is(value, -0) ? '-0' : String(value);
}

/** A double's bits as a 64-bit word. */
export function doubleBits(value: number): bigint {
	const view = new DataView(new ArrayBuffer(8));
	view.setFloat64(0, value);
	return view.getBigInt64(0);
}

export function doubleOf(bits: bigint): number {
	const view = new DataView(new ArrayBuffer(8));
	view.setBigUint64(0, bits);
	return view.getFloat64(0);
}

const comparisons: Record<string, (value: bigint, wanted: bigint) => boolean> = {
	'=': (value, wanted) => value === wanted,
	'==': (value, wanted) => value === wanted,
	'!=': (value, wanted) => value !== wanted,
	'>': (value, wanted) => value > wanted,
	'>=': (value, wanted) => value >= wanted,
	'<': (value, wanted) => value < wanted,
	'<=': (value, wanted) => value <= wanted,
};

/** A comparison, once the type of its number is known. */
export type Condition = (type: WordType) => (value: bigint) => boolean;

/** `=5`, `!=0`, `>3`, `>=3`, `<3`, `<=3` */
export const condition: TextFormat<Condition> = {
	placeholder: 'EXPR',
	parse(text) {
		const [, operator = '', number = ''] = /^([=!<>]*)\s*(.*)$/s.exec(text) ?? [];
		const compare = Object.hasOwn(comparisons, operator) ? comparisons[operator] : undefined;
		if (!compare) refuse(text, 'a condition', 'one of = != > >= < <= and a number are expected, such as >3');
		if (number === '') refuse(text, 'a condition', 'the number is missing');
		return (type) => {
			const wanted = parseWord(type, number);
			return (value) => compare(value, wanted);
		};
	},
};
