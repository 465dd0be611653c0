import {countOf} from '../errors.js';
import {refuse, type TextFormat} from './text-format.js';

const units: Record<string, number> = {
	'': 1,
	B: 1,
	K: 1024,
	M: 1024 ** 2,
	G: 1024 ** 3,
	T: 1024 ** 4,
	KiB: 1024,
	MiB: 1024 ** 2,
	GiB: 1024 ** 3,
	TiB: 1024 ** 4,
	KB: 1000,
	MB: 1000 ** 2,
	GB: 1000 ** 3,
	TB: 1000 ** 4,
};

/** `4096`, `64K`, `1.5M`, `1MiB` (powers of 1024), `1MB` (powers of 1000). The value is in bytes. */
export const size: TextFormat<number> = {
	placeholder: 'SIZE',
	parse(text) {
		if (text === '') refuse(text, 'a size', 'it is empty');
		if (/^[-+]/.test(text)) refuse(text, 'a size', text.startsWith('-') ? 'it is negative' : 'no sign is expected');
		const [, number, unit] = /^([0-9]+\.?[0-9]*|\.[0-9]+)(.*)$/s.exec(text) ?? [];
		if (number === undefined || unit === undefined) refuse(text, 'a size', 'a number is expected first');
		const factor = Object.hasOwn(units, unit) ? units[unit] : undefined;
		if (factor === undefined)
			refuse(text, 'a size', `unknown unit '${unit}' (use K, M, G, T, KiB, MiB, GiB, TiB, KB, MB, GB or TB)`);
		const value = Number(number) * factor;
		if (!Number.isInteger(value)) refuse(text, 'a size', 'it is not a whole number of bytes');
		if (value > Number.MAX_SAFE_INTEGER) refuse(text, 'a valid size', 'it is too large');
		return value;
	},
};

/** Both, for messages: `17 bytes`, `4.0K (4096 bytes)` */
export const sizeAndBytes = (bytes: number): string =>
	bytes < 1024 ? countOf(bytes, 'byte') : `${formatSize(bytes)} (${bytes} bytes)`;

/** Bytes as a person reads them: `17`, `4.0K`, `1.5M`, `12G`. */
export function formatSize(bytes: number): string {
	if (bytes < 1024) return String(bytes);
	let value = bytes;
	let unit = '';
	for (const next of ['K', 'M', 'G', 'T', 'P']) {
		if (value < 1023.95) break;
		value /= 1024;
		unit = next;
	}
	return `${value < 9.95 ? value.toFixed(1) : Math.round(value)}${unit}`;
}
