import {Deadline} from '../../common/deadline.js';
import type {Address} from '../../common/formats/object-name.js';
import {Semaphore} from './semaphore.js';

/** A waiting process looks at this interval: the process that should have woken it may have been killed. */
const lookAgainMs = 500;

/** How a process waits at a barrier. */
export interface MeetSettings {
	/** How long to wait; negative: without limit. */
	timeoutMs: number;
	/** Permission bits of what the first process makes; on this machine only. */
	mode: number | undefined;
	/** Called once this process counts as arrived, with how many have; it may be the last one. */
	onArrival(count: number): void;
}

/** Waits until `parties` processes, this one included, are at the barrier of that name: false when they were not in time. */
export function meet(name: Address, parties: number, settings: MeetSettings): boolean {
	for (;;) {
		using semaphore = Semaphore.open(barrierOf(name), {value: 0, mode: settings.mode});
		const isOpen = meetAt(semaphore, parties, settings);
		if (isOpen !== undefined) return isOpen;
	}
}

/** A semaphore of its own: it does not count units. */
function barrierOf(name: Address): string {
	return `ipc-barrier.${name.kind === 'name' ? name.name : ''}`;
}

/** Undefined when this barrier has been opened already: the next round has another one. */
function meetAt(semaphore: Semaphore, parties: number, {timeoutMs, onArrival}: MeetSettings): boolean | undefined {
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
		onArrival(parties);
		return true;
	}
	const deadline = new Deadline(timeoutMs);
	let isOpen = false;
	try {
		onArrival(arrival.count);
		while (!isOpen && !deadline.hasPassed) isOpen = semaphore.awaitUnit(deadline.waitMs(lookAgainMs));
	} finally {
		arrival.leave(remove);
	}
	// The barrier was opened while we were about to leave.
	return isOpen || semaphore.value > 0;
}
