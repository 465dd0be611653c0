import {done, failed} from '../common/exit.js';
import {forEachName} from '../common/for-each-name.js';
import {formatAddress} from '../common/formats/object-name.js';
import {many, verb} from '../common/verb.js';
import {MessageQueue, queueName} from '../objects/queue/message-queue.js';
import {RescuedMessages} from '../objects/queue/rescued-messages.js';

export const remove = verb({
	summary: 'Remove queues; processes that have them open can continue to use them',
	aliases: ['rm'],
	operands: {names: many(queueName)},
	examples: [{purpose: 'remove two queues', line: 'ipc-mq remove jobs done'}],
	run({names}) {
		const allGone = forEachName(names, (name) => {
			MessageQueue.remove(name);
			// What belonged to it does not turn up in another queue of that name.
			using rescued = new RescuedMessages(formatAddress(name));
			rescued.discardAll();
		});
		return allGone ? done : failed;
	},
});
