import {quoted} from '../../common/errors.js';
import type {ClusterAddress} from '../../common/formats/cluster-address.js';
import {pause} from '../../common/waiting.js';
import type {FifoStatus} from '../../objects/fifo/fifo-status.js';
import {clusterPipes, type PipeWatch} from '../../objects/fifo/pipes.js';
import {withChannel} from '../channel.js';
import {onCluster} from '../opening.js';
import {attemptOnCluster} from '../refusal.js';
import type {PipeMethods} from '../worker/pipe/pipe.js';
import {ClusterReceiver} from './cluster-receiver.js';
import {ClusterSender} from './cluster-sender.js';
import type {ClusterPipeStatus} from './format.js';

/** Pipes on a cluster: what src/objects/fifo asks for by `clusterPipes`. */

/** How often we look again. */
const lookMs = 100;

const statusOf = (
	shown: string,
	{isTemporary, size, queued, readers, writers, replicas, leader, created}: ClusterPipeStatus,
): FifoStatus => ({
	name: shown,
	path: null,
	mode: null,
	owner: null,
	temporary: isTemporary,
	capacity: size,
	queued,
	readers: readers.map((user) => ({...user, waiting: false})),
	writers,
	cluster: {replicas, leader, created},
});

const look = (address: ClusterAddress, names?: readonly string[]): ClusterPipeStatus[] =>
	withChannel(address, (channel) =>
		attemptOnCluster(`cannot look at ${quoted(address.shown)}`, () =>
			channel.call<PipeMethods, 'pipeStatus'>('pipeStatus', [names]),
		),
	);

/** Nothing tells us of a change that a look would show. */
class ClusterWatch implements PipeWatch {
	readonly happened = 0;

	begin(): void {}

	waitForChange(mostMs: number): void {
		pause(Math.ceil(Math.min(mostMs, lookMs)));
	}

	[Symbol.dispose](): void {}
}

clusterPipes.register({
	create(name, {mode, ...attributes}) {
		const address = onCluster(name);
		return withChannel(address, (channel) =>
			attemptOnCluster(`cannot create ${quoted(address.shown)}`, () =>
				channel.call<PipeMethods, 'pipeCreate'>('pipeCreate', [address.name, attributes]),
			),
		);
	},
	openToSend: (name, attributes) => new ClusterSender(onCluster(name), attributes),
	openToReceive: (name, attributes) => new ClusterReceiver(onCluster(name), attributes),
	remove(name) {
		const address = onCluster(name);
		withChannel(address, (channel) =>
			attemptOnCluster(
				`cannot remove ${quoted(address.shown)}`,
				() => channel.call<PipeMethods, 'pipeRemove'>('pipeRemove', [address.name]),
				{'no-such': 'no such pipe'},
			),
		);
	},
	look: (names) =>
		names
			.map(onCluster)
			.flatMap((address) => look(address, [address.name]).map((status) => statusOf(address.shown, status))),
	all: (cluster) => look(cluster).map((status) => statusOf(cluster.shown + status.name, status)),
	watch: () => new ClusterWatch(),
});
