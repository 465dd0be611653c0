import {quoted, SystemError} from '../../common/errors.js';
import type {ClusterAddress} from '../../common/formats/cluster-address.js';
import type {QueueAttributes} from '../../objects/queue/queue.js';
import type {QueueStatus} from '../../objects/queue/queue-status.js';
import {clusterQueues} from '../../objects/queue/queues.js';
import {withChannel} from '../channel.js';
import {onCluster, openAt, tryOpenAt} from '../opening.js';
import {attemptOnCluster} from '../refusal.js';
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

const tryOpen = (address: ClusterAddress): ClusterQueue | undefined =>
	tryOpenAt(address, () => ClusterQueue.open(address));

const open = (address: ClusterAddress, create: QueueAttributes | undefined): ClusterQueue =>
	openAt(address, 'queue', () => tryOpen(address), create && (() => make(address, create)));

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
	limits: (cluster) =>
		withChannel(cluster, (channel) =>
			attemptOnCluster(`cannot look at ${quoted(cluster.shown)}`, () =>
				channel.call<QueueMethods, 'queueLimits'>('queueLimits', []),
			),
		),
	all: (cluster) => look(cluster).map((status) => statusOf(cluster.shown + status.name, status)),
});
