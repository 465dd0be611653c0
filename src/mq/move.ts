import {countOf, quoted, SystemError, UsageError} from '../common/errors.js';
import {done, notNow, timedOut} from '../common/exit.js';
import {formatAddress} from '../common/formats/object-name.js';
import * as common from '../common/options.js';
import {printJson, tell, tellVerbose} from '../common/output.js';
import {stopOnSignals} from '../common/process/signals.js';
import {one, verb} from '../common/verb.js';
import {putBack, receiptsOf} from '../objects/queue/put-back.js';
import {queueName, queuesAt} from '../objects/queue/queues.js';
import {rescuedOf} from '../objects/queue/rescued-messages.js';
import {attributes, checkAttributes} from './options.js';

export const move = verb({
	summary: 'Move messages from one queue to another, with their priorities',
	aliases: ['copy'],
	operands: {
		source: one({...queueName, placeholder: 'SOURCE'}),
		destination: one({...queueName, placeholder: 'DESTINATION'}),
	},
	options: {
		count: {...common.count, help: 'stop after N messages (default: all that are queued now)'},
		follow: {...common.follow, help: 'keep running; move each message that arrives'},
		move: {isHidden: true, help: 'what the verb does anyway'},
		timeout: common.timeout,
		timeoutStatus: common.timeoutStatus,
		nonblock: common.nonblock,
		create: {help: 'create a missing destination, with the attributes of the source'},
		...attributes,
		json: {help: 'print the number of moved messages as JSON'},
	},
	cluster: true,
	examples: [{purpose: 'move all messages of one queue to another', line: 'ipc-mq move jobs archive --create'}],
	waitsFor: ({source, destination}) =>
		`a message in ${quoted(formatAddress(source))} and room in ${quoted(formatAddress(destination))}`,
	run({source, destination}, options) {
		checkAttributes(options);
		if (options.follow && options.count !== undefined) throw new UsageError('--count and --follow cannot be combined');
		using from = queuesAt(source).open(source, 'both');
		const {maxmsg = from.maxmsg, msgsize = from.msgsize, mode, replicas} = options;
		using to = queuesAt(destination).open(
			destination,
			'send',
			options.create ? {maxmsg, msgsize, mode, replicas} : undefined,
		);
		if (from.isSameAs(to)) throw new SystemError(`cannot move '${from.shownName}' to itself`);
		stopOnSignals();
		using rescued = rescuedOf(from);
		const there = from.messages + (rescued?.count() ?? 0);
		const most = options.follow ? Number.POSITIVE_INFINITY : (options.count ?? there);
		const waits = options.follow || options.count !== undefined;
		const timeoutMs = options.nonblock ? 0 : (options.timeout ?? -1);
		let moved = 0;
		const report = (isComplete: boolean): void => {
			if (options.json) printJson({moved});
			if (moved > 0 && !isComplete && !options.json) tell(`gave up: ${countOf(moved, 'message')} moved`);
			else tellVerbose(`${countOf(moved, 'message')} moved`);
		};
		while (moved < most) {
			const message = rescued?.take() ?? from.receive({timeoutMs: waits ? timeoutMs : 0});
			if (!message) {
				report(!waits);
				return waits ? (options.nonblock ? notNow : timedOut) : done;
			}
			let isSent = false;
			try {
				isSent = to.send(message.data, {priority: message.priority, timeoutMs});
			} catch (error) {
				if (!(error instanceof SystemError)) throw error;
				throw new SystemError(`${error.message}; ${countOf(moved, 'message')} moved`, {cause: error});
			} finally {
				if (!isSent) putBack(from, [message]);
			}
			if (!isSent) {
				report(false);
				return options.nonblock ? notNow : timedOut;
			}
			from.receipts?.confirm(receiptsOf([message]));
			moved++;
		}
		report(true);
		return done;
	},
});
