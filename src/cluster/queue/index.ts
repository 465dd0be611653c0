import {quoted, SystemError} from '../../common/errors.js';
import type {ClusterAddress} from '../../common/formats/cluster-address.js';
import type {Address} from '../../common/formats/object-name.js';
import type {QueueAttributes} from '../../objects/queue/queue.js';
import type {QueueStatus} from '../../objects/queue/queue-status.js';
import {clusterQueues} from '../../objects/queue/queues.js';
import {withChannel} from '../channel.js';
import {attemptOnCluster, Refusal} from '../refusal.js';
import type {QueueMethods} from '../worker/queue/queue.js';
import {ClusterQueue} from './cluster-queue.js';
import type {ClusterQueueStatus} from './format.js';

/** Queues on a cluster: what src/objects/queue asks for by `clusterQueues`. */

function make(address: ClusterAddress, {mode, ...attributes}: QueueAttributes): boolean {
	if (mode !== undefined)
		throw new SystemError(
			`cannot create ${quoted(address.shown)}: a queue on a cluster has no mode; its server says who may use it`,
		);
	return withChannel(address, (channel) =>
		attemptOnCluster(`cannot create ${quoted(address.shown)}`, () =>
			channel.call<QueueMethods, 'queueCreate'>('queueCreate', [address.name, attributes]),
		),
	);
}

function tryOpen(address: ClusterAddress): ClusterQueue | undefined {
	try {
		return ClusterQueue.open(address);
	} catch (error) {
		if (error instanceof Refusal && error.reason === 'no-such') return undefined;
		return attemptOnCluster(`cannot open ${quoted(address.shown)}`, () => {
			throw error;
		});
	}
}

function open(address: ClusterAddress, create: QueueAttributes | undefined): ClusterQueue {
	// Another process may make and remove it meanwhile: a few rounds settle that.
	for (let round = 0; round < 10; round++) {
		const found = tryOpen(address);
		if (found) return found;
		if (!create) break;
		make(address, create);
	}
	const {shown} = address;
	throw new SystemError(`cannot open ${quoted(shown)}: no such queue`, {reason: 'no-queue', subject: shown});
}

function statusOf(shown: string, {inHand, replicas, leader, created, ...status}: ClusterQueueStatus): QueueStatus {
	return {
		...status,
		name: shown,
		mode: null,
		owner: null,
		users: null,
		notifyPid: null,
		rescued: null,
		cluster: {inHand, replicas, leader, created},
	};
}

const look = (address: ClusterAddress, names?: readonly string[]): ClusterQueueStatus[] =>
	withChannel(address, (channel) =>
		attemptOnCluster(`cannot look at ${quoted(address.shown)}`, () =>
			channel.call<QueueMethods, 'queueStatus'>('queueStatus', [names]),
		),
	);

clusterQueues.register({
	create: (name, attributes) => make(onCluster(name), attributes),
	open: (name, _access, create) => open(onCluster(name), create),
	tryOpen: (name) => tryOpen(onCluster(name)),
	remove(name) {
		const address = onCluster(name);
		withChannel(address, (channel) =>
			attemptOnCluster(
				`cannot remove ${quoted(address.shown)}`,
				() => channel.call<QueueMethods, 'queueRemove'>('queueRemove', [address.name]),
				{'no-such': 'no such queue'},
			),
		);
	},
	look: (names) =>
		names
			.map(onCluster)
			.flatMap((address) => look(address, [address.name]).map((status) => statusOf(address.shown, status))),
	all: (cluster) => look(cluster).map((status) => statusOf(cluster.shown + status.name, status)),
});

function onCluster(address: Address): ClusterAddress {
	if (address.kind !== 'cluster') throw new Error(`not on a cluster: ${address.kind}`);
	return address;
}
