import {hasCode, quoted, SystemError} from '../../common/errors.js';
import type {ClusterAddress} from '../../common/formats/cluster-address.js';
import {stdout} from '../../common/output.js';
import type {SegmentAccess} from '../../objects/segment/segment.js';
import type {SegmentStatus} from '../../objects/segment/segment-status.js';
import {clusterSegments, type SegmentWatch} from '../../objects/segment/segments.js';
import {type Channel, closeChannel, openChannel, withChannel} from '../channel.js';
import {onCluster, tryOpenAt} from '../opening.js';
import {attemptOnCluster} from '../refusal.js';
import type {SegmentMethods} from '../worker/segment/segment.js';
import {SegmentOnCluster} from './cluster-segment.js';
import type {ClusterSegmentStatus} from './format.js';

/** Segments on a cluster: what src/objects/segment asks for by `clusterSegments`. */

function make(address: ClusterAddress, contents: number | Uint8Array, replicas?: number): boolean {
	return withChannel(address, (channel) =>
		attemptOnCluster(`cannot create ${quoted(address.shown)}`, () =>
			channel.call<SegmentMethods, 'segmentCreate'>('segmentCreate', [address.name, contents, replicas]),
		),
	);
}

const tryOpen = (address: ClusterAddress, access: SegmentAccess = 'both'): SegmentOnCluster | undefined =>
	tryOpenAt(address, () => SegmentOnCluster.open(address, access));

function statusOf(
	shown: string,
	{name: _, size, changed, revision, replicas, stored}: ClusterSegmentStatus,
): SegmentStatus {
	return {
		...{name: shown, size, allocated: size, mode: null, owner: null, changed},
		...{users: null, unseen: null, ring: null},
		cluster: {revision, replicas, stored},
	};
}

const look = (address: ClusterAddress, names?: readonly string[]): ClusterSegmentStatus[] =>
	withChannel(address, (channel) =>
		attemptOnCluster(`cannot look at ${quoted(address.shown)}`, () =>
			channel.call<SegmentMethods, 'segmentStatus'>('segmentStatus', [names]),
		),
	);

class Watch implements SegmentWatch {
	private revision = 0;
	private readonly channel: Channel;

	constructor(private readonly address: ClusterAddress) {
		this.channel = openChannel(address);
	}

	waitForChange(mostMs: number): void {
		try {
			const args: [string, number, number] = [this.address.name, this.revision, mostMs];
			const news = attemptOnCluster(`cannot watch ${quoted(this.address.shown)}`, () =>
				this.channel.call<SegmentMethods, 'segmentNext'>('segmentNext', args, stdout),
			);
			this.revision = news?.revision ?? this.revision;
		} catch (error) {
			if (!hasCode(error, 'EPIPE')) throw error;
		}
	}

	[Symbol.dispose](): void {
		closeChannel(this.channel);
	}
}

clusterSegments.register({
	create(name, {size = 0, mode, replicas}) {
		const address = onCluster(name);
		if (mode !== undefined)
			throw new SystemError(
				`cannot create ${quoted(address.shown)}: a segment on a cluster has no mode; its server says who may use it`,
			);
		return make(address, size, replicas);
	},
	make: (name, bytes) => make(onCluster(name), new Uint8Array(bytes)),
	tryOpen: (name, access) => tryOpen(onCluster(name), access),
	open(name, access) {
		const address = onCluster(name);
		const found = tryOpen(address, access);
		if (found) return found;
		const {shown} = address;
		throw new SystemError(`cannot open ${quoted(shown)}: no such segment`, {reason: 'no-segment', subject: shown});
	},
	remove(name) {
		const address = onCluster(name);
		withChannel(address, (channel) =>
			attemptOnCluster(
				`cannot remove ${quoted(address.shown)}`,
				() => channel.call<SegmentMethods, 'segmentRemove'>('segmentRemove', [address.name]),
				{'no-such': 'no such segment'},
			),
		);
	},
	look: (names) =>
		names
			.map(onCluster)
			.flatMap((address) => look(address, [address.name]).map((status) => statusOf(address.shown, status))),
	all: (cluster) => look(cluster).map((status) => statusOf(cluster.shown + status.name, status)),
	watch: (name) => new Watch(onCluster(name)),
});
