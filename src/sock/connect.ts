import {hasCode, UsageError} from '../common/errors.js';
import {done, notNow, type Outcome, timedOut} from '../common/exit.js';
import {chosenFraming, framingOptions} from '../common/framing/framing.js';
import * as common from '../common/options.js';
import {expectInput, expectOutput} from '../common/output.js';
import {progressOf} from '../common/transfer.js';
import {one, verb} from '../common/verb.js';
import {openConnection} from '../objects/socket/endpoint.js';
import type {LocalSocket} from '../objects/socket/local-socket.js';
import {isLocal, isSecure, socketAddress} from '../objects/socket/socket-address.js';
import {checkCredentials, credentials, idle, insecure, reachedByNode, type} from './options.js';
import type {SecureClient} from './secure/secure-client.js';
import {ConnectionError, type DuplexEnd} from './stream/duplex.js';
import {connectSecurely} from './stream/secure-endpoint.js';
import {checkSession, runSession} from './stream/session.js';

/** With --nonblock: a connection over a network takes a moment, also to a server that is ready. */
const nonblockNetworkMs = 2000;

export const connect = verb({
	summary: 'Connect stdin and stdout to a socket',
	operands: {address: one(socketAddress)},
	options: {
		idle,
		count: {...common.count, help: 'stop after N lines (or records) from the peer'},
		timeout: {...common.timeout, help: 'give up after DURATION without traffic (status 124)'},
		timeoutStatus: common.timeoutStatus,
		nonblock: common.nonblock,
		hold: {help: 'after the end of stdin do not tell the peer that nothing follows'},
		type,
		...framingOptions,
		json: {help: 'with --type: read and print packets as JSON objects'},
		insecure,
		...credentials,
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
	needsNode: ({address}) => reachedByNode(address),
	run({address}, options) {
		const framing = chosenFraming(options);
		checkSession({...options, framing});
		checkCredentials(options, undefined, address);
		if (options.hold && options.type !== undefined && options.type !== 'stream')
			throw new UsageError(`--hold needs a stream, not ${options.type}`);
		expectInput();
		expectOutput();
		const timeoutMs = options.timeout ?? -1;
		/** `check` tells whether the connection has failed, where its socket does not. */
		const talk = (connection: LocalSocket, check = () => {}): Outcome => {
			const progress = progressOf(options.progress, 'bytes');
			const {idle, count, hold} = options;
			let end: DuplexEnd;
			try {
				end = runSession(connection, {framing, timeoutMs, idleMs: idle, count, holds: hold, progress});
			} catch (error) {
				if (error instanceof ConnectionError) check();
				throw error;
			}
			if (end === 'ended' && count === undefined) check();
			progress?.finish();
			return end === 'quiet' ? timedOut : done;
		};
		const isTooLate = (error: unknown): Outcome => {
			if (hasCode(error, 'ETIMEDOUT')) return options.nonblock ? notNow : timedOut;
			if (hasCode(error, 'EAGAIN')) return notNow;
			throw error;
		};
		try {
			const openMs = !options.nonblock ? timeoutMs : isLocal(address) ? 0 : nonblockNetworkMs;
			if (isSecure(address)) {
				const talkSecurely = (client: SecureClient) => {
					using _ = client;
					return talk(client.socket, () => client.check());
				};
				return connectSecurely(address, options, openMs).then(talkSecurely).catch(isTooLate);
			}
			const opened = openConnection(address, {...options, timeoutMs: openMs});
			return opened instanceof Promise ? opened.then((connection) => talk(connection)).catch(isTooLate) : talk(opened);
		} catch (error) {
			return isTooLate(error);
		}
	},
});
