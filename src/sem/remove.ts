import {done, failed} from '../common/exit.js';
import {forEachName} from '../common/for-each-name.js';
import {many, verb} from '../common/verb.js';
import {semaphoreName, semaphoresAt} from '../objects/semaphore/semaphores.js';

export const remove = verb({
	summary: 'Remove semaphores; processes that have them open can continue to use them',
	aliases: ['rm'],
	operands: {names: many(semaphoreName)},
	cluster: true,
	examples: [{purpose: 'remove two semaphores', line: 'ipc-sem remove jobs ready'}],
	run({names}) {
		return forEachName(names, (name) => semaphoresAt(name).remove(name)) ? done : failed;
	},
});
