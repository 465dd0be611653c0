import {SystemError} from '../../common/errors.js';
import {formatDuration} from '../../common/formats/duration.js';
import {octalMode} from '../../common/formats/mode.js';
import type {Address} from '../../common/formats/object-name.js';
import {native} from '../../native/index.js';
import type {Holder} from './holding.js';
import {Semaphore} from './semaphore.js';

/** The status of a semaphore; the keys are those of --json. */
export interface SemaphoreStatus {
	name: string;
	/** Free units. */
	value: number;
	/** Number of waiting processes, as the C library counts; a process killed while it waited stays counted. Null on a cluster. */
	waiters: number | null;
	/** Octal, as chmod(1) takes it; null on a cluster, where the server says who may do what. */
	mode: string | null;
	owner: string | null;
	/** Units that `run` holds. Units that other programs have taken cannot be known. */
	holders: Holder[];
	/** Of a semaphore on a cluster only. */
	cluster?: {
		replicas: number;
		/** When it was made. */
		created: string;
	};
}

function statusOf(semaphore: Semaphore): SemaphoreStatus {
	const {mode, uid} = semaphore.stat();
	return {
		name: semaphore.shownName,
		value: semaphore.value,
		waiters: semaphore.waiters,
		mode: octalMode(mode),
		owner: native.userName(uid) ?? String(uid),
		holders: semaphore.listHolders(),
	};
}

/** Looks at a semaphore and takes nothing; undefined while there is none of that name. */
export function lookAtSemaphore(name: Address): SemaphoreStatus | undefined {
	using semaphore = Semaphore.tryOpen(name, 'look');
	return semaphore && statusOf(semaphore);
}

/** Looks at all semaphores; skips files that are not semaphores, and semaphores that cannot be opened. */
export function lookAtAllSemaphores(): SemaphoreStatus[] {
	return allSemaphores().flatMap((name) => {
		try {
			return lookAtSemaphore(name) ?? [];
		} catch (error) {
			if (error instanceof SystemError) return [];
			throw error;
		}
	});
}

export const allSemaphores = (): Address[] => Semaphore.names().map((name) => ({kind: 'name', name}));

const whatHolds: Record<Holder['state'], (pid: number) => string> = {
	held: () => '',
	left: (pid) => `; ${pid} has ended, a process that it started holds the unit`,
	dead: () => '; the holder is dead, the next run, wait or reap releases the unit',
};

/** `1234 make -j4, for 5.0s`, on a cluster with the host before it. */
export function describeHolder({host, pid, command, since, state}: Holder): string {
	const forMs = Math.max(0, Date.now() - Date.parse(since));
	return `${host === undefined ? '' : `${host} `}${pid} ${command || '?'}, for ${formatDuration(forMs)}${whatHolds[state](pid)}`;
}
