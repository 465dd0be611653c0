import {duration} from './formats/duration.js';
import {mode as modeFormat} from './formats/mode.js';
import {anyText, choice, wholeNumber} from './formats/text-format.js';

/**
 * Options that mean the same in all six commands, declared once. A verb takes those that make sense for it.
 */
export const timeout = {short: 't', value: duration, help: 'give up after DURATION (status 124)'} as const;
export const timeoutStatus = {
	short: 'E',
	value: wholeNumber(0, 255),
	help: 'exit with status N after a timeout (default 124)',
} as const;
export const nonblock = {short: 'n', help: 'do not wait: exit with status 3 instead'} as const;
export const mode = {
	only: 'local',
	short: 'm',
	value: modeFormat,
	help: 'permissions of a new object (default 0600)',
} as const;
export const exclusive = {short: 'x', help: 'fail if the object already exists'} as const;
export const follow = {short: 'f', help: 'keep running; do not stop after the first message'} as const;
export const count = {short: 'c', value: wholeNumber(1), help: 'stop after N'} as const;
export const all = {short: 'a', help: 'receive all there is, then stop'} as const;
export const jobs = {short: 'j', value: wholeNumber(1, 1024), help: 'run up to N commands in parallel'} as const;
export const json = {help: 'print JSON'} as const;
export const progress = {help: 'show bytes, rate and time on stderr'} as const;
export const readyFd = {
	value: wholeNumber(0, 2 ** 20),
	help: 'write a newline to descriptor N when waiting begins',
} as const;
export const noHeadings = {help: 'do not print a heading line'} as const;
/** With the columns of the table. */
export const output = (columns: readonly {name: string}[]) =>
	({
		short: 'o',
		value: {...anyText('COLUMNS'), words: columns.map(({name}) => name), isList: true},
		help: 'print only these columns, in this order',
	}) as const;

/** What every verb takes. */
export const everywhere = {
	quiet: {short: 'q', help: 'do not print notices on stderr'},
	verbose: {short: 'v', help: 'print more details on stderr'},
	color: {value: choice('WHEN', 'auto', 'always', 'never'), help: 'use color: auto (default), always or never'},
} as const;
