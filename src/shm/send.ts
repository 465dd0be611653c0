import {countOf, quoted, UsageError} from '../common/errors.js';
import {done, notNow, timedOut} from '../common/exit.js';
import {formatAddress} from '../common/formats/object-name.js';
import {anyText} from '../common/formats/text-format.js';
import {chosenFraming, framingOptions} from '../common/framing/framing.js';
import * as common from '../common/options.js';
import {announceReady, expectInput, tell} from '../common/output.js';
import {progressOf} from '../common/transfer.js';
import {any, one, verb} from '../common/verb.js';
import {Ring} from '../objects/ring/ring.js';
import {RingSender} from '../objects/ring/ring-sender.js';
import {segmentName} from '../objects/segment/segment-name.js';
import {size} from './options.js';

/** The settings of a new ring, for verbs that make one. */
export const ringSettings = {
	create: {help: 'create the ring if it does not exist'},
	size: {...size, help: 'with --create: size of the segment (default 1M)'},
	mode: common.mode,
} as const;

export function checkRingSettings(options: {create: boolean; size: unknown; mode: unknown}): void {
	if (!options.create && (options.size ?? options.mode) !== undefined)
		throw new UsageError('--size and --mode need --create');
}

export const send = verb({
	summary: 'Send each operand, or each record of standard input, to a ring',
	operands: {name: one(segmentName), records: any(anyText('RECORD'))},
	options: {
		timeout: common.timeout,
		timeoutStatus: common.timeoutStatus,
		nonblock: common.nonblock,
		...framingOptions,
		json: {help: 'read JSON objects, as recv --json prints them'},
		...ringSettings,
		progress: {...common.progress, help: 'show records, rate and time on stderr'},
		readyFd: common.readyFd,
	},
	examples: [
		{purpose: 'send each line as a record', line: 'seq 1000000 | ipc-shm send ring --create'},
		{purpose: 'send one record', line: 'ipc-shm send ring "rebuild all"'},
	],
	waitsFor: ({name}) => `room in ${quoted(formatAddress(name))}`,
	run({name, records}, options) {
		checkRingSettings(options);
		const framing = chosenFraming(options);
		if (framing && records.length > 0)
			throw new UsageError('framing cannot be combined with operands: each operand is one record');
		const timeoutMs = options.nonblock ? 0 : (options.timeout ?? -1);
		using ring = Ring.tryOpen(name, options.create ? options : undefined, timeoutMs);
		if (!ring) return options.nonblock ? notNow : timedOut;
		announceReady(options.readyFd);
		const progress = progressOf(options.progress, 'records');
		const sender = new RingSender(ring, {timeoutMs, progress});
		if (records.length === 0) expectInput();
		const ended = records.length > 0 ? sender.sendAll(records) : sender.sendInput(framing ?? 'lines');
		progress?.finish();
		if (ended) return done;
		if (sender.sent > 0) tell(`gave up: ${quoted(ring.shownName)} is full, ${countOf(sender.sent, 'record')} sent`);
		return options.nonblock ? notNow : timedOut;
	},
});
