import {Deadline} from '../common/deadline.js';
import {hasCode, quoted, SystemError, UsageError} from '../common/errors.js';
import {endedWith, notNow, timedOut} from '../common/exit.js';
import * as common from '../common/options.js';
import {announceReady, tellError, tellVerbose} from '../common/output.js';
import {checkCommand, startCommand} from '../common/process/run-command.js';
import {Shutdown} from '../common/process/shutdown.js';
import {stopOnSignals} from '../common/process/signals.js';
import {one, verb} from '../common/verb.js';
import {PollSet} from '../common/waiting.js';
import {native, POLLIN} from '../native/index.js';
import {LocalSocket} from '../objects/socket/local-socket.js';
import {senderOf} from '../objects/socket/packet-reader.js';
import {describePeer, peerEnvironment} from '../objects/socket/peer.js';
import {formatSocketAddress, localAddress} from '../objects/socket/socket-address.js';
import {AccessList, allow, modeWithAccess} from './access.js';
import {type} from './options.js';
import {closeAll} from './send-fd.js';

const controlCutOff = 8; // MSG_CTRUNC
const firstOfCommand = 3;

const scratch = Buffer.allocUnsafe(65_536);

export const recvFd = verb({
	summary: 'Listen, receive open file descriptors and run a command with them',
	operands: {address: one(localAddress)},
	options: {
		connect: {help: 'connect instead of listening'},
		timeout: {...common.timeout, help: 'give up after DURATION (status 124)'},
		timeoutStatus: common.timeoutStatus,
		nonblock: common.nonblock,
		allow,
		mode: common.mode,
		type,
		readyFd: common.readyFd,
	},
	takesCommand: true,
	examples: [{purpose: 'count the lines of a received file', line: `ipc-sock recv-fd desk -- sh -c 'wc -l <&3'`}],
	needsNode: true,
	waitsFor: ({address}) => `descriptors on ${quoted(formatSocketAddress(address))}`,
	async run({address}, options, command) {
		if (options.connect && options.allow.length > 0) throw new UsageError('--allow and --connect cannot be combined');
		checkCommand(command);
		stopOnSignals();
		const timeoutMs = options.nonblock ? 0 : (options.timeout ?? -1);
		const received = receive();
		if (!received) return options.nonblock ? notNow : timedOut;
		const {descriptors, environment} = received;
		const numbers = descriptors.map((_, i) => firstOfCommand + i);
		using shutdown = new Shutdown();
		const running = await startCommand(
			command,
			{stdin: 'inherit', stdout: 'inherit', more: descriptors},
			{...environment, IPC_FDS: numbers.join(' ')},
		);
		shutdown.passOnTo(running);
		closeAll(descriptors);
		const {status, problem} = await running.ended;
		if (problem) tellError(problem);
		shutdown.finish();
		return endedWith(status);

		function receive() {
			if (options.connect) {
				using connection = connectOrTimeOut();
				return connection && takeDescriptors(connection, timeoutMs);
			}
			const access = new AccessList(options.allow);
			using listener = LocalSocket.listen(address, {...options, ...modeWithAccess(options.mode, options.allow)});
			announceReady(options.readyFd);
			try {
				if (listener.type === 'dgram') return takeDescriptors(listener, timeoutMs, access);
				return takeFromFirst(listener, access, timeoutMs);
			} finally {
				access.finish();
			}
		}

		function connectOrTimeOut() {
			try {
				return LocalSocket.connect(address, {type: options.type, timeoutMs});
			} catch (error) {
				if (hasCode(error, 'ETIMEDOUT', 'EAGAIN')) return undefined;
				throw error;
			}
		}
	},
});

interface Received {
	descriptors: number[];
	environment: Record<string, string>;
}

/** Polled at once: as many as poll(2) is given. */
const mostClients = 1000;

/**
 * The descriptors of the first client that passes any; other clients may connect and send none. Undefined when there
 * were none in time.
 */
function takeFromFirst(listener: LocalSocket, access: AccessList, timeoutMs: number): Received | undefined {
	const deadline = new Deadline(timeoutMs);
	const clients = new Set<LocalSocket>();
	try {
		for (;;) {
			const waiting = [...(clients.size < mostClients ? [listener] : []), ...clients];
			const poll = new PollSet<LocalSocket>();
			for (const socket of waiting) poll.watch(socket, socket.descriptor, POLLIN);
			const waitMs = deadline.waitMs();
			if (!poll.wait(waitMs)) return undefined;
			for (const socket of waiting) {
				if (poll.eventsOf(socket) === 0) continue;
				if (socket === listener) {
					const client = listener.tryAccept();
					if (!client) continue;
					clients.add(client);
					if (access.admits(client)) continue;
					clients.delete(client);
					client.close();
					continue;
				}
				const received = takeNow(socket);
				if (!received) continue;
				if (received !== 'end') return received;
				tellVerbose(`${describePeer(socket.peer)} disconnected without passing a descriptor`);
				clients.delete(socket);
				socket.close();
			}
			// Clients that pass nothing on do not put the timeout off.
			if (waitMs === 0) return undefined;
		}
	} finally {
		for (const client of clients) client.close();
	}
}

/** The first descriptors that arrive; bytes without descriptors are ignored. Undefined when there were none in time. */
function takeDescriptors(socket: LocalSocket, timeoutMs: number, access?: AccessList): Received | undefined {
	const deadline = new Deadline(timeoutMs);
	for (;;) {
		const waitMs = deadline.waitMs();
		if (!socket.wait(POLLIN, waitMs)) return undefined;
		const received = takeNow(socket, access);
		// Datagrams without descriptors, and of senders that are turned away, do not put the timeout off.
		if (!received && waitMs === 0) return undefined;
		if (received === 'end')
			throw new SystemError(
				`no descriptor received on ${quoted(socket.shownName)}: the sender disconnected without passing one`,
			);
		if (received) return received;
	}
}

/** `access`: who may send a datagram. Of a connection that was found out when it was accepted. */
function takeNow(socket: LocalSocket, access?: AccessList): Received | 'end' | undefined {
	try {
		const {count, flags, descriptors, credentials} = native.recvmsg(socket.descriptor, scratch, 0, scratch.length, 0);
		if (access && count >= 0 && !access.admitsSender(senderOf(credentials))) {
			closeAll(descriptors);
			return undefined;
		}
		if (flags & controlCutOff) {
			closeAll(descriptors);
			throw new SystemError(
				`cannot receive descriptors on ${quoted(socket.shownName)}: too few descriptors are left (RLIMIT_NOFILE; see: ulimit -n)`,
			);
		}
		if (descriptors.length > 0) {
			const [pid, uid, gid] = credentials ?? native.getsockoptPeercred(socket.descriptor);
			return {descriptors, environment: peerEnvironment({pid, uid, gid})};
		}
		return count === 0 && !credentials ? 'end' : undefined;
	} catch (error) {
		if (hasCode(error, 'ECONNRESET')) return 'end';
		throw error;
	}
}
