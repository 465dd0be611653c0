import {countOf, quoted, UsageError} from '../common/errors.js';
import {done, notNow, timedOut} from '../common/exit.js';
import {chosenFraming, framingOptions} from '../common/framing/framing.js';
import {recordLimit} from '../common/framing/record-limit.js';
import * as common from '../common/options.js';
import {announceReady, expectOutput, tell} from '../common/output.js';
import {stopOnSignals} from '../common/process/signals.js';
import {growPipe, progressOf} from '../common/transfer.js';
import {one, verb} from '../common/verb.js';
import {LocalSocket} from '../objects/socket/local-socket.js';
import {formatSocketAddress, localAddress} from '../objects/socket/socket-address.js';
import {AccessList, allow, modeWithAccess} from './access.js';
import {backlog, type} from './options.js';
import {RecordReceiver} from './records/record-receiver.js';

export const recv = verb({
	summary: 'Listen and print the records clients send',
	operands: {address: one(localAddress)},
	options: {
		count: {...common.count, help: 'receive N records (default 1)'},
		all: {...common.all, help: 'receive all records of one client'},
		follow: {...common.follow, help: 'keep running; receive from all clients'},
		timeout: {...common.timeout, help: 'give up after DURATION without a record (status 124)'},
		timeoutStatus: common.timeoutStatus,
		nonblock: common.nonblock,
		allow,
		mode: common.mode,
		backlog,
		type,
		...framingOptions,
		json: {help: 'print each record as a JSON object with its sender'},
		progress: {...common.progress, help: 'show records, rate and time on stderr'},
		readyFd: common.readyFd,
	},
	examples: [
		{purpose: 'collect a log from several clients', line: 'ipc-sock recv log --follow >> log.txt'},
		{
			purpose: 'receive the notifications of a daemon (sd_notify)',
			line: 'ipc-sock recv ./notify --type dgram --follow',
		},
	],
	waitsFor: ({address}) => `records on ${quoted(formatSocketAddress(address))}`,
	run({address}, options) {
		const most = recordLimit(options);
		if (options.all && options.type === 'dgram')
			throw new UsageError('--all needs connections: datagrams have no end (use --count or --follow)');
		const framing = chosenFraming(options) ?? 'lines';
		expectOutput();
		growPipe(1);
		stopOnSignals();
		const access = new AccessList(options.allow);
		using listener = LocalSocket.listen(address, {...options, ...modeWithAccess(options.mode, options.allow)});
		announceReady(options.readyFd);
		const progress = progressOf(options.progress, 'records');
		const receiver = new RecordReceiver(listener, {
			framing,
			most,
			onlyOneClient: options.all,
			timeoutMs: options.nonblock ? 0 : (options.timeout ?? -1),
			access,
			progress,
		});
		const isComplete = receiver.run();
		progress?.finish();
		if (isComplete) return done;
		if (receiver.received > 0 && !options.follow)
			tell(`gave up on ${quoted(formatSocketAddress(address))}: ${countOf(receiver.received, 'record')} received`);
		return options.nonblock ? notNow : timedOut;
	},
});
