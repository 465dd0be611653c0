import {Deadline} from '../common/deadline.js';
import {quoted, UsageError} from '../common/errors.js';
import {done, type Outcome, timedOut} from '../common/exit.js';
import {wholeNumber} from '../common/formats/text-format.js';
import {chosenFraming, framingOptions} from '../common/framing/framing.js';
import * as common from '../common/options.js';
import {announceReady, expectInput, expectOutput, tellError, waitIsOver} from '../common/output.js';
import {checkCommand} from '../common/process/run-command.js';
import {stopOnSignals} from '../common/process/signals.js';
import {progressOf} from '../common/transfer.js';
import {one, verb} from '../common/verb.js';
import type {Listener} from '../objects/socket/listener.js';
import {LocalSocket, type PeerCredentials} from '../objects/socket/local-socket.js';
import {formatSocketAddress, isLocal, socketAddress} from '../objects/socket/socket-address.js';
import {AccessList, allow, modeWithAccess, warnOfOpenPort} from './access.js';
import {backlog, checkCredentials, credentials, idle, insecure, reachedByNode, type} from './options.js';
import {CommandServer} from './stream/command-server.js';
import {ConnectionError, type DuplexEnd} from './stream/duplex.js';
import {openAnyListener} from './stream/secure-endpoint.js';
import {checkSession, runSession} from './stream/session.js';

export const listen = verb({
	summary: 'Accept a connection and join it to stdin and stdout or to a command',
	operands: {address: one(socketAddress)},
	options: {
		keepOpen: {short: 'k', help: 'keep accepting connections'},
		max: {value: wholeNumber(1, 100_000), help: 'with CMD: maximum number of connections (default 1000)'},
		allow,
		idle,
		count: {...common.count, help: 'close the connection after N lines (or records)'},
		timeout: {...common.timeout, help: 'give up after DURATION without a client or traffic (status 124)'},
		timeoutStatus: common.timeoutStatus,
		mode: common.mode,
		backlog,
		type,
		...framingOptions,
		json: {help: 'with --type: read and print packets as JSON objects'},
		insecure,
		...credentials,
		progress: common.progress,
		readyFd: common.readyFd,
	},
	takesCommand: 'optional',
	examples: [
		{purpose: 'store what one client sends', line: 'ipc-sock listen upload > received'},
		{purpose: 'run a server that converts to upper case', line: 'ipc-sock listen upper --keep-open -- tr a-z A-Z'},
	],
	needsNode: ({address}, _options, command) => command.length > 0 || reachedByNode(address),
	waitsFor: ({address}) => `a client on ${quoted(formatSocketAddress(address))}`,
	run({address}, options, command) {
		const framing = chosenFraming(options);
		checkSession({...options, framing});
		checkCredentials(options, address);
		if (!isLocal(address) && options.allow.length > 0)
			throw new UsageError('--allow needs a local socket: the kernel does not identify clients of a network');
		if (!isLocal(address) && options.mode !== undefined)
			throw new UsageError('--mode needs a local socket: a port has no mode');
		if (command.length > 0 && (framing || options.count !== undefined || options.idle !== undefined))
			throw new UsageError('framing, --count and --idle cannot be combined with CMD: CMD reads the connection itself');
		if (command.length > 0 && options.type === 'dgram')
			throw new UsageError(
				'--type dgram cannot be combined with CMD: datagrams have no connection (see: ipc-sock recv)',
			);
		if (command.length === 0 && options.max !== undefined) throw new UsageError('--max needs a command: -- CMD');
		const access = new AccessList(options.allow);
		const mode = modeWithAccess(options.mode, options.allow);
		const timeoutMs = options.timeout ?? -1;
		if (command.length > 0) checkCommand(command);
		else {
			expectInput();
			expectOutput();
			stopOnSignals();
		}
		const atOnce = options.max ?? 1000;
		const serve = (listener: Listener): Outcome | Promise<Outcome> => {
			if (command.length > 0) {
				const server = new CommandServer(listener, {
					command,
					access,
					isLocal: isLocal(address),
					most: options.keepOpen ? Number.POSITIVE_INFINITY : 1,
					atOnce,
					timeoutMs,
				});
				warnOfOpenPort(address, options.insecure, 'use this command');
				announceReady(options.readyFd);
				return server.run().finally(() => listener.finishAll?.());
			}
			try {
				announceReady(options.readyFd);
				const progress = progressOf(options.progress, 'bytes');
				const admits = (sender: PeerCredentials | undefined) => access.admitsSender(sender);
				const talk = {framing, timeoutMs, idleMs: options.idle, count: options.count, progress};
				for (let receivesOnly = false; ; receivesOnly = true) {
					const isDatagram = listener instanceof LocalSocket && listener.type === 'dgram';
					const connection = isDatagram ? listener : acceptAllowed(listener, access, timeoutMs);
					if (!connection) return timedOut;
					waitIsOver();
					// No other client must wait for a turn that never comes.
					if (!options.keepOpen && !isDatagram) listener.close();
					using _ = connection;
					let end: DuplexEnd = 'ended';
					try {
						end = runSession(connection, {
							...talk,
							receivesOnly,
							listens: isDatagram,
							...(isDatagram ? {admits} : {}),
						});
						const failure = listener.finish?.(connection);
						if (failure && end === 'ended' && options.count === undefined)
							throw new ConnectionError(`a connection to ${quoted(listener.shownName)} failed: ${failure}`);
					} catch (error) {
						if (!options.keepOpen || !(error instanceof ConnectionError)) throw error;
						tellError(error.message);
					}
					progress?.finish();
					if (end === 'quiet') return timedOut;
					if (!options.keepOpen || isDatagram) return done;
				}
			} finally {
				listener.close();
				access.finish();
			}
		};
		const opened = openAnyListener(address, {
			...options,
			...mode,
			most: command.length > 0 ? atOnce : 1,
			reportsFailures: command.length > 0,
		});
		return opened instanceof Promise ? opened.then(serve) : serve(opened);
	},
});

/** The next allowed connection. */
function acceptAllowed(listener: Listener, access: AccessList, timeoutMs: number): LocalSocket | undefined {
	const deadline = new Deadline(timeoutMs);
	for (;;) {
		const connection = listener.accept(deadline.waitMs());
		if (!connection || access.admits(connection)) return connection;
		connection.close();
	}
}
