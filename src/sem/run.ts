import {formatDuration} from '../common/duration.js';
import {quoted} from '../common/errors.js';
import {EndBySignal, endedWith, notNow, timedOut} from '../common/exit.js';
import {nonblock, timeout, timeoutStatus} from '../common/options.js';
import {tellError, tellVerbose, verbose} from '../common/output.js';
import {startCommand} from '../common/run-command.js';
import {Semaphore, semaphoreName} from '../common/semaphore.js';
import {stopOnSignals} from '../common/signals.js';
import {StopInLoop} from '../common/stop-in-loop.js';
import {one, verb} from '../common/verb.js';
import {native} from '../native/index.js';
import {checkSettings, create, settings} from './options.js';
import {describeHolder} from './semaphore-status.js';

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
	async run({name}, options, command) {
		checkSettings(options);
		const semaphore = Semaphore.open(name, options.create ? options : undefined);
		const startMs = performance.now();
		const holding = semaphore.hold({
			timeoutMs: options.nonblock ? 0 : (options.timeout ?? -1),
			command: command.join(' '),
			inherit: true,
			onWait() {
				// Killed in the middle we would stay counted as one who waits.
				stopOnSignals();
				if (verbose()) sayWhomWeWaitFor(semaphore);
			},
		});
		if (!holding) return options.nonblock ? notNow : timedOut;
		tellVerbose(`took a unit of ${quoted(semaphore.shownName)} after ${formatDuration(performance.now() - startMs)}`);
		let pid: number | undefined;
		using stop = new StopInLoop((signal) => {
			if (pid !== undefined) process.kill(pid, signal);
		});
		// One that came together with the unit has ended no wait.
		const caught = native.caughtSignal();
		if (caught) {
			holding.letGo();
			throw new EndBySignal(caught);
		}
		const running = await startCommand(command, {stdin: 'inherit', stdout: 'inherit'});
		pid = running.pid;
		const {status, problem} = await running.ended;
		pid = undefined;
		if (problem) tellError(problem);
		const isBack = holding.letGo();
		if (!isBack) tellVerbose(`what ${quoted(command[0] as string)} has left running keeps the unit`);
		if (stop.signal !== undefined) throw new EndBySignal(stop.signal);
		return endedWith(status);
	},
});

function sayWhomWeWaitFor(semaphore: Semaphore): void {
	const holders = semaphore.listHolders().map(describeHolder);
	tellVerbose(
		`waiting for ${quoted(semaphore.shownName)}: ${holders.length > 0 ? `held by ${holders.join('; ')}` : 'no run holds a unit of it'}`,
	);
}
