import {countOf, quoted} from '../common/errors.js';
import {done, notNow, timedOut} from '../common/exit.js';
import {formatAddress} from '../common/formats/object-name.js';
import {chosenFraming, framingOptions} from '../common/framing/framing.js';
import {recordLimit} from '../common/framing/record-limit.js';
import * as common from '../common/options.js';
import {announceReady, expectOutput, tell} from '../common/output.js';
import {stopOnSignals} from '../common/process/signals.js';
import {progressOf} from '../common/transfer.js';
import {one, verb} from '../common/verb.js';
import {Ring} from '../objects/ring/ring.js';
import {RingReceiver} from '../objects/ring/ring-receiver.js';
import {segmentName} from '../objects/segment/segment-name.js';
import {checkRingSettings, ringSettings} from './send.js';

export const recv = verb({
	summary: 'Receive and print records of a ring, oldest first',
	operands: {name: one(segmentName)},
	options: {
		count: {...common.count, help: 'receive N records (default 1)'},
		all: {...common.all, help: 'receive all records that are in the ring now'},
		follow: {...common.follow, help: 'keep running; do not stop after the first record'},
		timeout: common.timeout,
		timeoutStatus: common.timeoutStatus,
		nonblock: common.nonblock,
		...framingOptions,
		json: {help: 'print each record as a JSON object'},
		...ringSettings,
		progress: {...common.progress, help: 'show records, rate and time on stderr'},
		readyFd: common.readyFd,
	},
	examples: [
		{purpose: 'receive the next record; exit with status 124 after five seconds', line: 'ipc-shm recv ring -t 5'},
		{purpose: 'create the ring and print all records that arrive', line: 'ipc-shm recv ring --create --follow'},
	],
	waitsFor: ({name}) => `a record in ${quoted(formatAddress(name))}`,
	run({name}, options) {
		const most = recordLimit(options);
		checkRingSettings(options);
		const framing = chosenFraming(options) ?? 'lines';
		expectOutput();
		stopOnSignals();
		const timeoutMs = options.all || options.nonblock ? 0 : (options.timeout ?? -1);
		using ring = Ring.tryOpen(name, options.create ? options : undefined, timeoutMs);
		if (!ring) return options.all ? done : options.nonblock ? notNow : timedOut;
		const progress = progressOf(options.progress, 'records');
		const receiver = new RingReceiver(ring, {
			framing,
			most,
			timeoutMs,
			progress,
		});
		announceReady(options.readyFd);
		const isComplete = receiver.run();
		progress?.finish();
		if (isComplete || options.all) return done;
		if (receiver.received > 0 && !options.follow)
			tell(`gave up: ${quoted(ring.shownName)} is empty, ${countOf(receiver.received, 'record')} received`);
		return options.nonblock ? notNow : timedOut;
	},
});
