import {quoted} from '../../common/errors.js';
import type {ClusterAddress} from '../../common/formats/cluster-address.js';
import {IN_CLOSE_NOWRITE, IN_CLOSE_WRITE, IN_MODIFY} from '../../native/index.js';
import type {FifoStatus} from '../../objects/fifo/fifo-status.js';
import {clusterPipes, type LookSettings, type PipeSubject, type PipeWatch} from '../../objects/fifo/pipes.js';
import {type Channel, closeChannel, openChannel, withChannel} from '../channel.js';
import {onCluster} from '../opening.js';
import {attemptOnCluster} from '../refusal.js';
import type {PipeMethods} from '../worker/pipe/pipe.js';
import {ClusterFeed} from './cluster-feed.js';
import {ClusterReceiver} from './cluster-receiver.js';
import {ClusterSender} from './cluster-sender.js';
import type {ClusterPipeStatus, PipeEvent} from './format.js';

/** Pipes on a cluster: what src/objects/fifo asks for by `clusterPipes`. */

/** What is heard of a pipe, as the bits that inotify(7) has for the same of a FIFO. */
const signs: Readonly<Record<PipeEvent, number>> = {
	reader: IN_CLOSE_NOWRITE,
	writer: IN_CLOSE_WRITE,
	data: IN_MODIFY,
	other: 0,
};

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

const look = (
	address: ClusterAddress,
	names?: readonly string[],
	{users = true, timeoutMs = -1}: LookSettings = {},
): ClusterPipeStatus[] =>
	withChannel(address, (channel) =>
		attemptOnCluster(`cannot look at ${quoted(address.shown)}`, () =>
			channel.call<PipeMethods, 'pipeStatus'>('pipeStatus', [names, users, timeoutMs]),
		),
	);

/** The server tells of what may have changed a pipe. The looks meanwhile share the connection. */
class ClusterWatch implements PipeWatch {
	happened = 0;
	private readonly channel: Channel;
	private hasBegun = false;

	constructor(
		private readonly address: ClusterAddress,
		private readonly subject: PipeSubject,
	) {
		this.channel = openChannel(address);
	}

	begin(): void {
		if (this.hasBegun) return;
		this.hasBegun = true;
		attemptOnCluster(`cannot watch ${quoted(this.address.shown)}`, () =>
			this.channel.call<PipeMethods, 'pipeWatch'>('pipeWatch', [this.address.name, this.subject]),
		);
	}

	waitForChange(mostMs: number): void {
		const events = this.channel.call<PipeMethods, 'pipeNews'>('pipeNews', [this.address.name, Math.ceil(mostMs)]);
		for (const event of events) this.happened |= signs[event];
	}

	[Symbol.dispose](): void {
		closeChannel(this.channel);
	}
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
	openToFeed: (name) => new ClusterFeed(onCluster(name)),
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
	look: (names, settings) =>
		names
			.map(onCluster)
			.flatMap((address) => look(address, [address.name], settings).map((status) => statusOf(address.shown, status))),
	all: (cluster) => look(cluster).map((status) => statusOf(cluster.shown + status.name, status)),
	watch: (name, subject) => new ClusterWatch(onCluster(name), subject),
});
