import {done} from '../common/exit.js';
import {json} from '../common/options.js';
import {printJson, printLine} from '../common/output.js';
import {one, verb} from '../common/verb.js';
import {MessageQueue, queueName} from '../objects/queue/message-queue.js';
import {RescuedMessages} from '../objects/queue/rescued-messages.js';

export const purge = verb({
	summary: 'Delete all messages of a queue and print how many were deleted',
	operands: {name: one(queueName)},
	options: {json},
	examples: [{purpose: 'empty a queue', line: 'ipc-mq purge jobs'}],
	run({name}, options) {
		using queue = MessageQueue.open(name, 'receive');
		using rescued = new RescuedMessages(queue.shownName);
		let purged = rescued.discardAll();
		// Only as many as are queued now: with a busy sender the loop would never end otherwise.
		for (let left = queue.messages; left > 0 && queue.tryReceive(); left--) purged++;
		if (options.json) printJson({purged});
		else printLine(String(purged));
		return done;
	},
});
