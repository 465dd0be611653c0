import {countOf, quoted, UsageError} from '../common/errors.js';
import {done, notNow, timedOut} from '../common/exit.js';
import {anyText} from '../common/formats/text-format.js';
import {chosenFraming, framingOptions} from '../common/framing/framing.js';
import * as common from '../common/options.js';
import {expectInput, tell} from '../common/output.js';
import {progressOf} from '../common/transfer.js';
import {any, one, verb} from '../common/verb.js';
import {MessageQueue, queueName} from '../objects/queue/message-queue.js';
import {MessageSender} from '../objects/queue/message-sender.js';
import {attributes, checkAttributes, priority} from './options.js';

export const send = verb({
	summary: 'each operand, or each record of standard input, as a message',
	operands: {name: one(queueName), messages: any(anyText('MESSAGE'))},
	options: {
		priority,
		timeout: common.timeout,
		timeoutStatus: common.timeoutStatus,
		nonblock: common.nonblock,
		...framingOptions,
		json: {help: 'stdin has objects as recv --json prints them, priorities included'},
		split: {help: 'send records longer than a message in parts, for recv --join'},
		create: {help: 'make the queue first when it is missing'},
		...attributes,
		progress: {...common.progress, help: 'show messages, rate and time on stderr'},
	},
	examples: [
		{purpose: 'one message, urgent', line: 'ipc-mq send jobs -p 9 "rebuild all"'},
		{purpose: 'a message a line', line: 'ls | ipc-mq send jobs --create'},
	],
	run({name, messages}, options) {
		checkAttributes(options);
		const framing = chosenFraming(options);
		if (framing && messages.length > 0)
			throw new UsageError('each operand is a message as it is: framing is for stdin');
		using queue = MessageQueue.open(name, 'send', options.create ? options : undefined);
		const progress = progressOf(options.progress, 'messages');
		const sender = new MessageSender(queue, {
			priority: options.priority,
			timeoutMs: options.nonblock ? 0 : (options.timeout ?? -1),
			splits: options.split,
			progress,
		});
		if (messages.length === 0) expectInput();
		const ended = messages.length > 0 ? sender.sendAll(messages) : sender.sendInput(framing ?? 'lines');
		progress?.finish();
		if (ended) return done;
		if (sender.sent > 0)
			tell(`gave up with ${quoted(queue.shownName)} full: ${countOf(sender.sent, 'message')} went through`);
		return options.nonblock ? notNow : timedOut;
	},
});
