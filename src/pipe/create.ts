import {quoted, SystemError} from '../common/errors.js';
import {done, failed} from '../common/exit.js';
import {forEachName} from '../common/for-each-name.js';
import {formatAddress} from '../common/formats/object-name.js';
import {exclusive, mode} from '../common/options.js';
import {tell} from '../common/output.js';
import {many, verb} from '../common/verb.js';
import {Fifo, fifoName} from '../objects/fifo/fifo.js';

export const create = verb({
	summary: 'Create FIFOs; each stays until it is removed',
	operands: {names: many(fifoName)},
	options: {exclusive, mode},
	examples: [
		{purpose: 'create a FIFO that your group can use', line: '(umask 007; ipc-pipe create --mode 0660 /tmp/log.fifo)'},
	],
	run({names}, options) {
		const allMade = forEachName(names, (name) => {
			const shown = quoted(formatAddress(name));
			if (Fifo.create(name, options)) return;
			if (options.exclusive) throw new SystemError(`cannot create ${shown}: it already exists`);
			tell(`${shown} already exists`);
		});
		return allMade ? done : failed;
	},
});
