import type {About} from '../common/verb.js';
import {fifoNames} from '../objects/fifo/fifo-status.js';
import {remedies} from './remedies.js';

/** The command without its verbs, which are read one by one where only one is needed. */
export const about: About = {
	name: 'ipc-pipe',
	summary: 'Pass bytes and records between processes through FIFOs and pipelines',
	examples: [
		{purpose: 'receive, in one terminal', line: 'ipc-pipe recv | grep node'},
		{purpose: 'send, in another terminal', line: 'ps -ef | ipc-pipe send'},
	],
	remedies,
	names: fifoNames,
	loadCluster: () => import('../cluster/pipe/index.js'),
};
