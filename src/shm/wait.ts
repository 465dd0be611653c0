import {quoted, UsageError} from '../common/errors.js';
import {done, notNow, timedOut} from '../common/exit.js';
import {formatAddress} from '../common/formats/object-name.js';
import {nonblock, readyFd, timeout, timeoutStatus} from '../common/options.js';
import {announceReady, stdout} from '../common/output.js';
import {one, verb} from '../common/verb.js';
import {endIfBroken, eventsOf} from '../common/waiting.js';
import {segmentName, segmentsAt} from '../objects/segment/segments.js';
import {condition} from '../objects/segment/word.js';
import {json, offset, wordType} from './options.js';
import {defaultType, printValue, showWord} from './value.js';

export const wait = verb({
	summary: 'Wait until a number meets a condition, then print it',
	operands: {name: one(segmentName)},
	options: {
		until: {value: condition, help: 'the condition: =5, !=0, >3, >=3, <3, <=3'},
		type: wordType,
		offset,
		timeout,
		timeoutStatus,
		nonblock,
		json,
		readyFd,
	},
	cluster: true,
	examples: [
		{purpose: 'wait up to ten seconds until the number is not 0', line: "ipc-shm wait state --until '!=0' -t 10s"},
		{purpose: 'end that wait', line: 'ipc-shm set state 1'},
	],
	waitsFor: ({name}) => `a change of ${quoted(formatAddress(name))}`,
	run({name}, options) {
		if (!options.until) throw new UsageError("--until is missing, such as --until '=1'");
		const type = options.type ?? defaultType;
		const isWanted = options.until(type);
		using segment = segmentsAt(name).open(name, 'read');
		announceReady(options.readyFd);
		const timeoutMs = options.nonblock ? 0 : (options.timeout ?? -1);
		const value = segment.wait(type, options.offset ?? 0, isWanted, timeoutMs, () =>
			endIfBroken(eventsOf(stdout, 0, 0)),
		);
		if (value === undefined) return options.nonblock ? notNow : timedOut;
		printValue(showWord(value), options.json);
		return done;
	},
});
