import {accessSync, constants, statSync} from 'node:fs';
import {isKernelError} from '../../native/index.js';
import {hasCode, kernelError, quoted, reasonOf, SystemError} from '../errors.js';
import {status} from '../exit.js';
import {waitIsOver} from '../output.js';
import {type ChildEnd, endOf, watchEnd} from './child-end.js';

/** How a command ended; its status is 126 or 127 when it could not be run or was not found. */
export interface CommandEnd extends ChildEnd {
	/** Milliseconds from start to end. */
	wallMs: number;
	/** Why it could not be started, in words. */
	problem: string | null;
}

export interface RunningCommand {
	/** Undefined when it could not be started. */
	pid: number | undefined;
	/** Never rejects. */
	ended: Promise<CommandEnd>;
}

/** A standard stream of a command: one of ours, any open descriptor, or, for stdin, these bytes. */
export type Stream = 'inherit' | number;

/**
 * Starts a command, without a shell; stderr is ours. execa is loaded here and nowhere else.
 *
 * A command is started in one of three ways. Verbs that wait in the kernel, where Node delivers no events, and verbs that
 * also wait for orphans use `startChild`: fork and exec in C. Verbs that use the event loop use this function.
 * `PipedCommand` is Node's own spawn, for `ipc-sock serve`, which exchanges data with its commands through pipes and starts
 * one for each call: with execa a call took 3.4 ms instead of 2.
 */
export async function startCommand(
	words: readonly string[],
	streams: {stdin: Stream | Uint8Array; stdout: Stream /** Its descriptors from 3 on. */; more?: readonly number[]},
	environment: Record<string, string> = {},
): Promise<RunningCommand> {
	waitIsOver();
	const {execa} = await import('execa');
	const [file, ...args] = words;
	const startMs = performance.now();
	// execvp(3) would say the same.
	if (file === '') return {pid: undefined, ended: Promise.resolve({...notFound(file), signal: null, wallMs: 0})};
	const failed = (cause: unknown): CommandEnd => ({
		...explainStart(file as string, cause),
		signal: null,
		wallMs: performance.now() - startMs,
	});
	try {
		// execa passes any descriptor on; its types know the standard ones only.
		const child = execa(file as string, args, {
			...(streams.stdin instanceof Uint8Array ? {input: streams.stdin} : {}),
			stdio: [
				streams.stdin instanceof Uint8Array ? 'pipe' : (streams.stdin as 'inherit' | 0),
				streams.stdout as 'inherit' | 1,
				'inherit',
				...((streams.more ?? []) as 0[]),
			],
			env: environment,
			reject: false,
			buffer: false,
			cleanup: false,
			...(hasFolder() ? {} : {cwd: '/proc/self/cwd'}),
			stripFinalNewline: false,
		});
		const {pid} = child;
		watchEnd(pid);
		const ended = child.then(({exitCode = null, signal = null, cause}): CommandEnd => {
			if (exitCode === null && signal === null) return failed(cause);
			const wallMs = performance.now() - startMs;
			return {...endOf(pid, exitCode, signal as NodeJS.Signals | null), wallMs, problem: null};
		}, failed);
		return {pid, ended};
	} catch (error) {
		return {pid: undefined, ended: Promise.resolve(failed(error))};
	}
}

/**
 * For verbs that wait before they run a command: refuses one that cannot be run, before anything is opened. What only its start
 * shows, such as a missing interpreter, is reported then.
 *
 * @throws SystemError with the status that the start would have ended with
 */
export function checkCommand([file = '']: readonly string[]): void {
	const refusal = refusalOf(file);
	if (refusal === undefined) return;
	const {status, problem} = explainStart(file, kernelError(refusal, 'execve'));
	throw new SystemError(problem, {status});
}

/** Why no file of that name can be run, as execvp(3) looks for it; undefined where there is one. */
function refusalOf(file: string): string | undefined {
	let refusal = 'ENOENT';
	if (file === '') return refusal;
	const isPath = file.includes('/');
	for (const folder of isPath ? [''] : (process.env.PATH ?? defaultPath).split(':').map((name) => `${name || '.'}/`)) {
		const path = folder + file;
		try {
			accessSync(path, constants.X_OK);
			if (statSync(path).isFile()) return undefined;
			refusal = 'EACCES';
		} catch (error) {
			if (!isKernelError(error)) throw error;
			// Another folder may have one that can be run.
			if (isPath || error.code === 'EACCES') refusal = error.code;
		}
	}
	return refusal;
}

/** What the C library takes where PATH is not set. execvp(3) */
const defaultPath = '/bin:/usr/bin';

const notFound = (file: string) => ({status: status.notFound, problem: `cannot run ${quoted(file)}: not found`});

/** What it means that a command could not be started: the status to end with, and the reason in words. */
export function explainStart(file: string, cause: unknown): {status: number; problem: string} {
	const tried = `cannot run ${quoted(file)}`;
	if (hasCode(cause, 'ENOENT')) {
		const {status, problem} = notFound(file);
		return {
			status,
			problem: refusalOf(file) !== 'ENOENT' ? `${tried}: the interpreter that it names was not found` : problem,
		};
	}
	if (hasCode(cause, 'EACCES', 'EPERM', 'ENOEXEC', 'EISDIR', 'ENOTDIR', 'E2BIG', 'ETXTBSY', 'ELOOP'))
		return {status: status.notRunnable, problem: `${tried}: ${reasonOf(cause)}`};
	// Out of something: Node does not always say of what.
	const why = hasCode(cause, 'EAGAIN')
		? 'too many processes (see: ulimit -u)'
		: 'too few descriptors or processes (see: ulimit -n -u)';
	return {status: status.failedToRun, problem: `${tried}: ${why}`};
}

/** A folder that has been removed serves a command as well as any, only Node cannot name it. */
function hasFolder(): boolean {
	try {
		process.cwd();
		return true;
	} catch {
		return false;
	}
}
