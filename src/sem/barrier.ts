import {quoted, UsageError} from '../common/errors.js';
import {done, notNow, timedOut} from '../common/exit.js';
import {formatAddress} from '../common/formats/object-name.js';
import {wholeNumber} from '../common/formats/text-format.js';
import {mode, nonblock, readyFd, timeout, timeoutStatus} from '../common/options.js';
import {announceReady, tellVerbose} from '../common/output.js';
import {stopOnSignals} from '../common/process/signals.js';
import {one, verb} from '../common/verb.js';
import {semaphoreName, semaphoresAt} from '../objects/semaphore/semaphores.js';

export const barrier = verb({
	summary: 'Wait until N processes have arrived, then release all of them',
	operands: {name: one(semaphoreName)},
	options: {
		parties: {also: ['-p'], value: wholeNumber(1, 65_536), help: 'number of processes to wait for (required)'},
		timeout,
		timeoutStatus,
		nonblock,
		mode,
		readyFd,
	},
	cluster: true,
	examples: [{purpose: 'start the second part of three scripts together', line: 'ipc-sem barrier second --parties 3'}],
	waitsFor: ({name}) => `the other processes at ${quoted(formatAddress(name))}`,
	run({name}, options) {
		const {parties} = options;
		if (parties === undefined) throw new UsageError('--parties is missing');
		stopOnSignals();
		const isOpen = semaphoresAt(name).meet(name, parties, {
			timeoutMs: options.nonblock ? 0 : (options.timeout ?? -1),
			mode: options.mode,
			onArrival(count) {
				if (count < parties) tellVerbose(`${count} of ${parties} processes have arrived`);
				announceReady(options.readyFd);
			},
		});
		if (isOpen) return done;
		return options.nonblock ? notNow : timedOut;
	},
});
