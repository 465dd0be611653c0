import {done, failed} from '../common/exit.js';
import {forEachName} from '../common/for-each-name.js';
import {many, verb} from '../common/verb.js';
import {Semaphore, semaphoreName} from '../objects/semaphore/semaphore.js';

export const remove = verb({
	summary: 'Remove semaphores; processes that have them open can continue to use them',
	aliases: ['rm'],
	operands: {names: many(semaphoreName)},
	examples: [{purpose: 'remove two semaphores', line: 'ipc-sem remove jobs ready'}],
	run({names}) {
		return forEachName(names, (name) => Semaphore.remove(name)) ? done : failed;
	},
});
