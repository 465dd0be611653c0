import {nodeOnly} from './node-only.js';

/** node:net, as far as the commands use it: what an address looks like. */

const octet = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
const v4 = new RegExp(`^${octet}(?:\\.${octet}){3}$`);

export const isIPv4 = (text: string): boolean => v4.test(text);

/** Eight groups, one run of zeros as `::`, the last two groups perhaps in dots, and a zone behind `%`. */
export function isIPv6(text: string): boolean {
	const [address, zone, ...rest] = text.split('%');
	if (address === undefined || rest.length > 0 || (zone !== undefined && !/^[0-9a-zA-Z-.:]+$/.test(zone))) return false;
	const halves = address.split('::');
	if (halves.length > 2) return false;
	let groups = 0;
	for (const [which, half] of halves.entries()) {
		if (half === '') continue;
		const parts = half.split(':');
		for (const [i, part] of parts.entries()) {
			const isLast = which === halves.length - 1 && i === parts.length - 1;
			if (isLast && isIPv4(part)) groups += 2;
			else if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups++;
			else return false;
		}
	}
	return halves.length === 2 ? groups < 8 : groups === 8;
}

export const isIP = (text: string): 0 | 4 | 6 => (isIPv4(text) ? 4 : isIPv6(text) ? 6 : 0);

export const Socket = nodeOnly('net.Socket');
