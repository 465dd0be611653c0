import {isUtf8} from 'node:buffer';
import {readFileSync} from 'node:fs';
import * as inspector from 'node:inspector';
import {join} from 'node:path';
import {native} from '../native/index.js';
import {SIGUSR1} from './process/signals.js';

/** What differs between the two runtimes: this is Node's side, src/engine/runtime.ts stands in for it on the small one. */

/** Which runtime this is, for --version --verbose. */
export const runtimeName = (): string => `Node ${process.versions.node}`;

/** Called once, before the command line is read. */
export const prepareRuntime = (): void => takeSignalFromDebugger();

/** A text that the build has made. */
export const readBuiltText = (name: string): string => readFileSync(join(__dirname, name), 'utf8');

/** Whether memory has run out. Where V8 itself has none left it ends the process. */
export const isOutOfMemory = (error: unknown): boolean =>
	error instanceof RangeError && 'code' in error && error.code === 'ERR_MEMORY_ALLOCATION_FAILED';

/** Node reads the command line as UTF-8, and puts a mark where that fails: other bytes than those that were given. */
export const hasLostBytes = (words: readonly string[]): boolean =>
	words.some((word) => word.includes('\ufffd')) && !isUtf8(readFileSync('/proc/self/cmdline'));

/** Called for a verb that needs Node, before it runs. */
export function requireNode(_command: string, _verb: string): void {}

/**
 * Node would open its debugger's port for SIGUSR1, to every user of this machine. For one that came while Node started it
 * has: what that signal does to a program that has made no arrangement is then done late.
 */
function takeSignalFromDebugger(): void {
	native.defaultSignal(SIGUSR1);
	if (!mayHaveDebugger() && !mayHaveDebugger()) return;
	const isWanted = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].some((words) =>
		/--inspect(-brk|-wait)?(=|\s|$)/.test(words),
	);
	// Slow to load, and not needed elsewhere.
	if (isWanted || inspector.url() === undefined) return;
	inspector.close();
	// To the first process of a PID namespace it does nothing.
	if (process.pid !== 1) native.raiseSignal(SIGUSR1);
}

/** A function of its own: where one begins Node does what it was interrupted for. */
const mayHaveDebugger = (): boolean => native.mayHaveDebugger();
