import {fstatSync, readdirSync, readlinkSync} from 'node:fs';
import {native, O_ACCMODE, O_RDONLY, O_WRONLY, POLLOUT} from '../native/index.js';
import {explain, hasCode, printable, SystemError} from './errors.js';
import {EndBySignal} from './exit.js';
import {isReady} from './waiting.js';

/** The only place that writes to the standard streams. */

export const stdin = 0;
export const stdout = 1;
const stderr = 2;
const sigpipe = 13;

let commandName = 'ipc-tools';
let isQuiet = false;
let isVerbose = false;
let colorWish: 'auto' | 'always' | 'never' = 'auto';

export function configureOutput(settings: {
	command?: string;
	quiet?: boolean;
	verbose?: boolean;
	color?: 'auto' | 'always' | 'never' | undefined;
}): void {
	commandName = settings.command ?? commandName;
	isQuiet = settings.quiet ?? isQuiet;
	isVerbose = settings.verbose ?? isVerbose;
	colorWish = settings.color ?? colorWish;
}

/** What another thread needs to write as this one does. */
export const outputSettings = () => ({command: commandName, quiet: isQuiet});

export const verbose = (): boolean => isVerbose;

const waitForRoom = (descriptor: number) => isReady(descriptor, POLLOUT, -1);

function writeAll(descriptor: number, bytes: Uint8Array): void {
	for (let offset = 0; offset < bytes.length; ) {
		const written = native.write(descriptor, bytes, offset, bytes.length - offset);
		if (written < 0) waitForRoom(descriptor);
		else offset += written;
	}
}

/**
 * Writes all of it to stdout, waiting as long as that takes.
 *
 * @throws EndBySignal when the reader has gone: as any filter, we end by SIGPIPE, without a word.
 * @throws SystemError when the device is full, with the reason.
 */
export function print(data: string | Uint8Array): void {
	const bytes = typeof data === 'string' ? Buffer.from(data) : data;
	waitIsOver();
	try {
		writeAll(stdout, bytes);
	} catch (error) {
		throw explainStdout(error);
	}
}

/** stdout cannot be written to: what comes next cannot be printed either. */
export class OutputError extends SystemError {}

/** What a failed write to stdout means. */
export function explainStdout(error: unknown): unknown {
	if (hasCode(error, 'EPIPE')) return new EndBySignal(sigpipe);
	const explained = explain('cannot write to stdout', error, {EBADF: 'it is closed'});
	return explained instanceof SystemError ? new OutputError(explained.message, {cause: error}) : explained;
}

/** Prints what has been done: where stdout cannot be written to, the error says that it has been done all the same. */
export function printDone(done: string, line: string): void {
	try {
		printLine(line);
	} catch (error) {
		throw error instanceof OutputError ? new OutputError(`${error.message}; ${done}`, {cause: error.cause}) : error;
	}
}

/** As many bytes as stdout takes without failing; the failure itself is the caller's to explain. */
export function printBytes(bytes: Uint8Array, offset: number, length: number): number {
	waitIsOver();
	const written = native.write(stdout, bytes, offset, length);
	if (written >= 0) return written;
	waitForRoom(stdout);
	return 0;
}

export const printLine = (line: string): void => print(`${line}\n`);

export const printJson = (value: unknown): void => printLine(JSON.stringify(value));

/** To a person, on stderr. A stderr that cannot be written to is not a reason to fail. */
export function tellRaw(text: string | Uint8Array): void {
	try {
		writeAll(stderr, typeof text === 'string' ? Buffer.from(text) : text);
	} catch (error) {
		if (hasCode(error, 'EINTR')) throw error;
		// There is no reader left.
	}
}

/** One line to a person, `ipc-pipe: …`, unless --quiet. */
export function tell(message: string): void {
	if (!isQuiet) tellRaw(`${commandName}: ${printable(message)}\n`);
}

/** The same, only with --verbose. */
export function tellVerbose(message: string): void {
	if (isVerbose) tell(message);
}

const soonMs = 20;
const notSoonMs = 1000;
let isWaitAnnounced = false;

