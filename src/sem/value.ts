import {done} from '../common/exit.js';
import {json} from '../common/options.js';
import {printJson, printLine} from '../common/output.js';
import {one, verb} from '../common/verb.js';
import {semaphoreName} from '../objects/semaphore/semaphore.js';
import {openToLook} from '../objects/semaphore/semaphore-status.js';

export const value = verb({
	summary: 'Print how many units are free',
	operands: {name: one(semaphoreName)},
	options: {json},
	examples: [{purpose: 'test if a unit is free', line: 'test "$(ipc-sem value jobs)" -gt 0'}],
	run({name}, options) {
		using semaphore = openToLook(name);
		if (options.json) printJson({name: semaphore.shownName, value: semaphore.value});
		else printLine(String(semaphore.value));
		return done;
	},
});
