import {done, timedOut} from '../common/exit.js';
import * as common from '../common/options.js';
import {announceReady, expectInput, expectOutput} from '../common/output.js';
import {stopOnSignals} from '../common/signals.js';
import {one, verb} from '../common/verb.js';
import {joinConnection} from './joint.js';
import {LocalSocket} from './local-socket.js';
import {backlog, type} from './options.js';
import {formatSocketAddress, localAddress} from './socket-address.js';

export const listen = verb({
	summary: 'take a connection, and join standard input and output to it',
	operands: {address: one(localAddress)},
	options: {
		timeout: {...common.timeout, help: 'give up when nobody comes or nothing moves for so long'},
		timeoutStatus: common.timeoutStatus,
		mode: common.mode,
		backlog,
		type,
		readyFd: common.readyFd,
	},
	examples: [{purpose: 'what one client sends', line: 'ipc-sock listen jobs > received'}],
	run({address}, options) {
		expectInput();
		expectOutput();
		stopOnSignals();
		const timeoutMs = options.timeout ?? -1;
		let connection: LocalSocket | undefined;
		{
			using listener = LocalSocket.listen(address, options);
			announceReady(options.readyFd);
			connection = listener.accept(timeoutMs);
		}
		if (!connection) return timedOut;
		const end = joinConnection(connection.descriptor, {shown: formatSocketAddress(address), timeoutMs});
		return end === 'quiet' ? timedOut : done;
	},
});
