import {done} from '../common/exit.js';
import {wholeNumber} from '../common/formats/text-format.js';
import {count} from '../common/options.js';
import {one, verb} from '../common/verb.js';
import {mostUnits, Semaphore, semaphoreName} from '../objects/semaphore/semaphore.js';
import {checkSettings, create, settings} from './options.js';

export const post = verb({
	summary: 'add a unit, which wakes one who waits',
	aliases: ['release', 'notify'],
	operands: {name: one(semaphoreName)},
	options: {
		count: {...count, value: wholeNumber(1, mostUnits), help: 'so many units instead of one'},
		create,
		...settings(0),
	},
	examples: [{purpose: 'let two of those go on who wait', line: 'ipc-sem post ready --count 2'}],
	run({name}, options) {
		checkSettings(options);
		using semaphore = Semaphore.open(name, options.create ? {...options, value: options.value ?? 0} : undefined);
		semaphore.post(options.count);
		return done;
	},
});
