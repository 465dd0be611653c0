import {countOf, quoted, UsageError} from '../common/errors.js';
import {done, endedWith, failed, notNow, timedOut} from '../common/exit.js';
import {formatAddress} from '../common/formats/object-name.js';
import {wholeNumber} from '../common/formats/text-format.js';
import {chosenFraming, framingOptions} from '../common/framing/framing.js';
import {recordLimit} from '../common/framing/record-limit.js';
import * as common from '../common/options.js';
import {announceReady, expectOutput, tell} from '../common/output.js';
import {stopOnSignals} from '../common/process/signals.js';
import {progressOf} from '../common/transfer.js';
import {one, verb} from '../common/verb.js';
import {MessageQueue, queueName} from '../objects/queue/message-queue.js';
import {MessageReceiver} from '../objects/queue/message-receiver.js';
import {attributes, checkAttributes} from './options.js';
import {Worker} from './worker.js';

export const recv = verb({
	summary: 'a message to standard output, or to a command: the oldest of the highest priority first',
	operands: {name: one(queueName)},
	options: {
		count: {...common.count, help: 'so many messages instead of one'},
		all: {short: 'a', help: 'all there are now'},
		follow: {...common.follow, help: 'go on for ever'},
		timeout: common.timeout,
		timeoutStatus: common.timeoutStatus,
		nonblock: common.nonblock,
		...framingOptions,
		json: {help: 'print an object per message, with its priority'},
		join: {help: 'put together what send --split sent in parts'},
		jobs: {value: wholeNumber(1, 1024), help: 'with CMD: so many at a time (default 1)'},
		retry: {value: wholeNumber(0, 1_000_000), help: 'with CMD: try a failed message so often again'},
		deadLetter: {value: queueName, help: 'with CMD: the queue for what failed for good, made if missing'},
		create: {help: 'make the queue first when it is missing'},
		...attributes,
		progress: {...common.progress, help: 'show messages, rate and time on stderr'},
		readyFd: common.readyFd,
	},
	takesCommand: 'optional',
	examples: [
		{purpose: 'the next message, or status 124 after five seconds', line: 'ipc-mq recv jobs -t 5'},
		{purpose: 'a worker with two hands', line: 'ipc-mq recv jobs --follow --jobs 2 --dead-letter failed -- ./work'},
	],
	run({name}, options, command) {
		const most = recordLimit(options);
		const onlyWithCommand = (['jobs', 'retry', 'deadLetter'] as const).find((key) => options[key] !== undefined);
		if (command.length === 0 && onlyWithCommand)
			throw new UsageError('--jobs, --retry and --dead-letter need a command: -- CMD');

		checkAttributes(options);
		const framing = chosenFraming(options);
		if (command.length > 0 && (framing || options.join))
			throw new UsageError('CMD gets each message as it is on stdin: framing makes no sense');
		if (options.deadLetter && formatAddress(options.deadLetter) === formatAddress(name))
			throw new UsageError('--dead-letter has to be another queue: a message that fails would come again and again');
		if (command.length === 0) expectOutput();
		const timeoutMs = options.all || options.nonblock ? 0 : (options.timeout ?? -1);
		const queue = openToReceive(name, options.create ? options : undefined);
		if (command.length > 0) {
			announceReady(options.readyFd);
			const worker = new Worker(queue, {
				command,
				most,
				timeoutMs,
				jobs: options.jobs ?? 1,
				retries: options.retry ?? 0,
				deadLetter: options.deadLetter,
			});
			return worker
				.run()
				.finally(() => queue.close())
				.then((end) => {
					if (typeof end === 'object') return endedWith(end.status);
					if (end === 'complete' || options.all) return done;
					return options.nonblock ? notNow : timedOut;
				});
		}
		stopOnSignals();
		using _ = queue;
		const progress = progressOf(options.progress, 'messages');
		const receiver = new MessageReceiver(queue, {
			framing: framing ?? 'lines',
			most,
			timeoutMs,
			joins: options.join,
			waitsForNothing: options.all,
			progress,
		});
		announceReady(options.readyFd);
		const isComplete = receiver.run();
		progress?.finish();
		if (receiver.dropped > 0 && (isComplete || options.all)) return failed;
		if (isComplete || options.all) return done;
		if (receiver.received > 0 && !options.follow)
			tell(`gave up with ${quoted(queue.shownName)} empty: ${countOf(receiver.received, 'message')} came`);
		return options.nonblock ? notNow : timedOut;
	},
});

/** Open for sending too where that is allowed: what is not delivered has to go back. */
function openToReceive(
	name: Parameters<typeof MessageQueue.open>[0],
	create: Parameters<typeof MessageQueue.open>[2],
): MessageQueue {
	try {
		return MessageQueue.open(name, 'both', create);
	} catch (error) {
		try {
			return MessageQueue.open(name, 'receive');
		} catch {
			throw error;
		}
	}
}
