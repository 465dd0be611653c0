import {countOf, quoted, SystemError} from '../common/errors.js';
import {done, failed} from '../common/exit.js';
import {forEachName} from '../common/for-each-name.js';
import {formatAddress} from '../common/formats/object-name.js';
import {exclusive} from '../common/options.js';
import {tell} from '../common/output.js';
import {many, verb} from '../common/verb.js';
import {semaphoreName, semaphoresAt} from '../objects/semaphore/semaphores.js';
import {settings} from './options.js';

export const create = verb({
	summary: 'Create semaphores; each stays until it is removed',
	operands: {names: many(semaphoreName)},
	options: {...settings(1), exclusive},
	cluster: true,
	examples: [
		{purpose: 'let three processes hold a unit at once', line: 'ipc-sem create jobs --value 3'},
		{purpose: 'start with no unit: wait blocks until a process posts', line: 'ipc-sem create ready --value 0'},
	],
	run({names}, options) {
		const allMade = forEachName(names, (name) => {
			const shown = quoted(formatAddress(name));
			if (semaphoresAt(name).create(name, options)) return;
			if (options.exclusive) throw new SystemError(`cannot create ${shown}: it already exists`);
			using semaphore = semaphoresAt(name).tryOpen(name, 'look');
			tell(`${shown} already exists${semaphore ? ` with ${countOf(semaphore.value, 'free unit')}` : ''}`);
		});
		return allMade ? done : failed;
	},
});
