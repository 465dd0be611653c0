import {ClusterPlace} from '../../common/cluster.js';
import {quoted, SystemError} from '../../common/errors.js';
import type {ClusterAddress} from '../../common/formats/cluster-address.js';
import {type Address, formatAddress, parseAddress} from '../../common/formats/object-name.js';
import type {TextFormat} from '../../common/formats/text-format.js';
import {stopOnSignals} from '../../common/process/signals.js';
import {Fifo, fifoName} from './fifo.js';
import {FifoReceiver} from './fifo-receiver.js';
import {FifoSender} from './fifo-sender.js';
import {allAddresses, type FifoStatus, lookAtAddresses} from './fifo-status.js';
import {FifoWatch} from './fifo-watch.js';
import type {PipeAttributes, PipeFeed, PipeReceiver, PipeSender} from './pipe.js';

/** Tells when to look at a pipe again. */
export interface PipeWatch extends Disposable {
	/** Call this before a look, so that no event after the look is missed. */
	begin(): void;
	/** What happened between the looks, as inotify(7) has it; 0 where that is not known. */
	readonly happened: number;
	/** Returns when something may have changed, or after `mostMs`. */
	waitForChange(mostMs: number): void;
}

/** What a watch is for: users that come, bytes that come, or bytes that are read. */
export type PipeSubject = 'users' | 'data' | 'empty';

export interface LookSettings {
	/** Whether the capacity and the fill level are wanted; a look at a FIFO opens it for a moment. */
	contents?: boolean;
	/** Whether the users are wanted; those of a pipe on a cluster have to be asked. */
	users?: boolean;
	/** How long a cluster may not answer; negative: without limit. */
	timeoutMs?: number;
}

/** Where pipes are: this machine, or a cluster. What can be refused is a SystemError with the reason. */
export interface Pipes {
	/** Makes a pipe that stays; false when it exists already, and then it stays from now on. */
	create(name: Address, attributes: PipeAttributes & {exclusive?: boolean}): boolean;
	/** Both make the pipe first if it is missing; its last user then removes it. */
	openToSend(name: Address, attributes: PipeAttributes): PipeSender;
	openToReceive(name: Address, attributes: PipeAttributes): PipeReceiver;
	remove(name: Address): void;
	/** Leaves out those that do not exist. */
	look(names: readonly Address[], settings?: LookSettings): FifoStatus[];
	watch(name: Address, subject: PipeSubject): PipeWatch;
}

/** A signal that comes while it is made finds it, and removes it. */
const openTemporary = (name: Address, mode: number | undefined): Fifo =>
	Fifo.open(name, {mode, temporary: true, beforeTemporary: stopOnSignals});

const localPipes: Pipes = {
	create(name, {size, replicas, ...settings}) {
		if ((size ?? replicas) !== undefined)
			throw new SystemError(
				`cannot create ${quoted(formatAddress(name))}: a FIFO has no replicas, and its capacity comes from send or recv`,
			);
		return Fifo.create(name, settings);
	},
	openToSend: (name, {mode, size}) => new FifoSender(openTemporary(name, mode), size),
	openToReceive: (name, {mode, size}) => new FifoReceiver(openTemporary(name, mode), size),
	remove: (name) => Fifo.remove(name),
	look: lookAtAddresses,
	watch: (name, subject) => new FifoWatch(name, subject === 'users' ? 'users' : 'contents'),
};

/** The pipes on clusters: src/cluster/pipe. */
export const clusterPipes = new ClusterPlace<
	Pipes & {
		all(cluster: ClusterAddress): FifoStatus[];
		/** Makes the pipe first if it is missing. */
		openToFeed(name: Address): PipeFeed;
	}
>();

export const pipesAt = (name: Address): Pipes => (name.kind === 'cluster' ? clusterPipes.objects : localPipes);

/** All pipes, of the runtime folder or of a cluster. */
export const lookAtAllPipes = (cluster?: ClusterAddress): FifoStatus[] =>
	cluster ? clusterPipes.objects.all(cluster) : lookAtAddresses(allAddresses());

/** A pipe's name on the command line: an invalid name is refused before anything is done. */
export const pipeName: TextFormat<Address> = {
	placeholder: 'NAME',
	completes: 'objects and paths',
	parse(text) {
		const address = parseAddress(text);
		return address.kind === 'cluster' ? address : fifoName.parse(text);
	},
};
