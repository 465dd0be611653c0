import {printable, UsageError} from '../common/errors.js';
import {duration} from '../common/formats/duration.js';
import {type Address, formatAddress} from '../common/formats/object-name.js';
import {wholeNumber} from '../common/formats/text-format.js';
import {mostUnits} from '../objects/semaphore/semaphore.js';
import {semaphoreName} from '../objects/semaphore/semaphores.js';

/** A line is a word, a name of 251 bytes and a number. */
export const mostLineBytes = 4096;

/** What a line asks for. */
export type Request =
	| {kind: 'nothing'}
	| {kind: 'refused'; why: string}
	| (Named & ({kind: 'wait'; timeoutMs: number} | {kind: 'post'; units: number} | {kind: 'value'}));

interface Named {
	address: Address;
	/** One for each semaphore. */
	name: string;
}

const kindOf: Record<string, 'wait' | 'post' | 'value'> = {
	wait: 'wait',
	acquire: 'wait',
	post: 'post',
	release: 'post',
	notify: 'post',
	value: 'value',
};

const count = wholeNumber(1, mostUnits);

/** @param line as latin1, a byte a character: that is the fastest, and loses nothing. */
export function understand(line: string): Request {
	const [word, ...rest] = Buffer.from(line, 'latin1')
		.toString()
		.replace(/^[ \t]+|[ \t]+$/g, '')
		.split(/[ \t]+/) as [string, ...string[]];
	if (word === '' || word.startsWith('#')) return {kind: 'nothing'};
	const refuse = (why: string): Request => ({kind: 'refused', why: printable(why)});
	if (line.length > mostLineBytes) return refuse(`the line is longer than ${mostLineBytes} bytes`);
	const kind = Object.hasOwn(kindOf, word) ? kindOf[word] : undefined;
	if (!kind) return refuse(`unknown command '${word}' (commands: wait, post, value)`);
	const [nameWord, number, ...more] = rest;
	if (nameWord === undefined) return refuse(`NAME is missing: ${word} NAME`);
	const surplus = kind === 'value' ? number : more[0];
	if (surplus !== undefined) return refuse(`'${surplus}' is one word too many`);
	try {
		const address = semaphoreName.parse(nameWord);
		const name = address.kind === 'cluster' ? nameWord : formatAddress(address);
		if (kind === 'value') return {kind, address, name};
		if (kind === 'wait') return {kind, address, name, timeoutMs: number === undefined ? -1 : duration.parse(number)};
		return {kind, address, name, units: number === undefined ? 1 : count.parse(number)};
	} catch (error) {
		if (error instanceof UsageError) return refuse(error.message);
		throw error;
	}
}
