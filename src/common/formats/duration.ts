import {refuse, type TextFormat} from './text-format.js';

const milliseconds: Record<string, number> = {ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000};
const mostMs = 3650 * 86_400_000;

/** `5`, `0.25`, `250ms`, `1.5s`, `10m`, `2h`, `1d`: a decimal number is seconds. The value is in milliseconds, rounded up. */
export const duration: TextFormat<number> = {
	placeholder: 'DURATION',
	parse(text) {
		if (text === '') refuse(text, 'a duration', 'it is empty');
		if (/^[-+]/.test(text)) refuse(text, 'a duration', text.startsWith('-') ? 'it is negative' : 'no sign is expected');
		const [, number, unit] = /^([0-9]+\.?[0-9]*|\.[0-9]+)(.*)$/s.exec(text) ?? [];
		if (number === undefined || unit === undefined) refuse(text, 'a duration', 'a number is expected first');
		const factor = unit === '' ? 1000 : milliseconds[unit];
		if (factor === undefined || !Object.hasOwn({...milliseconds, '': 0}, unit))
			refuse(text, 'a duration', `unknown unit '${unit}' (use ms, s, m, h or d)`);
		const value = Math.ceil(Number((Number(number) * factor).toFixed(6)));
		if (value > mostMs) refuse(text, 'a valid duration', 'the maximum is 3650d');
		return value;
	},
};

/** 1234 ms as a person reads it: `1.2s`, `250ms`, `2m05s`, `1h02m`, `3d04h`. */
export function formatDuration(ms: number): string {
	const pad = (value: number) => String(value).padStart(2, '0');
	if (ms < 1000) return `${Math.round(ms)}ms`;
	if (ms < 59_950) return `${(ms / 1000).toFixed(1)}s`;
	const seconds = Math.round(ms / 1000);
	if (seconds < 3600) return `${Math.floor(seconds / 60)}m${pad(seconds % 60)}s`;
	const minutes = Math.floor(seconds / 60);
	if (minutes < 1440) return `${Math.floor(minutes / 60)}h${pad(minutes % 60)}m`;
	const hours = Math.floor(minutes / 60);
	return `${Math.floor(hours / 24)}d${pad(hours % 24)}h`;
}
