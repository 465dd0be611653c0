import {done} from '../common/exit.js';
import {wholeNumber} from '../common/formats/text-format.js';
import {count} from '../common/options.js';
import {one, verb} from '../common/verb.js';
import {mostUnits} from '../objects/semaphore/semaphore.js';
import {semaphoreName, semaphoresAt} from '../objects/semaphore/semaphores.js';
import {checkSettings, create, settings} from './options.js';

export const post = verb({
	summary: 'Add a unit and wake one waiting process',
	aliases: ['release', 'notify'],
	operands: {name: one(semaphoreName)},
	options: {
		count: {...count, value: wholeNumber(1, mostUnits), help: 'add N units (default 1)'},
		create,
		...settings(0),
	},
	cluster: true,
	examples: [{purpose: 'release two waiting processes', line: 'ipc-sem post ready --count 2'}],
	run({name}, options) {
		checkSettings(options);
		using semaphore = semaphoresAt(name).open(
			name,
			options.create ? {...options, value: options.value ?? 0} : undefined,
		);
		semaphore.post(options.count);
		return done;
	},
});
