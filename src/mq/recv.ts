import {countOf, quoted, UsageError} from '../common/errors.js';
import {done, endedWith, failed, notNow, timedOut} from '../common/exit.js';
import {duration} from '../common/formats/duration.js';
import {type Address, formatAddress} from '../common/formats/object-name.js';
import {refuse, type TextFormat, wholeNumber} from '../common/formats/text-format.js';
import {chosenFraming, framingOptions} from '../common/framing/framing.js';
import {recordLimit} from '../common/framing/record-limit.js';
import * as common from '../common/options.js';
import {announceReady, expectOutput, tell} from '../common/output.js';
import {stopOnSignals} from '../common/process/signals.js';
import {progressOf} from '../common/transfer.js';
import {one, optionName, verb} from '../common/verb.js';
import {MessageReceiver} from '../objects/queue/message-receiver.js';
import type {Queue, QueueAttributes} from '../objects/queue/queue.js';
import {queueName, queuesAt} from '../objects/queue/queues.js';
import {attributes, checkAttributes, longestBackoffMs} from './options.js';

const backoff: TextFormat<number> = {
	...duration,
	parse(text) {
		const ms = duration.parse(text);
		if (ms > longestBackoffMs) refuse(text, 'a valid duration', 'the maximum is 1h');
		return ms;
	},
};

export const recv = verb({
	summary: 'Receive a message and print it or pass it to a command; highest priority first',
	operands: {name: one(queueName)},
	options: {
		count: {...common.count, help: 'receive N messages (default 1)'},
		all: {...common.all, help: 'receive all messages that are queued now'},
		follow: {...common.follow, help: 'keep running; do not stop after the first message'},
		timeout: common.timeout,
		timeoutStatus: common.timeoutStatus,
		nonblock: common.nonblock,
		...framingOptions,
		json: {help: 'print each message as a JSON object with its priority'},
		join: {help: 'join the parts of messages sent by send --split'},
		jobs: {...common.jobs, help: 'with CMD: run up to N commands in parallel (default 1)'},
		retry: {value: wholeNumber(0, 1_000_000), help: 'with CMD: retry a failed message N times (default 0)'},
		backoff: {
			value: backoff,
			help: 'with --retry: first wait, doubled for each next retry',
		},
		deadLetter: {
			value: queueName,
			help: 'with CMD: queue for messages that failed for good',
		},
		drain: {help: 'with CMD: on SIGTERM let CMD finish, exit with 0'},
		create: {help: 'create the queue if it does not exist'},
		...attributes,
		progress: {...common.progress, help: 'show messages, rate and time on stderr'},
		readyFd: common.readyFd,
	},
	takesCommand: 'optional',
	cluster: true,
	examples: [
		{purpose: 'receive the next message; exit with status 124 after five seconds', line: 'ipc-mq recv jobs -t 5'},
		{
			purpose: 'run up to two jobs in parallel',
			line: 'ipc-mq recv jobs --follow --jobs 2 --dead-letter failed -- ./work',
		},
	],
	needsNode: (_operands, _options, command) => command.length > 0,
	waitsFor: ({name}) => `a message in ${quoted(formatAddress(name))}`,
	run({name}, options, command) {
		const most = recordLimit(options);
		const onlyWithCommand = (['jobs', 'retry', 'backoff', 'deadLetter', 'drain'] as const).find(
			(key) => options[key] !== undefined && options[key] !== false,
		);
		if (command.length === 0 && onlyWithCommand)
			throw new UsageError(`--${optionName(onlyWithCommand)} needs a command: -- CMD`);
		if (options.backoff !== undefined && !options.retry) throw new UsageError('--backoff needs --retry');

		checkAttributes(options);
		const framing = chosenFraming(options);
		if (command.length > 0 && (framing || options.join))
			throw new UsageError('framing and --join cannot be combined with CMD: CMD reads each message unchanged on stdin');
		if (options.deadLetter && formatAddress(options.deadLetter) === formatAddress(name))
			throw new UsageError('--dead-letter must name another queue: a failed message would be received again and again');
		if (command.length === 0) expectOutput();
		const timeoutMs = options.all || options.nonblock ? 0 : (options.timeout ?? -1);
		const open = () => openToReceive(name, options.create ? options : undefined);
		if (command.length > 0) {
			const settings = {
				command,
				most,
				timeoutMs,
				jobs: options.jobs ?? 1,
				retries: options.retry ?? 0,
				backoffMs: options.backoff ?? 0,
				drains: options.drain,
				deadLetter: options.deadLetter,
			};
			// Without a command none of it is needed.
			return import('./worker.js')
				.then(({work}) => work(open, settings, () => announceReady(options.readyFd)))
				.then((end) => {
					if (typeof end === 'object') return endedWith(end.status);
					if (end === 'complete' || options.all) return done;
					return options.nonblock ? notNow : timedOut;
				});
		}
		const queue = open();
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
			tell(`gave up: ${quoted(queue.shownName)} is empty, ${countOf(receiver.received, 'message')} received`);
		return options.nonblock ? notNow : timedOut;
	},
});

/** Opens the queue for sending too, if that is allowed: messages that are not delivered are returned to it. */
function openToReceive(name: Address, create: QueueAttributes | undefined): Queue {
	const queues = queuesAt(name);
	try {
		return queues.open(name, 'both', create);
	} catch (error) {
		if (name.kind === 'cluster') throw error;
		try {
			return queues.open(name, 'receive');
		} catch {
			throw error;
		}
	}
}
