import {isUtf8} from 'node:buffer';
import {readFileSync} from 'node:fs';
import * as inspector from 'node:inspector';
import {isKernelError, native} from '../native/index.js';
import {type Reading, readPlainLine, valuesOf} from './command-line/command-line.js';
import {hasCode, reasonOf, SystemError, UsageError} from './errors.js';
import {EndBySignal, type Outcome, status, timedOut} from './exit.js';
import {configureOutput, tellError, tellRaw} from './output.js';
import {SIGUSR1} from './process/signals.js';
import type {Command} from './verb.js';

/** argv -> verb -> run -> report -> exit status. */
export function main(command: Command): void {
	configureOutput({command: command.name});
	takeSignalFromDebugger();
	const words = process.argv.slice(2);
	const reading = words.some((word) => word.includes('\ufffd')) ? undefined : readPlainLine(command, words);
	if (reading) {
		perform(command, reading);
		return;
	}
	// Not plain: help, completion, a mistake. yargs has the time it takes.
	guard(command, undefined, async () => {
		checkEncoding(words);
		const {readWithYargs} = await import('./command-line/yargs-reading.js');
		const found = await readWithYargs(command, words);
		if (!found) leave(status.done);
		else perform(command, found);
	});
}

/**
 * Node would open its debugger's port for SIGUSR1, to anybody on this machine. For one that came while Node started it
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
	if (process.pid !== 1) endBy(SIGUSR1);
}

/** A function of its own: where one begins Node does what it was interrupted for. */
const mayHaveDebugger = (): boolean => native.mayHaveDebugger();

/** Node reads the command line as UTF-8, and puts a mark where that fails: other bytes than those that were given. */
function checkEncoding(words: readonly string[]): void {
	if (words.some((word) => word.includes('\ufffd')) && !isUtf8(readFileSync('/proc/self/cmdline')))
		throw new UsageError(
			'the command line is not valid UTF-8, and Node cannot pass on such bytes (send them through stdin)',
		);
}

function perform(command: Command, reading: Reading): void {
	guard(command, reading, () => {
		const {operands, options} = valuesOf(reading);
		configureOutput(options);
		const leaveWith = (outcome: Outcome) =>
			leave(outcome === timedOut ? ((options.timeoutStatus as number | undefined) ?? outcome.status) : outcome.status);
		const outcome = reading.verb.run(operands as never, options as never, reading.command);
		// A verb that needs no event loop ends here and now.
		return outcome instanceof Promise ? outcome.then(leaveWith) : leaveWith(outcome);
	});
}

function guard(command: Command, reading: Reading | undefined, work: () => void | Promise<void>): void {
	const onError = (error: unknown) => {
		if (!(error instanceof UsageError && error.meant)) report(command, reading, error);
		// The hint needs what no other way through here does.
		const {word, candidates} = error.meant;
		import('./command-line/did-you-mean.js').then(({didYouMean}) => {
			error.message += didYouMean(word, candidates);
			report(command, reading, error);
		});
	};
	try {
		const result = work();
		if (result) result.catch(onError);
	} catch (error) {
		onError(error);
	}
}

/** Everything that had to be cleaned up has been when an error comes through here. */
function report(command: Command, reading: Reading | undefined, error: unknown): never {
	if (error instanceof EndBySignal) endBy(error.signal);
	const caught = native.caughtSignal();
	if (caught && hasCode(error, 'EINTR')) endBy(caught);
	if (error instanceof UsageError) {
		tellError(error.message);
		tellRaw(`Try '${[command.name, error.verb ?? reading?.name, '--help'].filter(Boolean).join(' ')}'.\n`);
		leave(status.usageError);
	}
	if (error instanceof SystemError) {
		tellError(error.message);
		leave(reading && reading.command.length > 0 ? status.failedToRun : status.systemError);
	}
	// No verb expects these everywhere, and none can do anything about them.
	if (isKernelError(error) && ['EMFILE', 'ENFILE', 'ENOMEM'].includes(error.code)) {
		tellError(`${error.syscall}: ${reasonOf(error)}`);
		leave(reading && reading.command.length > 0 ? status.failedToRun : status.systemError);
	}
	// A defect: its stack helps to fix it.
	tellRaw(`${command.name}: internal error\n${error instanceof Error ? error.stack : String(error)}\n`);
	leave(status.systemError);
}

function endBy(signal: number): never {
	native.raiseSignal(signal);
	// Only a signal whose default is to do nothing comes back.
	leave(status.signalBase + signal);
}

/** Without Node's own way out, which takes longer than many a verb. */
function leave(code: number): never {
	return native.exit(code);
}
