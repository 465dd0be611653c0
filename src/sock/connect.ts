import {duration} from '../common/duration.js';
import {hasCode} from '../common/errors.js';
import {done, notNow, timedOut} from '../common/exit.js';
import * as common from '../common/options.js';
import {expectInput, expectOutput} from '../common/output.js';
import {progressOf} from '../common/transfer.js';
import {one, verb} from '../common/verb.js';
import {joinConnection} from './joint.js';
import {LocalSocket} from './local-socket.js';
import {type} from './options.js';
import {formatSocketAddress, localAddress} from './socket-address.js';

export const connect = verb({
	summary: 'standard input and output joined to a connection',
	operands: {address: one(localAddress)},
	options: {
		idle: {value: duration, help: 'after the end of stdin, such a silence is the end (status 0)'},
		timeout: {...common.timeout, help: 'give up when nothing moves for so long (status 124)'},
		timeoutStatus: common.timeoutStatus,
		nonblock: common.nonblock,
		type,
		progress: common.progress,
	},
	examples: [{purpose: 'ask a daemon', line: 'echo status | ipc-sock connect /run/daemon.sock'}],
	run({address}, options) {
		expectInput();
		expectOutput();
		const {type: kind, timeout: timeoutMs = -1} = options;
		let connection: LocalSocket;
		try {
			connection = LocalSocket.connect(address, {type: kind, timeoutMs: options.nonblock ? 0 : timeoutMs});
		} catch (error) {
			if (hasCode(error, 'ETIMEDOUT')) return timedOut;
			if (hasCode(error, 'EAGAIN')) return notNow;
			throw error;
		}
		const progress = progressOf(options.progress, 'bytes');
		const end = joinConnection(connection.descriptor, {
			shown: formatSocketAddress(address),
			timeoutMs,
			idleMs: options.idle,
			progress,
		});
		progress?.finish();
		return end === 'quiet' ? timedOut : done;
	},
});
