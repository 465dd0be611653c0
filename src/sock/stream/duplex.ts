import {closeSync, fstatSync} from 'node:fs';
import {countOf, explain, hasCode, kernelError, quoted, reasonOf, SystemError} from '../../common/errors.js';
import {explainStdout, stdin, stdout} from '../../common/output.js';
import {Progress} from '../../common/terminal/progress.js';
import {growPipe} from '../../common/transfer.js';
import {isReady} from '../../common/waiting.js';
import {
	AT_FDCWD,
	native,
	O_NONBLOCK,
	O_WRONLY,
	POLLIN,
	SO_SNDBUF,
	SO_SNDBUFFORCE,
	SOL_SOCKET,
} from '../../native/index.js';

/** struct flow of duplex.c. */
const flowLength = 10;
const fieldIn = 0;
const fieldOut = 1;
const fieldWay = 2;
const fieldPhase = 3;
const fieldError = 4;
const fieldErrorIsIn = 5;
const fieldOffset = 6;
const fieldFilled = 7;
const fieldSeparator = 8;
const fieldMost = 9;

const copies = 1;
const endsOutput = 2;
const mayBlock = 4;
const inIsSocket = 8;
const outIsSocket = 16;

const done = 2;

const bufferBytes = 2 * 1024 ** 2;
const socketBytes = 4 * 1024 ** 2;

/** An error of one client; a server continues with the next one. */
export class ConnectionError extends SystemError {}

export interface DuplexSettings {
	/** The connection as messages name it. */
	shown: string;
	/** No traffic for this long: 'quiet'. Negative: without limit. */
	timeoutMs: number;
	/** The same once our side has ended its output. */
	idleMs?: number | undefined;
	/** The connection is done after this many records, which end with this byte. */
	records?: {separator: number; most: number} | undefined;
	/** Not joined to stdin: nothing is sent, and the peer learns that at once. */
	receivesOnly?: boolean | undefined;
	/** The peer does not learn that stdin has ended. */
	holds?: boolean | undefined;
	progress?: Progress | undefined;
}

export type DuplexEnd =
	/** Both directions have ended, or the wanted number of records has arrived. */
	| 'ended'
	/** Our side had ended, and then nothing arrived for the time allowed. */
	| 'idle'
	/** There was no traffic for the time allowed. */
	| 'quiet';

/**
 * Joins stdin to a connection and the connection to stdout until both directions have ended. Blocks.
 *
 * @throws EndBySignal when the reader of stdout has left; SystemError when the peer closed before reading all data.
 */
export function runDuplex(connection: number, joining: DuplexSettings): DuplexEnd {
	const {shown, timeoutMs, idleMs = -1, records, receivesOnly = false, holds = false, progress} = joining;
	growPipe(stdin);
	growPipe(stdout);
	growSocket(connection);
	const flows = new Int32Array(2 * flowLength);
	const there = flows.subarray(0, flowLength);
	const back = flows.subarray(flowLength);
	const output = openOutput();
	set(there, stdin, connection, wayOf(stdin, connection) | (holds ? 0 : endsOutput));
	set(back, connection, output.descriptor, wayOf(connection, output.descriptor) | (output.blocks ? mayBlock : 0));
	if (records) {
		back[fieldWay] = (back[fieldWay] as number) | copies;
		back[fieldSeparator] = records.separator;
		back[fieldMost] = records.most;
	}
	if (receivesOnly) endSending(there, connection);
	const buffer = Buffer.allocUnsafeSlow(bufferBytes);
	let quietSince = performance.now();
	try {
		for (;;) {
			const hasEndedOutput = there[fieldPhase] === done;
			const limitMs = hasEndedOutput && idleMs >= 0 ? lesser(idleMs, timeoutMs) : timeoutMs;
			const leftMs = limitMs < 0 ? -1 : Math.max(0, Math.ceil(limitMs - (performance.now() - quietSince)));
			const moved = native.moveDuplex(flows, buffer, progress ? Progress.sliceMs : -1, leftMs);
			const bytes = moved.there + moved.back;
			progress?.add(bytes);
			if (bytes > 0 || (!hasEndedOutput && there[fieldPhase] === done)) quietSince = performance.now();
			if (back[fieldError] !== 0) explainBack(shown, back, there);
			if (back[fieldPhase] === done && (records || there[fieldPhase] === done)) {
				if (!records) explainThere(shown, there);
				return 'ended';
			}
			if (moved.quiet) return hasEndedOutput && idleMs >= 0 && limitMs === idleMs ? 'idle' : 'quiet';
		}
	} finally {
		if (output.descriptor !== stdout) closeSync(output.descriptor);
	}
}

