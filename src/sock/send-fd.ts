import {closeSync} from 'node:fs';
import {attempt, hasCode, quoted, SystemError} from '../common/errors.js';
import {done, notNow, timedOut} from '../common/exit.js';
import {anyText, filePath} from '../common/formats/text-format.js';
import * as common from '../common/options.js';
import {isOfNode} from '../common/output.js';
import {many, one, verb} from '../common/verb.js';
import {AT_FDCWD, native, O_NONBLOCK, O_RDONLY, O_RDWR} from '../native/index.js';
import {LocalSocket} from '../objects/socket/local-socket.js';
import {formatSocketAddress, localAddress} from '../objects/socket/socket-address.js';
import {type} from './options.js';

/** How many descriptors the kernel passes at a time. unix(7), SCM_MAX_FD */
const most = 253;

export const sendFd = verb({
	summary: 'Pass open files to another process: a FILE by name or a descriptor by number',
	operands: {address: one(localAddress), files: many(filePath('FILE|N'))},
	options: {
		writable: {short: 'w', help: 'open each FILE for reading and writing'},
		message: {also: ['--data'], value: anyText('TEXT'), help: 'send TEXT with the descriptors (default: one NUL)'},
		timeout: common.timeout,
		timeoutStatus: common.timeoutStatus,
		nonblock: common.nonblock,
		type,
	},
	examples: [
		{purpose: 'pass a file', line: 'ipc-sock send-fd desk /etc/passwd'},
		{purpose: 'pass a descriptor of the shell', line: 'exec 3> out.txt; ipc-sock send-fd desk 3'},
	],
	waitsFor: ({address}) => `the receiver on ${quoted(formatSocketAddress(address))}`,
	run({address, files}, options) {
		if (files.length > most)
			throw new SystemError(`cannot pass on ${files.length} descriptors: the kernel takes ${most} at a time`);
		const descriptors = files.map((file) =>
			/^[0-9]+$/.test(file) ? ownDescriptor(Number(file)) : open(file, options.writable),
		);
		const timeoutMs = options.nonblock ? 0 : (options.timeout ?? -1);
		try {
			using socket = LocalSocket.connect(address, {type: options.type, timeoutMs});
			const data = Buffer.from(options.message ?? '\0');
			const shown = quoted(socket.shownName);
			const sent = attempt(
				`cannot pass descriptors on to ${shown}`,
				() => socket.send(data, {descriptors, timeoutMs}),
				{
					ETOOMANYREFS: 'too many descriptors of this user are in transit (RLIMIT_NOFILE; see: ulimit -n)',
					EPIPE: 'the receiver has left',
					EINVAL: 'one of them cannot be passed on',
				},
			);
			// Descriptors that no process receives are closed with the connection.
			const isTaken = () =>
				attempt(`cannot pass descriptors on to ${shown}`, () => socket.waitUntilRead(timeoutMs), {
					ECONNRESET: 'the receiver left without receiving them',
				});
			if (sent && (socket.type === 'dgram' || isTaken())) return done;
		} catch (error) {
			if (!hasCode(error, 'ETIMEDOUT', 'EAGAIN')) throw error;
		}
		return options.nonblock ? notNow : timedOut;
	},
});

function ownDescriptor(number: number): number {
	try {
		if (number <= 2 ** 30 && !isOfNode(number)) {
			native.fcntlGetfl(number);
			return number;
		}
	} catch (error) {
		if (!hasCode(error, 'EBADF')) throw error;
	}
	throw new SystemError(`cannot pass on descriptor ${number}: it is not open`);
}

/** Without waiting for the other side of a FIFO; the receiver gets a descriptor as if it had been opened normally. */
function open(path: string, writes: boolean): number {
	return attempt(`cannot open ${quoted(path)}`, () => {
		const descriptor = native.openat(AT_FDCWD, path, (writes ? O_RDWR : O_RDONLY) | O_NONBLOCK, 0, -1);
		native.fcntlSetfl(descriptor, native.fcntlGetfl(descriptor) & ~O_NONBLOCK);
		return descriptor;
	});
}

export const closeAll = (descriptors: readonly number[]): void => {
	for (const descriptor of descriptors) closeSync(descriptor);
};
