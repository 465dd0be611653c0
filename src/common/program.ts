import {isKernelError, native} from '../native/index.js';
import {clusterAddressIn, configureCluster, hasLocalAddress} from './cluster.js';
import {type Reading, readLine, valuesOf} from './command-line/command-line.js';
import {hasCode, quoted, reasonOf, SystemError, UsageError, useRemedies} from './errors.js';
import {EndBySignal, type Outcome, status, timedOut} from './exit.js';
import {announceWait, configureOutput, print, printLine, tellError, tellRaw, waitInEventLoop} from './output.js';
import {hasLostBytes, isOutOfMemory, prepareRuntime, requireNode, runtimeName} from './runtime.js';
import {type Command, type FoundVerb, type Option, optionName, type Verb} from './verb.js';

type Values = Readonly<Record<string, unknown>>;

/** argv -> verb -> run -> report -> exit status. */
export function main(command: Command): void {
	configureOutput({command: command.name});
	useRemedies(command.remedies ?? {});
	prepareRuntime();
	const words = process.argv.slice(2);
	guard(command, undefined, () => {
		checkEncoding(words);
		if (words[0]?.startsWith('--complete')) return printCandidates(command, words).then(() => leave(status.done));
		const line = readLine(command, words);
		if (line.kind === 'verb') return perform(command, line.reading);
		return (line.kind === 'help' ? printHelp(command, line.topic) : printVersion(command, words)).then(() =>
			leave(status.done),
		);
	});
}

/** What the scripts of `completion` ask; in no help, since no person does. */
async function printCandidates(command: Command, [request, ...words]: readonly string[]): Promise<void> {
	const {candidates, candidatesForLine} = await import('./command-line/candidates.js');
	const [line = '', text = ''] = words;
	const found = await (request === '--complete-line'
		? candidatesForLine(command, line, text)
		: candidates(command, words));
	// No word begins with a tab.
	const lines = found.words.length === 0 && found.otherwise ? [`\t${found.otherwise}`] : found.words;
	print(lines.map((line) => `${line}\n`).join(''));
}

async function printHelp(command: Command, topic: FoundVerb | undefined): Promise<void> {
	const {helpText} = await import('./command-line/help-text.js');
	print(helpText(command, topic));
}

async function printVersion(command: Command, words: readonly string[]): Promise<void> {
	const {version} = await import('./version.js');
	printLine(`${command.name} (ipc-tools) ${version}`);
	if (words.includes('--verbose') || words.includes('-v')) printLine(`runtime: ${runtimeName()}`);
}

function checkEncoding(words: readonly string[]): void {
	if (hasLostBytes(words))
		throw new UsageError(
			'the command line is not valid UTF-8, and such bytes cannot be passed on (send them through stdin)',
		);
}

function perform(command: Command, reading: Reading): void {
	guard(command, reading, () => {
		const {operands, options} = valuesOf(reading);
		configureOutput(options);
		const leaveWith = (outcome: Outcome) =>
			leave(outcome === timedOut ? ((options.timeoutStatus as number | undefined) ?? outcome.status) : outcome.status);
		const isOnCluster = usesCluster(reading, operands, options);
		if (isOnCluster || needsNode(reading.verb, operands, options, reading.command))
			requireNode(command.name, reading.name);
		const {verb} = reading;
		if (!options.nonblock) announceWait(() => verb.waitsFor?.(operands as never, options as never));
		const run = () => reading.verb.run(operands as never, options as never, reading.command);
		const outcome = isOnCluster ? command.loadCluster?.().then(run) : run();
		// A verb that needs no event loop ends here and now.
		if (!(outcome instanceof Promise)) return leaveWith(outcome as Outcome);
		waitInEventLoop();
		return outcome.then(leaveWith);
	});
}

/** Whether an object on a cluster is named; then how to connect is in the options. */
function usesCluster({verb, name, declared}: Reading, operands: Values, options: Values): boolean {
	const named = [...Object.values(operands), ...Object.values(options)];
	const address = clusterAddressIn(named);
	if (address && !verb.cluster)
		throw new UsageError(`${quoted(address.shown)} is on a cluster, and '${name}' works on this machine only`);
	if (!verb.cluster) return false;
	const givenFor = (place: Option['only']) =>
		Object.keys(declared).find((key) => declared[key]?.only === place && isGiven(options[key]));
	if (address) {
		const key = hasLocalAddress(named) ? undefined : givenFor('local');
		if (key)
			throw new UsageError(`--${optionName(key)} cannot be used with ${quoted(address.shown)}, which is on a cluster`);
	} else if (verb.cluster !== 'input') {
		const key = givenFor('cluster');
		if (key) throw new UsageError(`--${optionName(key)} needs a name on a cluster: nats:NAME or nats://HOST/NAME`);
	}
	configureCluster(options);
	return address !== undefined;
}

const isGiven = (value: unknown): boolean =>
	Array.isArray(value) ? value.length > 0 : value !== undefined && value !== false;

const needsNode = (verb: Verb, operands: unknown, options: unknown, command: readonly string[]): boolean =>
	typeof verb.needsNode === 'function'
		? verb.needsNode(operands as never, options as never, command)
		: verb.needsNode === true;

function guard(command: Command, reading: Reading | undefined, work: () => void | Promise<void>): void {
	const onError = (error: unknown) => {
		if (!(error instanceof UsageError && error.meant)) report(command, reading, error);
		// The hint needs what no other way through here does.
		import('./command-line/did-you-mean.js').then(({addHint}) => {
			addHint(error);
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
		leave(error.status ?? failureStatus(reading));
	}
	// No verb expects these everywhere, and none can do anything about them.
	if (isKernelError(error) && ['EMFILE', 'ENFILE', 'ENOMEM'].includes(error.code)) {
		tellError(`${error.syscall}: ${reasonOf(error)}`);
		leave(failureStatus(reading));
	}
	if (isOutOfMemory(error)) {
		tellError('out of memory');
		leave(failureStatus(reading));
	}
	// A defect: its stack helps to fix it.
	const stack = error instanceof Error ? (error.stack ?? '') : '';
	const text = String(error);
	// Not every engine begins the stack with the message.
	tellRaw(`${command.name}: internal error\n${stack.startsWith(text) ? stack : `${text}\n${stack}`}\n`);
	leave(failureStatus(reading));
}

/** The status of a failure of ours. A verb that runs a command keeps 1 for the command, also where its line could not be read. */
function failureStatus(reading: Reading | undefined): number {
	const runsCommand = reading ? reading.command.length > 0 : process.argv.slice(2, -1).includes('--');
	return runsCommand ? status.failedToRun : status.systemError;
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
