import {done, failed} from '../common/exit.js';
import {forEachName} from '../common/for-each-name.js';
import {many, verb} from '../common/verb.js';
import {Fifo, fifoName} from '../objects/fifo/fifo.js';

export const remove = verb({
	summary: 'unlink FIFOs; who has them open goes on',
	aliases: ['rm'],
	operands: {names: many(fifoName)},
	examples: [{purpose: 'remove two of them', line: 'ipc-pipe remove log jobs'}],
	run({names}) {
		return forEachName(names, (name) => Fifo.remove(name)) ? done : failed;
	},
});