/** What the verb waits for, for a person at a terminal who has waited for a second; with --verbose soon, wherever stderr leads, and in the background. */
export function announceWait(what: () => string | undefined): void {
	if (isQuiet || !(isVerbose || isStderrTerminal())) return;
	const peer = what();
	if (peer === undefined) return;
	isWaitAnnounced = true;
	const line = Buffer.from(`${commandName}: waiting for ${printable(peer)}\n`);
	native.announceWait(line, isVerbose ? soonMs : notSoonMs, isVerbose);
}

/** A verb that waits in the event loop waits from now on. */
export function waitInEventLoop(): void {
	if (isWaitAnnounced) native.waitForPeer(true);
}

/** What comes now may take its time, too, but is another wait. */
export function waitIsOver(): void {
	if (!isWaitAnnounced) return;
	isWaitAnnounced = false;
	native.announceWait(new Uint8Array(), -1, false);
}

/** An error: --quiet does not silence it. */
export function tellError(message: string): void {
	tellRaw(`${commandName}: ${printable(message)}\n`);
}

export const isTerminal = (descriptor: number): boolean => native.isatty(descriptor);
export const isStdoutTerminal = (): boolean => isTerminal(stdout);
export const isStderrTerminal = (): boolean => isTerminal(stderr);
export const columnsOf = (descriptor: number): number => native.windowColumns(descriptor) || 80;
export const stderrColumns = (): number => columnsOf(stderr);

/** Whether colour is wanted on this descriptor: --color, then NO_COLOR, then FORCE_COLOR, then whether it is a terminal. */
export function wantsColor(descriptor: number): boolean {
	if (colorWish !== 'auto') return colorWish === 'always';
	const {NO_COLOR, FORCE_COLOR, TERM} = process.env;
	if (NO_COLOR) return false;
	if (FORCE_COLOR !== undefined) return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false';
	return TERM !== 'dumb' && isTerminal(descriptor);
}

/** Tells the parent process, through the descriptor it gave, that waiting has begun. */
export function announceReady(descriptor: number | undefined): void {
	if (descriptor === undefined) return;
	if (isOfNode(descriptor))
		throw new SystemError(`cannot write to descriptor ${descriptor} (--ready-fd): it is not open`);
	try {
		native.write(descriptor, Uint8Array.of(10), 0, 1);
	} catch (error) {
		throw explain(`cannot write to descriptor ${descriptor} (--ready-fd)`, error, {
			EBADF: 'it is not open, or not for writing',
		});
	}
}

/**
 * Before something is taken for stdout: what was taken for one that cannot be written to would be lost.
 *
 * One that was closed does not show: Node puts /dev/null in its place, just as a caller does who wants no output.
 */
export function expectOutput(): void {
	if ((native.fcntlGetfl(stdout) & O_ACCMODE) === O_RDONLY)
		throw new SystemError('cannot write to stdout: it is not open for writing');
}

/**
 * Whether it is one that Node has opened for itself: an event queue, or a pipe that goes from us to us and that no other
 * process has. Our parent may give us both ends of a pipe too, but then has it as well.
 */
export function isOfNode(descriptor: number): boolean {
	const target = (number: number | string): string => {
		try {
			return readlinkSync(`/proc/self/fd/${number}`);
		} catch {
			return '';
		}
	};
	const ours = target(descriptor);
	if (descriptor <= stderr || !/^(anon_inode|pipe):/.test(ours)) return false;
	if (ours.startsWith('anon')) return true;
	const directionOf = (number: number) => native.fcntlGetfl(number) & O_ACCMODE;
	const direction = directionOf(descriptor);
	const isLoop = readdirSync('/proc/self/fd').some(
		(other) => target(other) === ours && directionOf(Number(other)) !== direction,
	);
	if (!isLoop) return false;
	const {dev, ino} = fstatSync(descriptor);
	const found = native.findOpenFiles(Float64Array.of(dev, ino));
	// Four numbers each, the process first; the last is negative for one that has nothing open.
	return !found.some((pid, i) => i % 4 === 0 && pid !== process.pid && (found[i + 3] as number) >= 0);
}

/** Before stdin is read: it must be readable, and a person at a terminal should learn what the command waits for. */
export function expectInput(): void {
	if ((native.fcntlGetfl(stdin) & O_ACCMODE) === O_WRONLY)
		throw new SystemError('cannot read stdin: it is not open for reading');
	if (isTerminal(stdin)) tell('reading from the terminal; end with Ctrl-D');
}
