import {ClusterPlace} from '../../common/cluster.js';
import {quoted, SystemError, UsageError} from '../../common/errors.js';
import type {ClusterAddress} from '../../common/formats/cluster-address.js';
import {type Address, formatAddress, parseAddress} from '../../common/formats/object-name.js';
import type {TextFormat} from '../../common/formats/text-format.js';
import type {AnySemaphore} from './any-semaphore.js';
import {type MeetSettings, meet} from './barrier.js';
import {semaphoreName as localName, Semaphore, type SemaphoreSettings} from './semaphore.js';
import {lookAtSemaphore, lookAtAllSemaphores as lookHere, type SemaphoreStatus} from './semaphore-status.js';

/** Where semaphores are: this machine, or a cluster. What can be refused is a SystemError with the reason. */
export interface Semaphores {
	/** Makes a semaphore; false when the name exists already, and that semaphore stays as it is. */
	create(name: Address, settings: SemaphoreSettings): boolean;
	/** Opens a semaphore; with `create` makes it first if it is missing. */
	open(name: Address, create?: SemaphoreSettings): AnySemaphore;
	/** Undefined when it does not exist. With 'look' permission to read it is enough. */
	tryOpen(name: Address, access?: 'use' | 'look'): AnySemaphore | undefined;
	remove(name: Address): void;
	/** Looks at a semaphore and takes nothing; undefined while there is none of that name. */
	look(name: Address): SemaphoreStatus | undefined;
	/** To look at a semaphore again and again. */
	view(name: Address): SemaphoreView;
	/** Waits until `parties` processes are at the barrier of that name: false when they were not in time. */
	meet(name: Address, parties: number, settings: MeetSettings): boolean;
}

/** Looks at a semaphore as often as it is asked to; undefined while there is none of that name. */
export interface SemaphoreView extends Disposable {
	look(): SemaphoreStatus | undefined;
}

const localSemaphores: Semaphores = {
	create: (name, settings) => Semaphore.create(name, settings),
	open: (name, create) => Semaphore.open(name, create),
	tryOpen: (name, access) => Semaphore.tryOpen(name, access),
	remove: (name) => Semaphore.remove(name),
	look: lookAtSemaphore,
	view: (name) => ({look: () => lookAtSemaphore(name), [Symbol.dispose]() {}}),
	meet,
};

/** The semaphores on clusters: src/cluster/semaphore. */
export const clusterSemaphores = new ClusterPlace<Semaphores & {all(cluster: ClusterAddress): SemaphoreStatus[]}>();

export const semaphoresAt = (name: Address): Semaphores =>
	name.kind === 'cluster' ? clusterSemaphores.objects : localSemaphores;

/** All semaphores, of this machine or of a cluster. */
export const lookAtAllSemaphores = (cluster?: ClusterAddress): SemaphoreStatus[] =>
	cluster ? clusterSemaphores.objects.all(cluster) : lookHere();

/** What a verb that looks at one semaphore says where there is none. */
export function found<Found>(name: Address, what: Found | undefined): Found {
	if (what === undefined) throw new SystemError(`cannot open ${quoted(formatAddress(name))}: no such semaphore`);
	return what;
}

/** A semaphore's name on the command line: an invalid name is refused before anything is done. */
export const semaphoreName: TextFormat<Address> = {
	placeholder: 'NAME',
	completes: 'objects',
	parse(text) {
		const address = parseAddress(text);
		if (address.kind !== 'cluster') return localName.parse(text);
		if (address.name.startsWith('@'))
			throw new UsageError(`invalid semaphore name '${address.shown}': '@' is not allowed`);
		return address;
	},
};
