import type {About} from '../common/verb.js';
import {Semaphore} from '../objects/semaphore/semaphore.js';
import {remedies} from './remedies.js';

/** The command without its verbs, which are read one by one where only one is needed. */
export const about: About = {
	name: 'ipc-sem',
	summary: 'Limit how many processes run at once; units held by dead processes are released',
	examples: [
		{
			purpose: 'start this in six terminals: two commands run at once',
			line: 'ipc-sem run jobs --create --value 2 -- sleep 5',
		},
		{purpose: 'show the holders meanwhile', line: 'ipc-sem stat jobs'},
	],
	remedies,
	names: () => Semaphore.names(),
	loadCluster: () => import('../cluster/semaphore/index.js'),
};
