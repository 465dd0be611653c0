import {hasCode} from '../common/errors.js';
import {done, notNow, type Outcome, timedOut} from '../common/exit.js';
import {chosenFraming, framingOptions} from '../common/framing/framing.js';
import * as common from '../common/options.js';
import {expectInput, expectOutput} from '../common/output.js';
import {progressOf} from '../common/transfer.js';
import {one, verb} from '../common/verb.js';
import {openConnection} from '../objects/socket/endpoint.js';
import type {LocalSocket} from '../objects/socket/local-socket.js';
import {hasHostName, socketAddress} from '../objects/socket/socket-address.js';
import {idle, insecure, type} from './options.js';
import {checkSession, runSession} from './stream/session.js';

export const connect = verb({
	summary: 'Connect stdin and stdout to a socket',
	operands: {address: one(socketAddress)},
	options: {
		idle,
		count: {...common.count, help: 'stop after N lines (or records) from the peer'},
		timeout: {...common.timeout, help: 'give up after DURATION without traffic (status 124)'},
		timeoutStatus: common.timeoutStatus,
		nonblock: common.nonblock,
		type,
		...framingOptions,
		json: {help: 'with --type: read and print packets as JSON objects'},
		insecure,
		progress: common.progress,
	},
	examples: [
		{
			purpose: 'ask a daemon and print one line of answer',
			line: 'echo status | ipc-sock connect /run/daemon.sock -c 1',
		},
		{
			purpose: 'stop after two seconds of silence if the daemon does not close',
			line: 'echo status | ipc-sock connect @daemon --idle 2s',
		},
	],
	needsNode: ({address}) => hasHostName(address),
	run({address}, options) {
		const framing = chosenFraming(options);
		checkSession({...options, framing});
		expectInput();
		expectOutput();
		const timeoutMs = options.timeout ?? -1;
		const talk = (connection: LocalSocket): Outcome => {
			const progress = progressOf(options.progress, 'bytes');
			const end = runSession(connection, {framing, timeoutMs, idleMs: options.idle, count: options.count, progress});
			progress?.finish();
			return end === 'quiet' ? timedOut : done;
		};
		const isTooLate = (error: unknown): Outcome => {
			if (hasCode(error, 'ETIMEDOUT')) return options.nonblock ? notNow : timedOut;
			if (hasCode(error, 'EAGAIN')) return notNow;
			throw error;
		};
		try {
			const opened = openConnection(address, {...options, timeoutMs: options.nonblock ? 0 : timeoutMs});
			return opened instanceof Promise ? opened.then(talk).catch(isTooLate) : talk(opened);
		} catch (error) {
			return isTooLate(error);
		}
	},
});
