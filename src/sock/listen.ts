import {UsageError} from '../common/errors.js';
import {done, type Outcome, timedOut} from '../common/exit.js';
import {wholeNumber} from '../common/formats/text-format.js';
import {chosenFraming, framingOptions} from '../common/framing/framing.js';
import * as common from '../common/options.js';
import {announceReady, expectInput, expectOutput, tellError} from '../common/output.js';
import {stopOnSignals} from '../common/process/signals.js';
import {progressOf} from '../common/transfer.js';
import {one, verb} from '../common/verb.js';
import {openListener} from '../objects/socket/endpoint.js';
import type {LocalSocket, PeerCredentials} from '../objects/socket/local-socket.js';
import {insecure, isLocal, socketAddress} from '../objects/socket/socket-address.js';
import {AccessList, allow, modeWithAccess, warnOfOpenPort} from './access.js';
import {backlog, idle, type} from './options.js';
import {CommandServer} from './stream/command-server.js';
import {ConnectionError, type DuplexEnd} from './stream/duplex.js';
import {checkSession, runSession} from './stream/session.js';

export const listen = verb({
	summary: 'take a connection, joined to standard input and output or to a command',
	operands: {address: one(socketAddress)},
	options: {
		keepOpen: {short: 'k', help: 'then the next, for ever'},
		max: {value: wholeNumber(1, 100_000), help: 'with CMD: so many connections at a time (default 1000)'},
		allow,
		idle,
		count: {...common.count, help: 'end a connection after so many lines (or records)'},
		timeout: {...common.timeout, help: 'give up when nobody comes or nothing moves for so long'},
		timeoutStatus: common.timeoutStatus,
		mode: common.mode,
		backlog,
		type,
		...framingOptions,
		json: {help: 'packets as JSON objects, with --type'},
		insecure,
		progress: common.progress,
		readyFd: common.readyFd,
	},
	takesCommand: 'optional',
	examples: [
		{purpose: 'what one client sends', line: 'ipc-sock listen upload > received'},
		{purpose: 'a server', line: 'ipc-sock listen upper --keep-open -- tr a-z A-Z'},
	],
	run({address}, options, command) {
		const framing = chosenFraming(options);
		checkSession({...options, framing});
		if (!isLocal(address) && options.allow.length > 0)
			throw new UsageError('--allow is for local sockets: over a network the kernel cannot tell who comes');
		if (!isLocal(address) && options.mode !== undefined)
			throw new UsageError('--mode is for local sockets: a port has none');
		if (command.length > 0 && (framing || options.count !== undefined || options.idle !== undefined))
			throw new UsageError('CMD has the connection itself: framing, --count and --idle make no sense');
		if (command.length > 0 && options.type === 'dgram')
			throw new UsageError('datagrams make no connection that a command could have (see: ipc-sock recv)');
		if (command.length === 0 && options.max !== undefined) throw new UsageError('--max needs a command: -- CMD');
		const access = new AccessList(options.allow);
		const mode = modeWithAccess(options.mode, options.allow);
		const timeoutMs = options.timeout ?? -1;
		if (command.length === 0) {
			expectInput();
			expectOutput();
			stopOnSignals();
		}
		const serve = (listener: LocalSocket): Outcome | Promise<Outcome> => {
			if (command.length > 0) {
				const server = new CommandServer(listener, {
					command,
					access,
					isLocal: isLocal(address),
					most: options.keepOpen ? Number.POSITIVE_INFINITY : 1,
					atOnce: options.max ?? 1000,
					timeoutMs,
				});
				warnOfOpenPort(address, options.insecure, 'use this command');
				announceReady(options.readyFd);
				return server.run();
			}
			try {
				announceReady(options.readyFd);
				const progress = progressOf(options.progress, 'bytes');
				const admits = (sender: PeerCredentials | undefined) => access.admitsSender(sender);
				const talk = {framing, timeoutMs, idleMs: options.idle, count: options.count, progress};
				for (let receivesOnly = false; ; receivesOnly = true) {
					const isDatagram = listener.type === 'dgram';
					const connection = isDatagram ? listener : acceptAllowed(listener, access, timeoutMs);
					if (!connection) return timedOut;
					// Nobody else is to wait for a turn that does not come.
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
		const opened = openListener(address, {...options, ...mode});
		return opened instanceof Promise ? opened.then(serve) : serve(opened);
	},
});

/** The next that may come. */
function acceptAllowed(listener: LocalSocket, access: AccessList, timeoutMs: number): LocalSocket | undefined {
	const deadline = performance.now() + timeoutMs;
	for (;;) {
		const connection = listener.accept(timeoutMs < 0 ? -1 : Math.max(0, deadline - performance.now()));
		if (!connection || access.admits(connection)) return connection;
		connection.close();
	}
}
