import {countOf, hasCode, quoted, UsageError} from '../common/errors.js';
import {done, notNow, timedOut} from '../common/exit.js';
import {anyText} from '../common/formats/text-format.js';
import {chosenFraming, framingOptions} from '../common/framing/framing.js';
import * as common from '../common/options.js';
import {expectInput, tell} from '../common/output.js';
import {progressOf} from '../common/transfer.js';
import {any, one, verb} from '../common/verb.js';
import {LocalSocket} from '../objects/socket/local-socket.js';
import {formatSocketAddress, localAddress} from '../objects/socket/socket-address.js';
import {type} from './options.js';
import {RecordSender} from './records/record-sender.js';

export const send = verb({
	summary: 'Send each operand, or each record of standard input, to a listening process',
	operands: {address: one(localAddress), messages: any(anyText('MESSAGE'))},
	options: {
		timeout: {...common.timeout, help: 'give up if the receiver reads nothing for DURATION (status 124)'},
		timeoutStatus: common.timeoutStatus,
		nonblock: common.nonblock,
		type,
		...framingOptions,
		json: {help: 'read JSON objects, as recv --json prints them'},
		progress: {...common.progress, help: 'show records, rate and time on stderr'},
	},
	examples: [
		{purpose: 'send one line', line: 'ipc-sock send log "it begins"'},
		{purpose: 'send a datagram', line: 'ipc-sock send /run/systemd/notify --type dgram READY=1'},
	],
	waitsFor: ({address}) => `the receiver on ${quoted(formatSocketAddress(address))}`,
	run({address, messages}, options) {
		const framing = chosenFraming(options);
		if (framing && messages.length > 0 && (framing === 'json' || framing === 'raw'))
			throw new UsageError(`--${framing} cannot be combined with operands: each operand is one record`);
		const timeoutMs = options.nonblock ? 0 : (options.timeout ?? -1);
		if (messages.length === 0) expectInput();
		try {
			using socket = LocalSocket.connect(address, {type: options.type, timeoutMs});
			const progress = progressOf(options.progress, 'records');
			const sender = new RecordSender(socket, {framing: framing ?? 'lines', timeoutMs, progress});
			const ended = messages.length > 0 ? sender.sendAll(messages) : sender.sendInput();
			progress?.finish();
			if (ended) return done;
			if (sender.sent > 0)
				tell(
					`gave up on ${quoted(socket.shownName)}: ${countOf(sender.sent, 'record')} sent${sender.isUnread ? ', but not all were read' : ''}`,
				);
		} catch (error) {
			if (!hasCode(error, 'ETIMEDOUT', 'EAGAIN')) throw error;
		}
		return options.nonblock ? notNow : timedOut;
	},
});
