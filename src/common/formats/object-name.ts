import {quoted, UsageError} from '../errors.js';
import {type ClusterAddress, looksLikeCluster, parseClusterAddress, withoutPassword} from './cluster-address.js';
import {hasOddBytes} from './odd-bytes.js';

/** What a name on the command line stands for. */
export type Address =
	/** A local object of that name; the leading slash, if there was one, is gone. */
	| {kind: 'name'; name: string}
	/** A path in the file system. */
	| {kind: 'path'; path: string}
	/** An abstract socket; the `@` is gone. */
	| {kind: 'abstract'; name: string}
	/** An object on a cluster. */
	| ClusterAddress;

/** An address on this machine. */
export type LocalAddress = Exclude<Address, ClusterAddress>;

const longestName = 255;
const longestPath = 4095;

function refuse(text: string, why: string): never {
	throw new UsageError(`invalid name ${quoted(withoutPassword(text))}: ${why}`);
}

/** Why no object can be found by this text, a name or a path; undefined where one can. */
export function textProblem(text: string): string | undefined {
	// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
	if (/[\u0000-\u001f\u007f]/.test(text)) return 'it contains a control character';
	// Node has put this in place of bytes that are not UTF-8: another object than the one that was meant.
	if (text.includes('\ufffd') || hasOddBytes(text)) return 'it is not valid UTF-8';
	return undefined;
}

function checkText(text: string): void {
	if (text === '') refuse(text, 'it is empty');
	// A file can have any name.
	const problem = textProblem(text.lastIndexOf('/') > 0 ? text.replace(/[\udc80-\udcff]/gu, '') : text);
	if (problem) refuse(text, problem);
}

function checkPart(text: string, part: string): void {
	if (part === '.' || part === '..') refuse(text, `'${part}' is a folder`);
	const length = Buffer.byteLength(part);
	if (length > longestName) refuse(text, `it has ${length} bytes, the maximum is ${longestName}`);
}

/** Reads a name as all six commands do: see ipc-tools(7), NAMES. */
export function parseAddress(text: string): Address {
	checkText(text);
	if (looksLikeCluster(text)) return parseClusterAddress(text);
	if (text.startsWith('@')) {
		if (text.length === 1) refuse(text, 'nothing follows the @');
		return {kind: 'abstract', name: text.slice(1)};
	}
	const bare = text.startsWith('/') ? text.slice(1) : text;
	if (!bare.includes('/')) {
		if (bare === '') refuse(text, 'nothing follows the slash');
		checkPart(text, bare);
		return {kind: 'name', name: bare};
	}
	if (text.endsWith('/')) refuse(text, 'it ends with a slash');
	if (text.startsWith('//')) refuse(text, 'it starts with two slashes');
	checkPart(text, text.slice(text.lastIndexOf('/') + 1));
	if (Buffer.byteLength(text) > longestPath) refuse(text, `it is longer than ${longestPath} bytes`);
	return {kind: 'path', path: text};
}

/** Reads a name of an object that has to be on this machine. */
export function parseLocalAddress(name: string | Address): LocalAddress {
	const address = typeof name === 'string' ? parseAddress(name) : name;
	if (address.kind !== 'cluster') return address;
	throw new UsageError(`'${address.shown}' is on a cluster, and an object on this machine is expected`);
}

/** An address as messages show it: the way it is written on the command line. */
export function formatAddress(address: Address): string {
	switch (address.kind) {
		case 'name':
			return address.name;
		case 'path':
			return address.path;
		case 'abstract':
			return `@${address.name}`;
		case 'cluster':
			return address.shown;
	}
}
