import type {About} from '../common/verb.js';
import {segmentNames} from '../objects/segment/segment-name.js';
import {remedies} from './remedies.js';

/** The command without its verbs, which are read one by one where only one is needed. */
export const about: About = {
	name: 'ipc-shm',
	summary: 'Share bytes, numbers and streams of records in POSIX shared memory',
	examples: [
		{purpose: 'share a counter', line: 'ipc-shm create hits --size 8; ipc-shm add hits 1'},
		{purpose: 'stream records to ipc-shm recv ring --follow', line: 'ls | ipc-shm send ring --create'},
	],
	remedies,
	names: segmentNames,
	loadCluster: () => import('../cluster/segment/index.js'),
};
