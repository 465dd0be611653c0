import {done, notNow, timedOut} from '../common/exit.js';
import {nonblock, readyFd, timeout, timeoutStatus} from '../common/options.js';
import {announceReady} from '../common/output.js';
import {one, verb} from '../common/verb.js';
import {MessageQueue, queueName} from '../objects/queue/message-queue.js';
import {RescuedMessages} from '../objects/queue/rescued-messages.js';

export const wait = verb({
	summary: 'Wait until a queue has a message, without receiving it',
	operands: {name: one(queueName)},
	options: {timeout, timeoutStatus, nonblock, readyFd},
	examples: [{purpose: 'show the queue as soon as it has a message', line: 'ipc-mq wait jobs && ipc-mq stat jobs'}],
	run({name}, options) {
		using queue = MessageQueue.open(name, 'receive');
		announceReady(options.readyFd);
		using rescued = new RescuedMessages(queue.shownName);
		if (rescued.count() || queue.wait(options.nonblock ? 0 : (options.timeout ?? -1))) return done;
		return options.nonblock ? notNow : timedOut;
	},
});
