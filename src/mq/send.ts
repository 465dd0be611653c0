import {countOf, quoted, UsageError} from '../common/errors.js';
import {done, notNow, timedOut} from '../common/exit.js';
import {formatAddress} from '../common/formats/object-name.js';
import {anyText} from '../common/formats/text-format.js';
import {chosenFraming, framingOptions} from '../common/framing/framing.js';
import * as common from '../common/options.js';
import {announceReady, expectInput, tell} from '../common/output.js';
import {progressOf} from '../common/transfer.js';
import {any, one, verb} from '../common/verb.js';
import {MessageSender} from '../objects/queue/message-sender.js';
import {queueName, queuesAt} from '../objects/queue/queues.js';
import {attributes, checkAttributes, priority} from './options.js';

export const send = verb({
	summary: 'Send each operand, or each record of standard input, as a message',
	operands: {name: one(queueName), messages: any(anyText('MESSAGE'))},
	options: {
		priority,
		timeout: common.timeout,
		timeoutStatus: common.timeoutStatus,
		nonblock: common.nonblock,
		...framingOptions,
		json: {help: 'read JSON objects with priorities, as recv --json prints them'},
		split: {help: 'split records longer than a message into parts, for recv --join'},
		create: {help: 'create the queue if it does not exist'},
		...attributes,
		progress: {...common.progress, help: 'show messages, rate and time on stderr'},
		readyFd: common.readyFd,
	},
	cluster: true,
	examples: [
		{purpose: 'send one urgent message', line: 'ipc-mq send jobs -p 9 "rebuild all"'},
		{purpose: 'send each line as a message', line: 'ls | ipc-mq send jobs --create'},
	],
	waitsFor: ({name}) => `room in ${quoted(formatAddress(name))}`,
	run({name, messages}, options) {
		checkAttributes(options);
		const framing = chosenFraming(options);
		if (framing && messages.length > 0)
			throw new UsageError('framing cannot be combined with operands: each operand is one message');
		using queue = queuesAt(name).open(name, 'send', options.create ? options : undefined);
		announceReady(options.readyFd);
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
		if (sender.sent > 0) tell(`gave up: ${quoted(queue.shownName)} is full, ${countOf(sender.sent, 'message')} sent`);
		return options.nonblock ? notNow : timedOut;
	},
});
