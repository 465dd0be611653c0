import {done} from '../common/exit.js';
import {json} from '../common/options.js';
import {printDone} from '../common/output.js';
import {one, verb} from '../common/verb.js';
import {queueName, queuesAt} from '../objects/queue/queues.js';
import {rescuedOf} from '../objects/queue/rescued-messages.js';

export const purge = verb({
	summary: 'Delete all messages of a queue and print how many were deleted',
	operands: {name: one(queueName)},
	options: {json},
	cluster: true,
	examples: [{purpose: 'empty a queue', line: 'ipc-mq purge jobs'}],
	run({name}, options) {
		using queue = queuesAt(name).open(name, 'receive');
		using rescued = rescuedOf(queue);
		const purged = (rescued?.discardAll() ?? 0) + queue.purge();
		printDone('the queue has been emptied', options.json ? JSON.stringify({purged}) : String(purged));
		return done;
	},
});
