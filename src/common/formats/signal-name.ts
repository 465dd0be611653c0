import {native} from '../../native/index.js';
import {UsageError} from '../errors.js';
import type {TextFormat} from './text-format.js';

/** What a signal does to a process that has made no arrangement for it. signal(7) */
export type DefaultAction = 'terminate' | 'core' | 'ignore' | 'stop' | 'continue';

export interface SignalRow {
	number: number;
	name: string;
	action: DefaultAction;
	description: string;
}

/** The numbers are those of x64, arm64 and most others; alpha, mips and sparc differ, and Node does not run there. */
const standard: readonly (readonly [number, string, DefaultAction, string])[] = [
	[1, 'HUP', 'terminate', 'terminal closed; daemons reload their configuration'],
	[2, 'INT', 'terminate', 'interrupt from the keyboard (Ctrl-C)'],
	[3, 'QUIT', 'core', 'quit from the keyboard (Ctrl-\\)'],
	[4, 'ILL', 'core', 'illegal instruction'],
	[5, 'TRAP', 'core', 'trace or breakpoint'],
	[6, 'ABRT', 'core', 'abort(3)'],
	[7, 'BUS', 'core', 'bus error: memory that does not exist'],
	[8, 'FPE', 'core', 'arithmetic error, such as division by zero'],
	[9, 'KILL', 'terminate', 'kill at once; cannot be caught, blocked or ignored'],
	[10, 'USR1', 'terminate', 'user-defined'],
	[11, 'SEGV', 'core', 'segmentation fault: memory that must not be used'],
	[12, 'USR2', 'terminate', 'user-defined'],
	[13, 'PIPE', 'terminate', 'wrote to a pipe or socket without a reader'],
	[14, 'ALRM', 'terminate', 'timer of alarm(2) expired'],
	[15, 'TERM', 'terminate', 'terminate'],
	[16, 'STKFLT', 'terminate', 'stack fault on a coprocessor; unused'],
	[17, 'CHLD', 'ignore', 'a child ended, stopped or continued'],
	[18, 'CONT', 'continue', 'continue, if stopped'],
	[19, 'STOP', 'stop', 'stop; cannot be caught, blocked or ignored'],
	[20, 'TSTP', 'stop', 'stop from the keyboard (Ctrl-Z)'],
	[21, 'TTIN', 'stop', 'read from the terminal in the background'],
	[22, 'TTOU', 'stop', 'wrote to the terminal in the background'],
	[23, 'URG', 'ignore', 'urgent data on a socket'],
	[24, 'XCPU', 'core', 'used more processor time than RLIMIT_CPU'],
	[25, 'XFSZ', 'core', 'made a file larger than RLIMIT_FSIZE'],
	[26, 'VTALRM', 'terminate', 'timer of processor time expired'],
	[27, 'PROF', 'terminate', 'profiling timer expired'],
	[28, 'WINCH', 'ignore', 'terminal size changed'],
	[29, 'IO', 'terminate', 'a descriptor is ready'],
	[30, 'PWR', 'terminate', 'power failure'],
	[31, 'SYS', 'core', 'unknown or forbidden system call'],
];

const otherNames: Record<string, number> = {IOT: 6, POLL: 29, CLD: 17};

/** The first real-time signal, as the C library of this system has it; what is below belongs to the library. */
export const rtmin = (): number => native.sigrtmin();
export const rtmax = 64;

const numbers = new Map<string, number>([
	...standard.map(([number, name]) => [name, number] as const),
	...Object.entries(otherNames),
]);

/** `TERM`, `RTMIN+3`; those of the upper half count from the end, as shells have it: `RTMAX-1`. */
export function signalName(number: number): string {
	const row = standard[number - 1];
	if (row) return row[1];
	const first = rtmin();
	if (number < first || number > rtmax) return String(number);
	if (number <= Math.floor((first + rtmax) / 2)) return number === first ? 'RTMIN' : `RTMIN+${number - first}`;
	return number === rtmax ? 'RTMAX' : `RTMAX-${rtmax - number}`;
}

/** All that have a name, real-time signals included. */
export function allSignals(): SignalRow[] {
	const rows: SignalRow[] = standard.map(([number, name, action, description]) => ({
		number,
		name,
		action,
		description,
	}));
	for (let number = rtmin(); number <= rtmax; number++)
		rows.push({number, name: signalName(number), action: 'terminate', description: 'real-time: queued, with a value'});
	return rows;
}

/** The number a name stands for, with or without SIG in front, in either case; undefined for none. */
function numberOfName(text: string): number | undefined {
	const name = text.toUpperCase().replace(/^SIG(?=.)/, '');
	const known = numbers.get(name);
	if (known !== undefined) return known;
	const [, end, distance] = /^(RTMIN(?=\+|$)|RTMAX(?=-|$))(?:[+-]([0-9]+))?$/.exec(name) ?? [];
	if (end === undefined) return undefined;
	const number = end === 'RTMIN' ? rtmin() + Number(distance ?? 0) : rtmax - Number(distance ?? 0);
	return number >= rtmin() && number <= rtmax ? number : undefined;
}

/** @throws UsageError with the reason, and what might have been meant. */
export function parseSignal(text: string): number {
	if (text === '') throw new UsageError("'' is not a signal: it is empty");
	if (/^[0-9]+$/.test(text)) {
		const number = Number(text);
		if (number > rtmax) throw new UsageError(`'${text}' is not a signal: the highest is ${rtmax}`);
		return number;
	}
	const number = numberOfName(text);
	if (number !== undefined) return number;
	if (/^(SIG)?RT(MIN|MAX)[+-][0-9]+$/i.test(text))
		throw new UsageError(
			`'${text}' is not a signal: real-time signals are RTMIN to RTMIN+${rtmax - rtmin()}, which is RTMAX, and RTMAX-${rtmax - rtmin()} to RTMAX`,
		);
	const error = new UsageError(`'${text}' is not a signal`);
	error.meant = {word: text.toUpperCase().replace(/^SIG/, ''), candidates: [...numbers.keys(), 'RTMIN', 'RTMAX']};
	throw error;
}

/** A signal by name or number; 0, which only asks whether a process is there, has to be asked for. */
export const signalFormat = (settings: {zero?: boolean; receivable?: boolean} = {}): TextFormat<number> => ({
	placeholder: 'SIGNAL',
	words: [...numbers.keys()],
	parse(text) {
		const number = parseSignal(text);
		if (number === 0 && !settings.zero) throw new UsageError(`'${text}' is not a signal: the lowest is 1`);
		if (settings.receivable) checkReceivable(number);
		return number;
	},
});

/** @throws UsageError for those that no program gets to see. */
export function checkReceivable(number: number): void {
	const name = signalName(number);
	if (name === 'KILL' || name === 'STOP') throw new UsageError(`${name} cannot be received: no process can catch it`);
	if (number > 31 && number < rtmin())
		throw new UsageError(`signal ${number} cannot be received: the C library reserves it`);
}
