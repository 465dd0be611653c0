import {fstatSync, readFileSync} from 'node:fs';
import {native, POLLIN} from '../native/index.js';
import {explain, hasCode} from './errors.js';
import {stdin} from './output.js';
import {isBroken, PollSet} from './waiting.js';

const poll = new PollSet<'input' | 'watched'>();

/**
 * What stdin has, into a buffer from an offset on; 0 at its end. Waits as long as that takes, but not for a reader of
 * `watched` (-1: none) that has gone: 'gone'.
 */
export function readInput(buffer: Buffer, offset: number): number;
export function readInput(buffer: Buffer, offset: number, watched: number): number | 'gone';
export function readInput(buffer: Buffer, offset: number, watched = -1): number | 'gone' {
	poll.watch('input', stdin, POLLIN);
	poll.watch('watched', watched);
	for (;;) {
		poll.wait(-1);
		if (isBroken(poll.eventsOf('watched'))) return 'gone';
		const count = readInputNow(buffer, offset);
		if (count >= 0) return count;
	}
}

/** The same once stdin is ready; -1 when it was not after all. */
export function readInputNow(buffer: Buffer, offset: number): number {
	try {
		return native.read(stdin, buffer, offset, buffer.length - offset);
	} catch (error) {
		throw explain('cannot read stdin', error, {EISDIR: 'it is a folder', EBADF: 'it is not open for reading'});
	}
}

/** How many bytes stdin still has, where that is known: when it is a file. */
export function inputBytesLeft(): number | undefined {
	const status = fstatSync(stdin);
	if (!status.isFile()) return undefined;
	let position: string | undefined;
	try {
		position = /^pos:\s+([0-9]+)/.exec(readFileSync(`/proc/self/fdinfo/${stdin}`, 'utf8'))?.[1];
	} catch (error) {
		// Without /proc this cannot be known.
		if (!hasCode(error, 'ENOENT')) throw error;
	}
	return position === undefined ? undefined : Math.max(0, status.size - Number(position));
}
