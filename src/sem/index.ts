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
	summary: 'Limit how many processes run at once; units held by dead processes are released',
	verbs: {run, wait, post, value, create, barrier, reap, batch, list, stat, watch, remove},
	examples: [
		{
			purpose: 'start this in six terminals: two commands run at once',
			line: 'ipc-sem run jobs --create --value 2 -- sleep 5',
		},
		{purpose: 'show the holders meanwhile', line: 'ipc-sem stat jobs'},
	],
	names: () => Semaphore.names(),
});
