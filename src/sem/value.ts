import {done} from '../common/exit.js';
import {json} from '../common/options.js';
import {printJson, printLine} from '../common/output.js';
import {one, verb} from '../common/verb.js';
import {found, semaphoreName, semaphoresAt} from '../objects/semaphore/semaphores.js';

export const value = verb({
	summary: 'Print how many units are free',
	operands: {name: one(semaphoreName)},
	options: {json},
	cluster: true,
	examples: [{purpose: 'test if a unit is free', line: 'test "$(ipc-sem value jobs)" -gt 0'}],
	run({name}, options) {
		using semaphore = found(name, semaphoresAt(name).tryOpen(name, 'look'));
		if (options.json) printJson({name: semaphore.shownName, value: semaphore.value});
		else printLine(String(semaphore.value));
		return done;
	},
});
