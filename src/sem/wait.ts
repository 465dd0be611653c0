import {quoted} from '../common/errors.js';
import {done, notNow, timedOut} from '../common/exit.js';
import {formatAddress} from '../common/formats/object-name.js';
import {nonblock, readyFd, timeout, timeoutStatus} from '../common/options.js';
import {announceReady} from '../common/output.js';
import {stopOnSignals} from '../common/process/signals.js';
import {one, verb} from '../common/verb.js';
import {semaphoreName, semaphoresAt} from '../objects/semaphore/semaphores.js';
import {checkSettings, create, settings} from './options.js';

export const wait = verb({
	summary: 'Take one unit; wait until one is free',
	aliases: ['acquire'],
	operands: {name: one(semaphoreName)},
	options: {timeout, timeoutStatus, nonblock, create, ...settings(0), readyFd},
	cluster: true,
	examples: [
		{purpose: 'take a unit within five seconds, else exit with status 124', line: 'ipc-sem wait jobs -t 5'},
		{purpose: 'take a unit if one is free, else exit with status 3', line: 'ipc-sem wait jobs -n'},
	],
	waitsFor: ({name}) => `a unit of ${quoted(formatAddress(name))}`,
	run({name}, options) {
		checkSettings(options);
		using semaphore = semaphoresAt(name).open(
			name,
			options.create ? {...options, value: options.value ?? 0} : undefined,
		);
		// Before a unit is taken: the unit would be lost if this fails.
		announceReady(options.readyFd);
		if (options.nonblock) return semaphore.tryTake() ? done : notNow;
		if (semaphore.tryWait()) return done;
		// Killed in the middle we would stay counted as a waiting process.
		stopOnSignals();
		return semaphore.wait(options.timeout) ? done : timedOut;
	},
});
