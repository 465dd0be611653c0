/** How a segment lies on the cluster: see ipc-cluster(7). */

export const bucket = 'ipc-shm';
/** The stream of a key-value bucket. */
export const stream = `KV_${bucket}`;
export const subjectOf = (name: string): string => `$KV.${bucket}.${name}`;
export const allSubjects = `$KV.${bucket}.*`;
export const nameOf = (subject: string): string => subject.slice(subject.lastIndexOf('.') + 1);
/** The stream of the object store with what is too large for a value. */
export const objectStream = `OBJ_${bucket}`;

/** A header of a value that is not the bytes, but says where they are. */
export const objectHeader = 'Ipc-Object';
/** Bytes that a value may have beside its contents. */
export const headerBytes = 512;
/** Both threads hold a segment in memory as a whole. */
export const mostBytes = 256 * 1024 ** 2;

/** Where bytes are that are too large for a value. */
export interface Pointer {
	object: string;
	digest: string;
	size: number;
}

/** What is done to a segment in one step. Numbers are little-endian, as on all machines that this runs on. */
export type Change =
	| {kind: 'exchange' | 'add'; width: 4 | 8; offset: number; value: bigint}
	| {kind: 'compare'; width: 4 | 8; offset: number; value: bigint; expected: bigint}
	| {kind: 'bytes'; offset: number; bytes: Uint8Array; grow: boolean};

export interface Changed {
	/** The bytes in that place before; fewer than the change has where the segment ended there. */
	before: Uint8Array;
	/** Of the segment now. */
	size: number;
	/** It lies beyond the end: nothing was changed. */
	isBeyond: boolean;
}

export interface Contents {
	bytes: Uint8Array;
	revision: number;
}

export interface ClusterSegmentStatus {
	name: string;
	size: number;
	revision: number;
	changed: string;
	replicas: number;
	/** In the key's value, or in the object store. */
	stored: 'value' | 'object';
}

/** A new revision of a segment. */
export interface News {
	revision: number;
	isRemoved: boolean;
}
