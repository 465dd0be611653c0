import {quoted, SystemError} from '../common/errors.js';
import {done, failed} from '../common/exit.js';
import {forEachName} from '../common/for-each-name.js';
import {formatAddress} from '../common/formats/object-name.js';
import {exclusive, mode} from '../common/options.js';
import {tell} from '../common/output.js';
import {many, verb} from '../common/verb.js';
import {pipeName, pipesAt} from '../objects/fifo/pipes.js';
import {clusterAttributes} from './attributes.js';

export const create = verb({
	summary: 'Create FIFOs; each stays until it is removed',
	operands: {names: many(pipeName)},
	options: {exclusive, mode, ...clusterAttributes},
	cluster: true,
	examples: [
		{purpose: 'create a FIFO that your group can use', line: '(umask 007; ipc-pipe create --mode 0660 /tmp/log.fifo)'},
	],
	run({names}, options) {
		const allMade = forEachName(names, (name) => {
			const shown = quoted(formatAddress(name));
			if (pipesAt(name).create(name, options)) return;
			if (options.exclusive) throw new SystemError(`cannot create ${shown}: it already exists`);
			tell(`${shown} already exists`);
		});
		return allMade ? done : failed;
	},
});
