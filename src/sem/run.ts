import {attempt, hasCode, quoted, reasonOf, SystemError, UsageError} from '../common/errors.js';
import {EndBySignal, endedWith, notNow, type Outcome, timedOut} from '../common/exit.js';
import {duration, formatDuration} from '../common/formats/duration.js';
import {formatAddress} from '../common/formats/object-name.js';
import {choice, type TextFormat, wholeNumber} from '../common/formats/text-format.js';
import {nonblock, timeout, timeoutStatus} from '../common/options.js';
import {tell, tellError, tellVerbose, verbose} from '../common/output.js';
import {startChild, waitForChild} from '../common/process/children.js';
import {checkCommand} from '../common/process/run-command.js';
import {cameToAllFromTerminal} from '../common/process/shutdown.js';
import {SIGHUP, SIGINT, SIGQUIT, SIGTERM} from '../common/process/signals.js';
import {kill} from '../common/process/termination.js';
import {one, verb} from '../common/verb.js';
import {native} from '../native/index.js';
import type {AnySemaphore} from '../objects/semaphore/any-semaphore.js';
import type {Holding, Lease} from '../objects/semaphore/holding.js';
import {describeHolder} from '../objects/semaphore/semaphore-status.js';
import {semaphoreName, semaphoresAt} from '../objects/semaphore/semaphores.js';
import {LeaseGuard, type OnLost} from './lease-guard.js';
import {checkSettings, create, settings} from './options.js';

const shortestLeaseMs = 1000;
const longestLeaseMs = 86_400_000;

const lease: TextFormat<number> = {
	...duration,
	parse(text) {
		const ms = duration.parse(text);
		if (ms < shortestLeaseMs || ms > longestLeaseMs) throw new UsageError(`'${text}' is not a duration from 1s to 1d`);
		return ms;
	},
};

export const run = verb({
	summary: 'Hold one unit while a command runs; release it even if the command or ipc-sem is killed',
	operands: {name: one(semaphoreName)},
	options: {
		timeout,
		timeoutStatus,
		nonblock,
		conflictStatus: {
			value: wholeNumber(0, 255),
			help: 'with --nonblock: exit with status N if no unit is free (default 3)',
		},
		create,
		...settings(1),
		lease: {
			only: 'cluster',
			value: lease,
			help: 'on a cluster: time after which the unit of a lost holder is free (default 15s)',
		},
		onLost: {
			only: 'cluster',
			value: choice('ACTION', 'kill', 'warn'),
			help: 'on a cluster: what to do with CMD if the unit is lost: kill (default) or warn',
		},
	},
	cluster: true,
	takesCommand: true,
	examples: [
		{
			purpose: 'run at most three of these commands at once',
			line: 'ipc-sem run jobs --create --value 3 -- make',
		},
		{purpose: 'exit with status 3 if another backup is running', line: 'ipc-sem run backup --create -n -- ./backup'},
	],
	// With --verbose it says by whom the units are held.
	waitsFor: ({name}) => (verbose() ? undefined : `a unit of ${quoted(formatAddress(name))}`),
	run({name}, options, command) {
		checkSettings(options);
		if (options.conflictStatus !== undefined && !options.nonblock)
			throw new UsageError('--conflict-status needs --nonblock');
		checkCommand(command);
		using semaphore = semaphoresAt(name).open(name, options.create ? options : undefined);
		const startMs = performance.now();
		// Killed in the middle of a wait we would stay counted; and signals that tell us to stop are forwarded to the
		// command.
		native.catchSignals(Int32Array.of(SIGHUP, SIGINT, SIGQUIT, SIGTERM));
		const holding = semaphore.hold({
			timeoutMs: options.nonblock ? 0 : (options.timeout ?? -1),
			command: command.join(' '),
			inherit: true,
			leaseMs: options.lease,
			onWait: () => verbose() && sayWhomWeWaitFor(semaphore),
		});
		if (!holding) return options.nonblock ? conflict(semaphore.shownName, options.conflictStatus) : timedOut;
		tellVerbose(`took a unit of ${quoted(semaphore.shownName)} after ${formatDuration(performance.now() - startMs)}`);
		let status: number;
		try {
			// A signal that arrived together with the unit has not ended a wait.
			status = native.caughtSignal() ? 0 : perform(command, semaphore.shownName, holding, options.onLost);
		} finally {
			letGo(holding, command);
		}
		const signal = native.caughtSignal();
		if (signal) throw new EndBySignal(signal);
		return endedWith(status);
	},
});

/** The command may end with the same status: so a line says that it was not run. */
function conflict(shownName: string, conflictStatus = notNow.status): Outcome {
	tell(`${quoted(shownName)} has no free unit: the command was not run`);
	return endedWith(conflictStatus);
}

/** Runs the command to its end and forwards the signals that tell us to stop; returns its status. */
function perform(command: readonly string[], shownName: string, {lease}: Holding, onLost: OnLost = 'kill'): number {
	// Where we are killed no process renews the lease.
	const watchdog = lease && onLost === 'kill' ? startWatchdog(lease) : undefined;
	const environment = lease ? {...process.env, IPC_FENCE: String(lease.fence)} : process.env;
	const child = startChild(command, environment, {watchdog});
	if (typeof child === 'object') {
		tellError(child.problem);
		return child.status;
	}
	const guard = lease && new LeaseGuard(lease, shownName, onLost, child, command[0] as string, watchdog ?? -1);
	const onSignals = () => {
		for (const signal of native.takeCaughtSignals()) {
			if (!cameToAllFromTerminal(signal)) kill(child, signal);
		}
	};
	const status = waitForChild(child, onSignals, guard);
	guard?.explainEnd();
	return status;
}

function startWatchdog(lease: Lease): number {
	const watchdog = attempt('cannot start a process that ends the command when the unit is lost', () =>
		native.startWatchdog(),
	);
	lease.useWatchdog(watchdog);
	return watchdog;
}

/**
 * The status of the command counts, whatever happens here: a unit that we do not release is released by the next
 * process.
 */
function letGo(holding: Holding, [file]: readonly string[]): void {
	try {
		if (!holding.letGo()) tellVerbose(`a process that ${quoted(file as string)} left running keeps the unit`);
	} catch (error) {
		if (!(error instanceof SystemError) && !hasCode(error, 'EINTR')) throw error;
		tellError(reasonOf(error));
	}
}

function sayWhomWeWaitFor(semaphore: AnySemaphore): void {
	const holders = semaphore.listHolders().map(describeHolder);
	tellVerbose(
		`waiting for ${quoted(semaphore.shownName)}: ${holders.length > 0 ? `held by ${holders.join('; ')}` : 'no ipc-sem run holds a unit'}`,
	);
}
