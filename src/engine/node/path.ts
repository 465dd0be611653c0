import {host} from './host.js';

/** node:path for POSIX, as far as the commands use it. path.posix */

/** Without `.`, `..` and empty parts. */
function normalizeParts(text: string, isAbsolute: boolean): string {
	const parts: string[] = [];
	for (const part of text.split('/')) {
		if (part === '' || part === '.') continue;
		if (part !== '..') parts.push(part);
		else if (parts.length > 0 && parts.at(-1) !== '..') parts.pop();
		else if (!isAbsolute) parts.push(part);
	}
	return parts.join('/');
}

export function join(...parts: string[]): string {
	const text = parts.filter((part) => part !== '').join('/');
	if (text === '') return '.';
	const isAbsolute = text.startsWith('/');
	const joined = normalizeParts(text, isAbsolute);
	const end = text.endsWith('/') && joined !== '' ? '/' : '';
	if (isAbsolute) return `/${joined}${end}`;
	return joined === '' ? (text.endsWith('/') ? './' : '.') : joined + end;
}

export function resolve(...parts: string[]): string {
	let text = '';
	for (let i = parts.length - 1; i >= 0 && !text.startsWith('/'); i--)
		if (parts[i] !== '') text = text === '' ? (parts[i] as string) : `${parts[i]}/${text}`;
	if (!text.startsWith('/')) text = `${currentFolder()}/${text}`;
	return `/${normalizeParts(text, true)}`;
}

function currentFolder(): string {
	const folder = host.cwd();
	return typeof folder === 'string' ? folder : '/';
}

export function basename(path: string): string {
	const trimmed = path.replace(/\/+$/, '');
	return trimmed.slice(trimmed.lastIndexOf('/') + 1);
}

/** Several slashes in front of the last part lose one. */
export function dirname(path: string): string {
	const end = path.replace(/\/+$/, '').lastIndexOf('/');
	if (end > 0) return path.startsWith('/') && end === 1 ? '//' : path.slice(0, end);
	return path.startsWith('/') ? '/' : '.';
}
