import {done, failed} from '../common/exit.js';
import {forEachName} from '../common/for-each-name.js';
import {many, verb} from '../common/verb.js';
import {segmentName, segmentsAt} from '../objects/segment/segments.js';

export const remove = verb({
	summary: 'Remove segments; processes that map them can continue to use them',
	aliases: ['rm'],
	operands: {names: many(segmentName)},
	cluster: true,
	examples: [{purpose: 'remove two segments', line: 'ipc-shm remove state ring'}],
	run({names}) {
		return forEachName(names, (name) => segmentsAt(name).remove(name)) ? done : failed;
	},
});
