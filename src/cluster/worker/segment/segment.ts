import {
	allSubjects,
	type Change,
	type Changed,
	type ClusterSegmentStatus,
	type Contents,
	type News,
	nameOf,
	stream,
} from '../../segment/format.js';
import type {Connection} from '../connection.js';
import {refusalOf, refuse} from '../errors.js';
import {SegmentStore, sizeOf} from './segment-store.js';
import {SegmentFollower} from './segment-watch.js';

/** A segment is a key of a bucket: see ipc-cluster(7). */
export function segmentMethods(connection: Connection) {
	const store = new SegmentStore(connection);
	const followers = new Map<string, SegmentFollower>();

	return {
		/** Whether it was made; false where there is one already. */
		segmentCreate: (name: string, contents: number | Uint8Array, replicas: number | undefined): Promise<boolean> =>
			store.create(name, typeof contents === 'number' ? new Uint8Array(contents) : contents, replicas),

		async segmentSize(name: string): Promise<number> {
			const {value} = await store.entry(name);
			return value ? sizeOf(value) : refuse('no-such', 'it does not exist');
		},

		segmentRead: (name: string): Promise<Contents> => store.read(name),
		segmentChange: (name: string, change: Change): Promise<Changed> => store.change(name, change),
		/** False where it is of another revision. */
		segmentReplace: (name: string, bytes: Uint8Array, revision: number): Promise<boolean> =>
			store.replace(name, bytes, revision),
		segmentRemove: (name: string): Promise<void> => store.remove(name),

		/** The next revision after that one; undefined when there was none in time. */
		segmentNext(name: string, after: number, timeoutMs: number): Promise<News | undefined> {
			const follower = followers.get(name) ?? new SegmentFollower(connection, store, name);
			followers.set(name, follower);
			return follower.next(after, timeoutMs);
		},

		/** Of these, or of all that are segments; those that do not exist are left out. */
		async segmentStatus(names?: readonly string[]): Promise<ClusterSegmentStatus[]> {
			const {streams} = await connection.streams();
			let subjects: string[];
			let replicas: number;
			try {
				const info = await connection.retry(() => streams.info(stream, {subjects_filter: allSubjects}));
				subjects = Object.keys(info.state.subjects ?? {});
				replicas = info.config.num_replicas;
			} catch (error) {
				if (refusalOf(error)?.reason === 'no-such') return [];
				throw error;
			}
			const found: ClusterSegmentStatus[] = [];
			for (const name of names ?? subjects.map(nameOf).sort()) {
				const entry = await store.entry(name).catch((error) => {
					if (names || refusalOf(error)?.reason !== 'damaged') throw error;
					return undefined;
				});
				if (!entry?.value) continue;
				const {revision, value, changed} = entry;
				const stored = 'bytes' in value ? 'value' : 'object';
				found.push({name, size: sizeOf(value), revision, changed: changed.toISOString(), replicas, stored});
			}
			return found;
		},
	};
}

export type SegmentMethods = ReturnType<typeof segmentMethods>;
