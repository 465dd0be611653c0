import type {About} from '../common/verb.js';
import {socketNames} from '../objects/socket/runtime-sockets.js';
import {remedies} from './remedies.js';

/** The command without its verbs, which are read one by one where only one is needed. */
export const about: About = {
	name: 'ipc-sock',
	summary: 'Connect processes and pass records, calls and open files through local sockets',
	examples: [
		{purpose: 'listen, in one terminal', line: 'ipc-sock listen talk'},
		{purpose: 'connect and send, in another terminal', line: 'ps -ef | ipc-sock connect talk'},
	],
	remedies,
	names: socketNames,
	loadCluster: () => import('../cluster/calls/index.js'),
};
