import {command} from '../common/command.js';
import {queueNames} from '../objects/queue/queue-folder.js';
import {copy} from './copy.js';
import {create} from './create.js';
import {limits} from './limits-verb.js';
import {list} from './list.js';
import {purge} from './purge.js';
import {recv} from './recv.js';
import {remove} from './remove.js';
import {send} from './send.js';
import {stat} from './stat.js';
import {wait} from './wait.js';
import {watch} from './watch.js';

export const mq = command({
	name: 'ipc-mq',
	summary: 'Send and receive messages with priorities through POSIX message queues',
	verbs: {send, recv, wait, copy, create, list, stat, watch, limits, purge, remove},
	examples: [
		{purpose: 'send each line as a message, in one terminal', line: 'ls | ipc-mq send jobs --create'},
		{purpose: 'run a command for each message, in another terminal', line: 'ipc-mq recv jobs --follow -- wc -c'},
	],
	names: queueNames,
});
