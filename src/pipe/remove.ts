import {done, failed} from '../common/exit.js';
import {forEachName} from '../common/for-each-name.js';
import {many, verb} from '../common/verb.js';
import {Fifo, fifoName} from '../objects/fifo/fifo.js';

export const remove = verb({
	summary: 'Remove FIFOs; processes that have them open can continue to use them',
	aliases: ['rm'],
	operands: {names: many(fifoName)},
	examples: [{purpose: 'remove two FIFOs', line: 'ipc-pipe remove log jobs'}],
	run({names}) {
		return forEachName(names, (name) => Fifo.remove(name)) ? done : failed;
	},
});
