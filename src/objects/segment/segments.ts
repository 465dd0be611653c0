import {ClusterPlace} from '../../common/cluster.js';
import {quoted, SystemError} from '../../common/errors.js';
import type {ClusterAddress} from '../../common/formats/cluster-address.js';
import {type Address, formatAddress, parseAddress} from '../../common/formats/object-name.js';
import type {TextFormat} from '../../common/formats/text-format.js';
import type {Segment, SegmentAccess, SegmentSettings} from './segment.js';
import {allSegments, toAddress} from './segment-name.js';
import {lookAtSegments, type SegmentStatus} from './segment-status.js';
import {SharedMemory} from './shared-memory.js';

/** Where segments are: this machine, or a cluster. What can be refused is a SystemError with the reason. */
export interface Segments {
	/** Makes a zeroed segment; false when the name exists already, and that segment stays as it is. */
	create(name: Address, settings: SegmentSettings): boolean;
	open(name: Address, access?: SegmentAccess): Segment;
	/** Undefined when it does not exist. */
	tryOpen(name: Address, access?: SegmentAccess): Segment | undefined;
	remove(name: Address): void;
	/** Leaves out those that do not exist. */
	look(names: readonly Address[]): SegmentStatus[];
}

const localSegments: Segments = {
	create(name, {replicas, ...settings}) {
		if (replicas !== undefined)
			throw new SystemError(`cannot create ${quoted(formatAddress(name))}: only a segment on a cluster has replicas`);
		return SharedMemory.create(name, settings);
	},
	open: (name, access) => SharedMemory.open(name, access),
	tryOpen: (name, access) => SharedMemory.tryOpen(name, access),
	remove: (name) => SharedMemory.remove(name),
	look: lookAtSegments,
};

/** A segment with what only a cluster has. */
export interface ClusterSegment extends Segment {
	/** All bytes, and the revision that they are of. */
	readAll(): {bytes: Buffer; revision: number};
	/** Replaces all bytes; false, and nothing is changed, when it is of another revision. */
	replaceAll(bytes: Uint8Array, revision: number): boolean;
	/**
	 * Stores bytes from an offset on, in one step, and grows for them where `grow` is set. Otherwise more than there is
	 * room for changes nothing: then the size is returned.
	 */
	store(offset: number, bytes: Uint8Array, grow: boolean): {size: number; isStored: boolean};
}

/** Waits for changes of one segment. */
export interface SegmentWatch extends Disposable {
	/**
	 * Waits for the next one, at most that long (negative: without limit); also ends, without one, when the reader of stdout leaves.
	 */
	waitForChange(mostMs: number): void;
}

export interface ClusterSegments extends Segments {
	open(name: Address, access?: SegmentAccess): ClusterSegment;
	tryOpen(name: Address, access?: SegmentAccess): ClusterSegment | undefined;
	/** Makes one with these bytes; false when the name exists already. */
	make(name: Address, bytes: Uint8Array): boolean;
	all(cluster: ClusterAddress): SegmentStatus[];
	watch(name: Address): SegmentWatch;
}

/** The segments on clusters: src/cluster/segment. */
export const clusterSegments = new ClusterPlace<ClusterSegments>();

export const segmentsAt = (name: Address): Segments =>
	name.kind === 'cluster' ? clusterSegments.objects : localSegments;

/** All segments, of this machine or of a cluster. */
export const lookAtAllSegments = (cluster?: ClusterAddress): SegmentStatus[] =>
	cluster ? clusterSegments.objects.all(cluster) : lookAtSegments(allSegments());

/** A segment's name on the command line: an invalid name is refused before anything is done. */
export const segmentName: TextFormat<Address> = {
	placeholder: 'NAME',
	completes: 'objects',
	parse(text) {
		const address = parseAddress(text);
		return address.kind === 'cluster' ? address : toAddress(address);
	},
};
