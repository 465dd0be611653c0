import {Deadline} from '../common/deadline.js';
import {quoted, SystemError, UsageError} from '../common/errors.js';
import {done, notNow, timedOut} from '../common/exit.js';
import {formatAddress} from '../common/formats/object-name.js';
import {nonblock, readyFd, timeout, timeoutStatus} from '../common/options.js';
import {announceReady} from '../common/output.js';
import {describeBlindness} from '../common/process/proc.js';
import {optional, verb} from '../common/verb.js';
import {IN_CLOSE_NOWRITE, IN_CLOSE_WRITE, IN_MODIFY} from '../native/index.js';
import type {FifoStatus} from '../objects/fifo/fifo-status.js';
import {pipeName, pipesAt} from '../objects/fifo/pipes.js';
import {defaultName} from './default-name.js';

interface Condition {
	holds(status: FifoStatus): boolean;
	/** The event that tells that the condition held between two looks; 0 if there is none. */
	sign: number;
}

const conditions: Record<string, Condition> = {
	reader: {holds: ({readers}) => readers !== null && readers.length > 0, sign: IN_CLOSE_NOWRITE},
	writer: {holds: ({writers}) => writers !== null && writers.length > 0, sign: IN_CLOSE_WRITE},
	data: {holds: ({queued}) => queued !== null && queued > 0, sign: IN_MODIFY},
	empty: {holds: ({queued}) => queued === 0, sign: 0},
};

export const wait = verb({
	summary: 'Wait for a reader, a writer, data or an empty FIFO, without opening it',
	operands: {name: optional(pipeName)},
	options: {
		reader: {help: 'wait until a process reads the FIFO or waits to open it for reading'},
		writer: {help: 'wait until a process writes to the FIFO or waits to open it for writing'},
		data: {help: 'wait until there are unread bytes'},
		empty: {help: 'wait until there are no unread bytes'},
		timeout,
		timeoutStatus,
		nonblock,
		readyFd,
	},
	cluster: true,
	examples: [
		{
			purpose: 'send as soon as the FIFO has a reader',
			line: 'ipc-pipe wait log --reader -t 10 && date | ipc-pipe send log',
		},
		{purpose: 'wait until all data has been read', line: 'ipc-pipe wait jobs --empty'},
	],
	waitsFor({name = defaultName}, options) {
		const shown = quoted(formatAddress(name));
		if (options.empty) return `all data in ${shown} to be read`;
		return options.data ? `data in ${shown}` : `a ${options.reader ? 'reader' : 'writer'} of ${shown}`;
	},
	run({name = defaultName}, options) {
		const [wish, another] = Object.keys(conditions).filter((key) => options[key as 'reader']);
		if (wish === undefined) throw new UsageError('no condition is given: --reader, --writer, --data or --empty');
		if (another) throw new UsageError(`--${wish} and --${another} cannot be combined`);
		const condition = conditions[wish] as Condition;
		const subject = wish === 'data' || wish === 'empty' ? wish : 'users';
		const isAboutUsers = subject === 'users';
		const holds = (timeoutMs = -1) => {
			const [status] = pipesAt(name).look([name], {contents: !isAboutUsers, users: isAboutUsers, timeoutMs});
			if (status?.readers === null)
				throw new SystemError(`cannot wait for ${quoted(status.name)}: ${describeBlindness()}`);
			return status !== undefined && condition.holds(status);
		};
		if (options.nonblock) return holds() ? done : notNow;
		using watch = pipesAt(name).watch(name, subject);
		watch.begin();
		announceReady(options.readyFd);
		const deadline = new Deadline(options.timeout);
		for (;;) {
			watch.begin();
			if (watch.happened & condition.sign || holds(deadline.waitMs())) return done;
			if (deadline.hasPassed) return timedOut;
			watch.waitForChange(deadline.leftMs);
		}
	},
});
