import {Deadline} from '../common/deadline.js';
import {quoted, UsageError} from '../common/errors.js';
import {done, notNow, type Outcome, timedOut} from '../common/exit.js';
import {nonblock, readyFd, timeout, timeoutStatus} from '../common/options.js';
import {announceReady} from '../common/output.js';
import {one, verb} from '../common/verb.js';
import {pause} from '../common/waiting.js';
import {isListening} from '../objects/socket/listening.js';
import {formatSocketAddress, hasHostName, isLocal, socketAddress} from '../objects/socket/socket-address.js';

const longestPauseMs = 50;

export const wait = verb({
	summary: 'Wait until a process accepts connections',
	operands: {address: one(socketAddress)},
	options: {
		gone: {help: 'wait until no process accepts connections'},
		timeout,
		timeoutStatus,
		nonblock,
		readyFd,
	},
	examples: [
		{
			purpose: 'start the client when the server is ready',
			line: 'server & ipc-sock wait /run/server.sock -t 10 && client',
		},
		{purpose: 'wait until the server has ended', line: 'ipc-sock wait /run/server.sock --gone'},
	],
	needsNode: ({address}) => hasHostName(address),
	waitsFor: ({address}, {gone}) => `${quoted(formatSocketAddress(address))} to ${gone ? 'end' : 'accept connections'}`,
	run({address}, options) {
		if (address.kind === 'tls')
			throw new UsageError(
				`waiting for a port does not need TLS (use: ipc-sock wait ${formatSocketAddress({...address, kind: 'tcp'})})`,
			);
		announceReady(options.readyFd);
		const deadline = new Deadline(options.timeout);
		const outcomeNow = (is: boolean): Outcome | undefined => {
			if (is !== options.gone) return done;
			if (options.nonblock) return notNow;
			return deadline.hasPassed ? timedOut : undefined;
		};
		const pauseOf = (round: number) => deadline.waitMs(Math.min(longestPauseMs, 1 + round));
		const connectMs = () => Math.max(1, deadline.waitMs(1000));
		if (isLocal(address)) {
			for (let round = 0; ; round++) {
				const outcome = outcomeNow(isListening(address, 0) as boolean);
				if (outcome) return outcome;
				pause(pauseOf(round));
			}
		}
		const look = async () => {
			for (let round = 0; ; round++) {
				const outcome = outcomeNow(await isListening(address, connectMs()));
				if (outcome) return outcome;
				pause(pauseOf(round));
			}
		};
		return look();
	},
});
