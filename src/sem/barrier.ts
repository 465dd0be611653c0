import {Deadline} from '../common/deadline.js';
import {UsageError} from '../common/errors.js';
import {done, notNow, type Outcome, timedOut} from '../common/exit.js';
import type {Address} from '../common/formats/object-name.js';
import {wholeNumber} from '../common/formats/text-format.js';
import {mode, nonblock, readyFd, timeout, timeoutStatus} from '../common/options.js';
import {announceReady, tellVerbose} from '../common/output.js';
import {stopOnSignals} from '../common/process/signals.js';
import {one, verb} from '../common/verb.js';
import {Semaphore, semaphoreName} from '../objects/semaphore/semaphore.js';

/** A waiting process looks at this interval: the process that should have woken it may have been killed. */
const lookAgainMs = 500;

export const barrier = verb({
	summary: 'Wait until N processes have arrived, then release all of them',
	operands: {name: one(semaphoreName)},
	options: {
		parties: {short: 'p', value: wholeNumber(1, 65_536), help: 'number of processes to wait for (required)'},
		timeout,
		timeoutStatus,
		nonblock,
		mode,
		readyFd,
	},
	examples: [{purpose: 'start the second part of three scripts together', line: 'ipc-sem barrier second --parties 3'}],
	run({name}, options) {
		const {parties} = options;
		if (parties === undefined) throw new UsageError('--parties is missing');
		stopOnSignals();
		for (;;) {
			using semaphore = Semaphore.open(barrierOf(name), {value: 0, mode: options.mode});
			const outcome = meet(semaphore, parties, options);
			if (outcome) return outcome;
		}
	},
});

/** A semaphore of its own: it does not count units. */
function barrierOf(name: Address): string {
	return `ipc-barrier.${name.kind === 'name' ? name.name : ''}`;
}

/** Undefined when this barrier has been opened already: the next round has another one. */
function meet(
	semaphore: Semaphore,
	parties: number,
	options: {timeout: number | undefined; nonblock: boolean; readyFd: number | undefined},
): Outcome | undefined {
	const remove = (): void => {
		if (!semaphore.isRemoved) Semaphore.remove(semaphore.shownName);
	};
	const open = (): void => {
		semaphore.post();
		semaphore.wakeAll();
		remove();
	};
	const arrival = semaphore.table.arrive(parties, open, () => {
		// A process was killed after it had opened the barrier.
		if (semaphore.value > 0) remove();
		return semaphore.isRemoved;
	});
	if (arrival === 'stale') return undefined;
	if (arrival === 'last') {
		announceReady(options.readyFd);
		return done;
	}
	const deadline = new Deadline(options.timeout);
	tellVerbose(`${arrival.count} of ${parties} processes have arrived`);
	let isOpen = false;
	try {
		announceReady(options.readyFd);
		while (!isOpen && !options.nonblock) {
			if (deadline.hasPassed) break;
			isOpen = semaphore.awaitUnit(deadline.waitMs(lookAgainMs));
		}
	} finally {
		arrival.leave(remove);
	}
	// The barrier was opened while we were about to leave.
	if (isOpen || semaphore.value > 0) return done;
	return options.nonblock ? notNow : timedOut;
}
