import {done, failed} from '../common/exit.js';
import {forEachName} from '../common/for-each-name.js';
import {many, verb} from '../common/verb.js';
import {pipeName, pipesAt} from '../objects/fifo/pipes.js';

export const remove = verb({
	summary: 'Remove FIFOs; processes that have them open can continue to use them',
	aliases: ['rm'],
	operands: {names: many(pipeName)},
	cluster: true,
	examples: [{purpose: 'remove two FIFOs', line: 'ipc-pipe remove log jobs'}],
	run({names}) {
		return forEachName(names, (name) => pipesAt(name).remove(name)) ? done : failed;
	},
});
