import {duration} from './formats/duration.js';
import {mode as modeFormat} from './formats/mode.js';
import {anyText, choice, wholeNumber} from './formats/text-format.js';

/**
 * Options that mean the same in all six commands, declared once. A verb takes those that make sense for it.
 */
export const timeout = {short: 't', value: duration, help: 'give up after this long (status 124)'} as const;
export const timeoutStatus = {
	short: 'E',
	value: wholeNumber(0, 255),
	help: 'status after a timeout instead of 124',
} as const;
export const nonblock = {short: 'n', help: 'never wait: status 3 when it would have to'} as const;
export const mode = {short: 'm', value: modeFormat, help: 'permissions of what is made (default 0600)'} as const;
export const exclusive = {short: 'x', help: 'fail when it exists already'} as const;
export const follow = {short: 'f', help: 'go on for ever'} as const;
export const count = {short: 'c', value: wholeNumber(1), help: 'end after so many'} as const;
export const json = {help: 'print JSON'} as const;
export const progress = {help: 'show bytes, rate and time on stderr'} as const;
export const readyFd = {value: wholeNumber(0, 2 ** 20), help: 'write a newline there once waiting has begun'} as const;
export const noHeadings = {help: 'no heading line'} as const;
export const output = {short: 'o', value: anyText('COLUMNS'), help: 'these columns, in this order'} as const;

/** What every verb takes. */
export const everywhere = {
	quiet: {short: 'q', help: 'say less on stderr'},
	verbose: {short: 'v', help: 'say more on stderr'},
	color: {value: choice('WHEN', 'auto', 'always', 'never'), help: 'colour: auto, always or never'},
} as const;
