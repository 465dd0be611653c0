import {ClusterPlace} from '../../common/cluster.js';
import type {ClusterAddress} from '../../common/formats/cluster-address.js';
import {type Address, formatAddress, parseAddress} from '../../common/formats/object-name.js';
import type {TextFormat} from '../../common/formats/text-format.js';
import {queueName as localName, MessageQueue} from './message-queue.js';
import type {Queue, QueueAccess, QueueAttributes} from './queue.js';
import {allQueues, lookAtQueues, type QueueStatus} from './queue-status.js';
import {RescuedMessages} from './rescued-messages.js';

/** Where queues are: this machine, or a cluster. What can be refused is a SystemError with the reason. */
export interface Queues {
	/** Makes a queue; false when the name exists already, and that queue stays as it is. */
	create(name: Address, attributes: QueueAttributes): boolean;
	/** Opens a queue; with `create` makes it first if it is missing. */
	open(name: Address, access: QueueAccess, create?: QueueAttributes): Queue;
	/** Undefined when it does not exist. */
	tryOpen(name: Address, access: QueueAccess): Queue | undefined;
	remove(name: Address): void;
	/** Leaves out those that do not exist or cannot be looked at. */
	look(names: readonly Address[]): QueueStatus[];
}

const localQueues: Queues = {
	create: (name, attributes) => MessageQueue.create(name, attributes),
	open: (name, access, create) => MessageQueue.open(name, access, create),
	tryOpen: (name, access) => MessageQueue.tryOpen(name, access),
	remove(name) {
		MessageQueue.remove(name);
		// What belonged to it does not turn up in another queue of that name.
		using rescued = new RescuedMessages(formatAddress(name));
		rescued.discardAll();
	},
	look: lookAtQueues,
};

/** What a cluster sets; the keys are those of --json. A number is null where there is no limit. */
export interface ClusterLimits {
	/** Maximum bytes of a message. */
	msgsizeMax: number;
	/** Streams, which queues, pipes and buckets are, and how many there are. */
	streamsMax: number | null;
	streams: number;
	/** Bytes in files that all streams together may take, and take. */
	storageMax: number | null;
	storage: number;
	msgDefault: number;
}

/** The queues on clusters: src/cluster/queue. */
export const clusterQueues = new ClusterPlace<
	Queues & {all(cluster: ClusterAddress): QueueStatus[]; limits(cluster: ClusterAddress): ClusterLimits}
>();

export const queuesAt = (name: Address): Queues => (name.kind === 'cluster' ? clusterQueues.objects : localQueues);

/** All queues, of this machine or of a cluster. */
export const lookAtAllQueues = (cluster?: ClusterAddress): QueueStatus[] =>
	cluster ? clusterQueues.objects.all(cluster) : lookAtQueues(allQueues());

/** A queue's name on the command line: an invalid name is refused before anything is done. */
export const queueName: TextFormat<Address> = {
	placeholder: 'NAME',
	completes: 'objects',
	parse(text) {
		const address = parseAddress(text);
		return address.kind === 'cluster' ? address : localName.parse(text);
	},
};
