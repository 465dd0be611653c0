import {command} from '../common/command.js';
import {Semaphore} from '../objects/semaphore/semaphore.js';
import {barrier} from './barrier.js';
import {batch} from './batch.js';
import {create} from './create.js';
import {list} from './list.js';
import {post} from './post.js';
import {reap} from './reap.js';
import {remove} from './remove.js';
import {run} from './run.js';
import {stat} from './stat.js';
import {value} from './value.js';
import {wait} from './wait.js';
import {watch} from './watch.js';

export const sem = command({
	name: 'ipc-sem',
	summary: 'POSIX named semaphores: so many at a time, and nobody takes a unit to the grave.',
	verbs: {run, wait, post, value, create, barrier, reap, batch, list, stat, watch, remove},
	examples: [
		{
			purpose: 'in each of six terminals; two of them work at a time',
			line: 'ipc-sem run jobs --create --value 2 -- sleep 5',
		},
		{purpose: 'meanwhile', line: 'ipc-sem stat jobs'},
	],
	names: () => Semaphore.names(),
});
