import {hasCode, quoted, reasonOf, SystemError} from '../common/errors.js';
import {EndBySignal, endedWith, notNow, timedOut} from '../common/exit.js';
import {formatDuration} from '../common/formats/duration.js';
import {nonblock, timeout, timeoutStatus} from '../common/options.js';
import {tellError, tellVerbose, verbose} from '../common/output.js';
import {startChild, waitForChild} from '../common/process/children.js';
import {cameToAllFromTerminal} from '../common/process/shutdown.js';
import {SIGHUP, SIGINT, SIGQUIT, SIGTERM} from '../common/process/signals.js';
import {kill} from '../common/process/termination.js';
import {one, verb} from '../common/verb.js';
import {native} from '../native/index.js';
import {Semaphore, semaphoreName} from '../objects/semaphore/semaphore.js';
import type {Holding} from '../objects/semaphore/semaphore-holders.js';
import {describeHolder} from '../objects/semaphore/semaphore-status.js';
import {checkSettings, create, settings} from './options.js';

export const run = verb({
	summary: 'hold one unit while a command runs; it comes back however we die',
	operands: {name: one(semaphoreName)},
	options: {timeout, timeoutStatus, nonblock, create, ...settings(1)},
	takesCommand: true,
	examples: [
		{
			purpose: 'three of these at a time, however many are started',
			line: 'ipc-sem run jobs --create --value 3 -- make',
		},
		{purpose: 'only if nobody else does it now', line: 'ipc-sem run backup --create -n -- ./backup'},
	],
	run({name}, options, command) {
		checkSettings(options);
		using semaphore = Semaphore.open(name, options.create ? options : undefined);
		const startMs = performance.now();
		// Killed in the middle of a wait we would stay counted; and the command hears of what tells us to stop.
		native.catchSignals(Int32Array.of(SIGHUP, SIGINT, SIGQUIT, SIGTERM));
		const holding = semaphore.hold({
			timeoutMs: options.nonblock ? 0 : (options.timeout ?? -1),
			command: command.join(' '),
			inherit: true,
			onWait: () => verbose() && sayWhomWeWaitFor(semaphore),
		});
		if (!holding) return options.nonblock ? notNow : timedOut;
		tellVerbose(`took a unit of ${quoted(semaphore.shownName)} after ${formatDuration(performance.now() - startMs)}`);
		let status: number;
		try {
			// One that came together with the unit has ended no wait.
			status = native.caughtSignal() ? 0 : perform(command);
		} finally {
			letGo(holding, command);
		}
		const signal = native.caughtSignal();
		if (signal) throw new EndBySignal(signal);
		return endedWith(status);
	},
});

/** Runs the command to its end, passing on to it what tells us to stop: its status. */
function perform(command: readonly string[]): number {
	const child = startChild(command, process.env);
	if (typeof child === 'object') {
		tellError(child.problem);
		return child.status;
	}
	return waitForChild(child, () => {
		for (const signal of native.takeCaughtSignals()) {
			if (!cameToAllFromTerminal(signal)) kill(child, signal);
		}
	});
}

/** The command's status counts, whatever happens here: what we do not give back others will. */
function letGo(holding: Holding, [file]: readonly string[]): void {
	try {
		if (!holding.letGo()) tellVerbose(`what ${quoted(file as string)} has left running keeps the unit`);
	} catch (error) {
		if (!(error instanceof SystemError) && !hasCode(error, 'EINTR')) throw error;
		tellError(reasonOf(error));
	}
}

function sayWhomWeWaitFor(semaphore: Semaphore): void {
	const holders = semaphore.listHolders().map(describeHolder);
	tellVerbose(
		`waiting for ${quoted(semaphore.shownName)}: ${holders.length > 0 ? `held by ${holders.join('; ')}` : 'no run holds a unit of it'}`,
	);
}
