import {done, failed} from '../common/exit.js';
import {forEachName} from '../common/for-each-name.js';
import {many, verb} from '../common/verb.js';
import {segmentName} from '../objects/segment/segment-name.js';
import {SharedMemory} from '../objects/segment/shared-memory.js';

export const remove = verb({
	summary: 'Remove segments; processes that map them can continue to use them',
	aliases: ['rm'],
	operands: {names: many(segmentName)},
	examples: [{purpose: 'remove two segments', line: 'ipc-shm remove state ring'}],
	run({names}) {
		return forEachName(names, (name) => SharedMemory.remove(name)) ? done : failed;
	},
});
