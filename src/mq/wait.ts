import {quoted} from '../common/errors.js';
import {done, notNow, timedOut} from '../common/exit.js';
import {formatAddress} from '../common/formats/object-name.js';
import {nonblock, readyFd, timeout, timeoutStatus} from '../common/options.js';
import {announceReady} from '../common/output.js';
import {one, verb} from '../common/verb.js';
import {queueName, queuesAt} from '../objects/queue/queues.js';
import {rescuedOf} from '../objects/queue/rescued-messages.js';

export const wait = verb({
	summary: 'Wait until a queue has a message, without receiving it',
	operands: {name: one(queueName)},
	options: {timeout, timeoutStatus, nonblock, readyFd},
	cluster: true,
	examples: [{purpose: 'show the queue as soon as it has a message', line: 'ipc-mq wait jobs && ipc-mq stat jobs'}],
	waitsFor: ({name}) => `a message in ${quoted(formatAddress(name))}`,
	run({name}, options) {
		using queue = queuesAt(name).open(name, 'receive');
		announceReady(options.readyFd);
		using rescued = rescuedOf(queue);
		if (rescued?.count() || queue.wait(options.nonblock ? 0 : (options.timeout ?? -1))) return done;
		return options.nonblock ? notNow : timedOut;
	},
});