const lesser = (one: number, other: number): number => (other < 0 ? one : Math.min(one, other));

function set(flow: Int32Array, input: number, output: number, way: number): void {
	flow[fieldIn] = input;
	flow[fieldOut] = output;
	flow[fieldWay] = way;
	flow[fieldSeparator] = -1;
}

function endSending(there: Int32Array, connection: number): void {
	there[fieldPhase] = done;
	try {
		native.shutdown(connection, 1);
	} catch (error) {
		if (!hasCode(error, 'ENOTCONN')) throw error;
	}
}

/**
 * splice(2) needs a pipe on one side; a file is copied: its pages would be shared with processes that write to it
 * later.
 */
function wayOf(input: number, output: number): number {
	const [from, to] = [fstatSync(input), fstatSync(output)];
	const canSplice = (from.isFIFO() || to.isFIFO()) && !from.isFile() && !to.isFile();
	return (canSplice ? 0 : copies) | (from.isSocket() ? inIsSocket : 0) | (to.isSocket() ? outIsSocket : 0);
}

/** stdout, so that writing to it never blocks: it is shared with other processes, so a pipe is opened anew. */
export function openOutput(): {descriptor: number; blocks: boolean} {
	const stat = fstatSync(stdout);
	if (stat.isFile() || stat.isSocket()) return {descriptor: stdout, blocks: false};
	if (!stat.isFIFO()) return {descriptor: stdout, blocks: true};
	try {
		const descriptor = native.openat(AT_FDCWD, `/proc/self/fd/${stdout}`, O_WRONLY | O_NONBLOCK, 0, -1);
		return {descriptor, blocks: false};
	} catch {
		// The pipe of another user, or its reader has left: writing will tell.
		return {descriptor: stdout, blocks: true};
	}
}

/** More room costs nothing and decides the throughput; the system limits how much. socket(7), SO_SNDBUF */
export function growSocket(descriptor: number): void {
	try {
		native.setsockopt(descriptor, SOL_SOCKET, SO_SNDBUFFORCE, socketBytes);
	} catch {
		native.setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, socketBytes);
	}
}

const EPIPE = 32;
const ECONNRESET = 104;

/** Writing to stdout failed. */
function explainBack(shown: string, back: Int32Array, there: Int32Array): void {
	const number = back[fieldError] as number;
	if (back[fieldErrorIsIn]) {
		// The peer closed without reading all that we sent; we have the data it had sent before.
		if (number !== ECONNRESET)
			throw new ConnectionError(`cannot read from ${quoted(shown)}: ${reasonOf(kernelError(number, 'read'))}`);
		back[fieldError] = 0;
		there[fieldPhase] = done;
		there[fieldError] = ECONNRESET;
		return;
	}
	throw explainStdout(kernelError(number, 'write'));
}

/** Sending to the peer failed, which matters only when there was something left to send. */
function explainThere(shown: string, there: Int32Array): void {
	const number = there[fieldError] as number;
	if (number === 0) return;
	if (there[fieldErrorIsIn])
		throw explain('cannot read stdin', kernelError(number, 'read'), {EISDIR: 'it is a folder'});
	const left = (there[fieldFilled] as number) - (there[fieldOffset] as number);
	if (number === EPIPE && left === 0 && !hasInput()) return;
	if (number === EPIPE || number === ECONNRESET)
		throw new ConnectionError(
			`${quoted(shown)} closed the connection before reading all data${left > 0 ? ` (${countOf(left, 'byte')} more were read from stdin)` : ''}`,
		);
	throw explain(`cannot send to ${quoted(shown)}`, kernelError(number, 'write'));
}

/** Whether stdin has data that no process has read. */
export function hasInput(): boolean {
	if (!isReady(stdin, POLLIN, 0)) return false;
	try {
		return native.ioctlFionread(stdin) > 0;
	} catch {
		return false;
	}
}
