import {type Line, readLine, valuesOf} from '../../src/common/command-line/command-line.js';
import {addHint} from '../../src/common/command-line/did-you-mean.js';
import {helpText} from '../../src/common/command-line/help-text.js';
import {SystemError, UsageError, useRemedies} from '../../src/common/errors.js';
import {status} from '../../src/common/exit.js';
import {configureOutput, print, printLine, tellError, tellRaw} from '../../src/common/output.js';
import type {Command} from '../../src/common/verb.js';
import {version} from '../../src/common/version.js';
import {mq} from '../../src/mq/index.js';
import {native} from '../../src/native/index.js';
import {pipe} from '../../src/pipe/index.js';
import {sem} from '../../src/sem/index.js';
import {shm} from '../../src/shm/index.js';
import {signal} from '../../src/signal/index.js';
import {sock} from '../../src/sock/index.js';
import type {Ended} from './run.js';

export const commands: readonly Command[] = [pipe, signal, sem, mq, shm, sock];

const everyStart = process.env.IPC_TEST_EVERY_START === '1';

/**
 * What a command does with a command line that no verb gets to see: one that is refused, or that asks for help or the version.
 * Read with the program's own functions, in this process, since a start of Node costs fifty times as much. Undefined for every
 * other line, and where IPC_TEST_EVERY_START=1 asks for the real commands alone.
 */
export async function readHere(name: string, words: readonly string[]): Promise<Ended | undefined> {
	const command = commands.find((candidate) => candidate.name === name);
	if (!command || everyStart) return undefined;
	// What Node could not decode can only be seen by the process that was given it, and exec(3) takes no NUL.
	if (words.some((word) => word.includes('\ufffd') || word.includes('\0'))) return undefined;
	// Which objects there are depends on the environment.
	if (words[0]?.startsWith('--complete')) return undefined;
	return alone(() => read(command, words));
}

/**
 * What a verb does that returns at once, its own function called in this process: for what a test prepares, `create` above all, and
 * for refusals that would take a start of Node each. Undefined where the real command has to do it. Such a verb must not look at the
 * environment.
 */
export async function performHere(name: string, words: readonly string[]): Promise<Ended | undefined> {
	const command = commands.find((candidate) => candidate.name === name);
	if (!command || everyStart) return undefined;
	const reading = readingOf(command, words);
	if (!reading) return undefined;
	return alone(() => {
		configureOutput({command: name, quiet: false, verbose: false});
		useRemedies(command.remedies ?? {});
		return captured(async () => {
			try {
				const {operands, options} = valuesOf(reading);
				configureOutput(options);
				return (await reading.verb.run(operands as never, options as never, reading.command)).status;
			} catch (error) {
				if (!(error instanceof SystemError)) throw error;
				tellError(error.message);
				return reading.command.length > 0 ? status.failedToRun : status.systemError;
			}
		});
	});
}

/** The line as it is read for a verb; undefined for help, the version and a mistake. */
function readingOf(command: Command, words: readonly string[]): (Line & {kind: 'verb'})['reading'] | undefined {
	try {
		const line = readLine(command, words);
		return line.kind === 'verb' ? line.reading : undefined;
	} catch (error) {
		if (error instanceof UsageError) return undefined;
		throw error;
	}
}

let previous: Promise<unknown> = Promise.resolve();

/** One after the other: each has the addon's `write` for itself. */
function alone<Result>(work: () => Promise<Result>): Promise<Result> {
	const result = previous.then(work);
	previous = result.catch(() => {});
	return result;
}

/** What the work writes to stdout and stderr, and the status that it answers. */
async function captured(work: () => Promise<number>): Promise<Ended> {
	const {write, windowColumns} = native;
	const printed: [Buffer[], Buffer[]] = [[], []];
	native.windowColumns = () => 0;
	native.write = (descriptor, bytes, offset, length) => {
		if (descriptor !== 1 && descriptor !== 2) return write(descriptor, bytes, offset, length);
		printed[descriptor - 1]?.push(Buffer.from(bytes.subarray(offset, offset + length)));
		return length;
	};
	try {
		const result = await work();
		return {
			status: result,
			signal: null,
			stdout: Buffer.concat(printed[0]),
			stderr: Buffer.concat(printed[1]).toString(),
		};
	} finally {
		Object.assign(native, {write, windowColumns});
	}
}

async function read(command: Command, words: readonly string[]): Promise<Ended | undefined> {
	let isForVerb = false;
	const ended = await captured(async () => {
		let verb: string | undefined;
		try {
			configureOutput({command: command.name});
			useRemedies(command.remedies ?? {});
			const line = readLine(command, words);
			if (line.kind === 'help') print(helpText(command, line.topic));
			else if (line.kind === 'version') printLine(`${command.name} (ipc-tools) ${version}`);
			else {
				verb = line.reading.name;
				valuesOf(line.reading);
				isForVerb = true;
			}
			return status.done;
		} catch (error) {
			if (!(error instanceof UsageError)) throw error;
			addHint(error);
			tellError(error.message);
			tellRaw(`Try '${[command.name, error.verb ?? verb, '--help'].filter(Boolean).join(' ')}'.\n`);
			return status.usageError;
		}
	});
	return isForVerb ? undefined : ended;
}
