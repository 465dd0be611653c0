import {quoted, UsageError} from '../common/errors.js';
import {done, failed, notNow, timedOut} from '../common/exit.js';
import {formatAddress} from '../common/formats/object-name.js';
import {size} from '../common/formats/size.js';
import {wholeNumber} from '../common/formats/text-format.js';
import {chosenFraming, framingOptions} from '../common/framing/framing.js';
import * as common from '../common/options.js';
import {announceReady, expectOutput, tell} from '../common/output.js';
import {stopOnSignals} from '../common/process/signals.js';
import {progressOf} from '../common/transfer.js';
import {optional, verb} from '../common/verb.js';
import {pipeName, pipesAt} from '../objects/fifo/pipes.js';
import {replicas} from './attributes.js';
import {defaultName} from './default-name.js';

export const recv = verb({
	summary: 'Copy a FIFO, created if missing, to standard output until the last writer closes it',
	operands: {name: optional(pipeName)},
	options: {
		timeout: common.timeout,
		timeoutStatus: common.timeoutStatus,
		nonblock: common.nonblock,
		follow: {...common.follow, help: 'keep running when the last writer closes the FIFO'},
		writers: {value: wholeNumber(1), help: 'stop when N writers have opened and closed the FIFO'},
		count: {...common.count, help: 'stop after N records (by default, lines)'},
		...framingOptions,
		json: {help: 'print each record as a JSON object'},
		size: {value: size, help: 'capacity of the pipe (default 1M if allowed; 8M on a cluster)'},
		mode: common.mode,
		replicas,
		progress: common.progress,
		readyFd: common.readyFd,
	},
	cluster: true,
	examples: [
		{purpose: 'filter what ipc-pipe send sends', line: 'ipc-pipe recv | grep node'},
		{purpose: 'collect a log from writers that start and stop', line: 'ipc-pipe recv log --follow >>log.txt'},
		{
			purpose: 'receive one line; exit with status 124 after five seconds',
			line: 'ipc-pipe recv answers --count 1 -t 5',
		},
	],
	waitsFor: ({name = defaultName}) => `data from ${quoted(formatAddress(name))}`,
	run({name = defaultName}, options) {
		if (options.follow && options.writers) throw new UsageError('--follow and --writers cannot be combined');
		const chosen = chosenFraming(options);
		const framing = chosen ?? (options.count === undefined ? undefined : 'lines');
		if (framing === 'raw' && options.count !== undefined)
			throw new UsageError('--raw and --count cannot be combined: all data is one record');

		expectOutput();
		const timeoutMs = options.nonblock ? 0 : (options.timeout ?? -1);
		using pipe = pipesAt(name).openToReceive(name, options);
		const hasRecords = framing !== undefined && framing !== 'raw';
		if (pipe.cleansUp || hasRecords) stopOnSignals();
		if (!pipe.connect(timeoutMs)) return options.nonblock ? notNow : timedOut;
		const progress = progressOf(options.progress, hasRecords ? 'records' : 'bytes');
		using reception = pipe.receive({
			timeoutMs,
			follow: options.follow,
			writers: options.writers,
			framing: hasRecords ? framing : undefined,
			most: options.count ?? Number.POSITIVE_INFINITY,
			progress,
		});
		announceReady(options.readyFd);
		const end = reception.run();
		progress?.finish();
		if (end !== 'timed out') return reception.cutShort > 0 ? failed : done;
		// Half a record was read, and that has been reported.
		if (reception.undelivered > 0) return failed;
		if (options.nonblock) return reception.hasReceived ? done : notNow;
		if (reception.hasReceived) tell(`gave up: no more data from ${quoted(pipe.shownName)}, ${reception.soFar}`);
		return timedOut;
	},
});
