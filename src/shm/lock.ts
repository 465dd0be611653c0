import {quoted, UsageError} from '../common/errors.js';
import {notNow, type Outcome, timedOut} from '../common/exit.js';
import {type Address, formatAddress} from '../common/formats/object-name.js';
import {nonblock, timeout, timeoutStatus} from '../common/options.js';
import {announceWait, waitIsOver} from '../common/output.js';
import {stopOnSignals} from '../common/process/signals.js';
import type {Segment} from '../objects/segment/segment.js';
import {Semaphore} from '../objects/semaphore/semaphore.js';
import {lock as lockOption} from './options.js';

/** The options of verbs that can run under a lock. */
export const lockOptions = {
	lock: lockOption,
	timeout: {...timeout, help: 'with --lock: give up after DURATION (status 124)'},
	timeoutStatus,
	nonblock: {...nonblock, help: 'with --lock: exit with status 3 if the lock is taken'},
} as const;

export interface LockWish {
	lock: Address | true | undefined;
	timeout: number | undefined;
	nonblock: boolean;
}

/** On a cluster each change is one step anyway; --timeout limits what the cluster may take. */
export function checkLock(name: Address, {lock, timeout, nonblock}: LockWish): void {
	if (name.kind === 'cluster') {
		if (lock !== undefined || nonblock)
			throw new UsageError(
				`--${lock === undefined ? 'nonblock' : 'lock'} is for segments of this machine: on a cluster each change is made in one step`,
			);
		return;
	}
	if (lock === undefined && (timeout !== undefined || nonblock))
		throw new UsageError('--timeout and --nonblock need --lock');
}

/**
 * Runs `work` under the requested lock, if one was requested. The lock of a dead holder is released: by flock(2), and
 * by ipc-sem's list of holders.
 */
export function underLock<Result extends Outcome | Promise<Outcome>>(
	segment: Segment,
	kind: 'shared' | 'exclusive',
	wish: LockWish,
	work: () => Result,
): Result | Outcome {
	const timeoutMs = wish.nonblock ? 0 : (wish.timeout ?? -1);
	const tooLate = wish.nonblock ? notNow : timedOut;
	const {lock} = wish;
	if (lock === undefined) return work();
	if (!wish.nonblock)
		announceWait(() =>
			lock === true ? `the lock of ${quoted(segment.shownName)}` : `a unit of ${quoted(formatAddress(lock))}`,
		);
	if (lock === true) {
		if (!segment.lock(kind, timeoutMs)) return tooLate;
		return afterwards(work, () => segment.unlock());
	}
	const semaphore = Semaphore.open(lock);
	const holding = semaphore.hold({
		timeoutMs,
		command: `ipc-shm ${segment.shownName}`,
		// Killed in the middle of a wait we would stay counted as a waiting process.
		onWait: stopOnSignals,
	});
	if (!holding) {
		semaphore.close();
		return tooLate;
	}
	const working = () => {
		segment.checkIsThere('lock');
		return work();
	};
	return afterwards(working, () => {
		holding.letGo();
		semaphore.close();
	});
}

function afterwards<Result extends Outcome | Promise<Outcome>>(work: () => Result, release: () => void): Result {
	let isLater = false;
	waitIsOver();
	try {
		const result = work();
		if (!(result instanceof Promise)) return result;
		isLater = true;
		return result.finally(release) as Result;
	} finally {
		if (!isLater) release();
	}
}
