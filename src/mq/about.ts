import type {About} from '../common/verb.js';
import {queueNames} from '../objects/queue/queue-folder.js';
import {remedies} from './remedies.js';

/** The command without its verbs, which are read one by one where only one is needed. */
export const about: About = {
	name: 'ipc-mq',
	summary: 'Send and receive messages with priorities through POSIX message queues',
	examples: [
		{purpose: 'send each line as a message, in one terminal', line: 'ls | ipc-mq send jobs --create'},
		{purpose: 'run a command for each message, in another terminal', line: 'ipc-mq recv jobs --follow -- wc -c'},
	],
	remedies,
	names: queueNames,
	loadCluster: () => import('../cluster/queue/index.js'),
};
