import {signalName} from '../../common/formats/signal-name.js';
import {SIGCHLD} from '../../common/process/signals.js';
import {native} from '../../native/index.js';

/** A received signal, with all the kernel tells about it. */
export interface ReceivedSignal {
	/** Its name without SIG: `TERM`, `RTMIN+3`. */
	signal: string;
	/**
	 * The sender, as seen from this namespace; 0 for the kernel, a timer, or a process in a namespace that we cannot see.
	 */
	pid: number;
	/** The real user id of the sender. */
	uid: number;
	/** The integer that was queued with it, from -2147483648 to 2147483647; null if there is none. */
	value: number | null;
	/** How it was sent: `USER` (kill), `QUEUE` (sigqueue), `TKILL`, `KERNEL`, `TIMER`, `MESGQ` and others; sigaction(2). */
	code: string;
	/** The sender's host as it claims, if the signal came through a cluster; so are then pid and uid. */
	host?: string;
}

/** How many numbers `readSignals` writes for each signal. */
export const fieldsPerSignal = 6;

export const SI_USER = 0;
export const SI_QUEUE = -1;
/** Ours: sent through a cluster without a value. A thread cannot send itself SI_USER by rt_sigqueueinfo(2). */
export const SI_DISTANT = -100;
export const SI_KERNEL = 0x80;

const codeNames: Record<number, string> = {
	[SI_USER]: 'USER',
	[SI_QUEUE]: 'QUEUE',
	[SI_DISTANT]: 'USER',
	[-2]: 'TIMER',
	[-3]: 'MESGQ',
	[-4]: 'ASYNCIO',
	[-5]: 'SIGIO',
	[-6]: 'TKILL',
	[SI_KERNEL]: 'KERNEL',
};
const childCodeNames = ['EXITED', 'KILLED', 'DUMPED', 'TRAPPED', 'STOPPED', 'CONTINUED'];

/** The ways of sending that carry a value: sigqueue(3), timer_create(2), mq_notify(3) and asynchronous I/O. */
const carriesValue = (code: number): boolean => code <= SI_QUEUE && code >= -4;

const codeName = (number: number, code: number): string =>
	codeNames[code] ?? (number === SIGCHLD ? childCodeNames[code - 1] : undefined) ?? String(code);

/** Names are needed for every signal received. */
const names = Array.from({length: 65}, (_, number) => signalName(number));

/** One signal from the numbers that the native layer fills in, unchanged. */
export interface RawSignal {
	number: number;
	code: number;
	pid: number;
	uid: number;
	value: number;
	/** Of a signal that came through a cluster: what stands for the host. */
	mark: number;
}

export function rawSignal(fields: Int32Array, at: number): RawSignal {
	const start = fieldsPerSignal * at;
	return {
		number: fields[start] as number,
		code: fields[start + 1] as number,
		pid: fields[start + 2] as number,
		uid: (fields[start + 3] as number) >>> 0,
		value: fields[start + 4] as number,
		mark: (fields[start + 1] as number) < 0 ? (fields[start + 5] as number) : 0,
	};
}

export function receivedSignal({number, code, pid, uid, value}: RawSignal): ReceivedSignal {
	return {
		signal: names[number] as string,
		pid,
		uid,
		value: carriesValue(code) ? value : null,
		code: codeName(number, code),
	};
}

/** The most bytes of a line that `writeSignals` writes, and those of a name that it is given. */
export const mostLineBytes = 64;
const nameBytes = 16;
const paddedNames = Buffer.from(names.map((name) => name.padEnd(nameBytes, '\0')).join(''));

/**
 * `SIGNAL pid uid value` for each of the first `count`, with a dash if there is no value; returns how many bytes. The buffer has
 * {@link mostLineBytes} for each. In C, since there may be millions.
 */
export const writeLines = (bytes: Uint8Array, fields: Int32Array, count: number): number =>
	native.writeSignals(bytes, fields, count, paddedNames);
