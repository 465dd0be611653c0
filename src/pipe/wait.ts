import {Deadline} from '../common/deadline.js';
import {UsageError} from '../common/errors.js';
import {done, notNow, timedOut} from '../common/exit.js';
import {nonblock, readyFd, timeout, timeoutStatus} from '../common/options.js';
import {announceReady} from '../common/output.js';
import {optional, verb} from '../common/verb.js';
import {IN_CLOSE_NOWRITE, IN_CLOSE_WRITE, IN_MODIFY} from '../native/index.js';
import {fifoName} from '../objects/fifo/fifo.js';
import {type FifoStatus, lookAtAddresses} from '../objects/fifo/fifo-status.js';
import {FifoWatch} from '../objects/fifo/fifo-watch.js';
import {defaultName} from './default-name.js';

interface Condition {
	holds(status: FifoStatus): boolean;
	/** The event that tells that it did hold between two looks; 0 where none does. */
	sign: number;
}

const conditions: Record<string, Condition> = {
	reader: {holds: ({readers}) => readers.length > 0, sign: IN_CLOSE_NOWRITE},
	writer: {holds: ({writers}) => writers.length > 0, sign: IN_CLOSE_WRITE},
	data: {holds: ({queued}) => queued !== null && queued > 0, sign: IN_MODIFY},
	empty: {holds: ({queued}) => queued === 0, sign: 0},
};

export const wait = verb({
	summary: 'until a FIFO has a reader, a writer or data, or is empty; nobody notices',
	operands: {name: optional(fifoName)},
	options: {
		reader: {help: 'until somebody reads it, or waits to'},
		writer: {help: 'until somebody writes to it, or waits to'},
		data: {help: 'until there are unread bytes'},
		empty: {help: 'until there are none'},
		timeout,
		timeoutStatus,
		nonblock,
		readyFd,
	},
	examples: [
		{purpose: 'start when somebody listens', line: 'ipc-pipe wait log --reader -t 10 && date | ipc-pipe send log'},
		{purpose: 'until everything has been read', line: 'ipc-pipe wait jobs --empty'},
	],
	run({name = defaultName}, options) {
		const [wish, another] = Object.keys(conditions).filter((key) => options[key as 'reader']);
		if (wish === undefined) throw new UsageError('what to wait for is missing: --reader, --writer, --data or --empty');
		if (another) throw new UsageError(`--${wish} and --${another} cannot be waited for at once`);
		const condition = conditions[wish] as Condition;
		const contents = wish === 'data' || wish === 'empty';
		const holds = () => {
			const [status] = lookAtAddresses([name], {contents});
			return status !== undefined && condition.holds(status);
		};
		if (options.nonblock) return holds() ? done : notNow;
		using watch = new FifoWatch(name, contents ? 'contents' : 'users');
		watch.begin();
		announceReady(options.readyFd);
		const deadline = new Deadline(options.timeout);
		for (;;) {
			watch.begin();
			if (watch.happened & condition.sign || holds()) return done;
			if (deadline.hasPassed) return timedOut;
			watch.waitForChange(deadline.leftMs);
		}
	},
});
