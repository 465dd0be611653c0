import {done, notNow} from '../common/exit.js';
import {anyText} from '../common/formats/text-format.js';
import {printLine} from '../common/output.js';
import {one, verb} from '../common/verb.js';
import {segmentName, segmentsAt} from '../objects/segment/segments.js';
import {parseWord} from '../objects/segment/word.js';
import {checkLock, lockOptions, underLock} from './lock.js';
import {json, offset, wordType} from './options.js';
import {changeAsJson, defaultType, printChange, printValue, showWord} from './value.js';

export const cas = verb({
	summary: 'Store NEW if the number equals OLD, atomically; else exit with status 3',
	operands: {name: one(segmentName), expected: one(anyText('OLD')), value: one(anyText('NEW'))},
	options: {type: wordType, offset, json, ...lockOptions},
	cluster: true,
	examples: [{purpose: 'let only one of several processes begin', line: 'ipc-shm cas state 0 1 && ./begin'}],
	run({name, expected, value}, options) {
		checkLock(name, options);
		const type = options.type ?? defaultType;
		const wanted = parseWord(type, expected);
		const fresh = parseWord(type, value);
		using segment = segmentsAt(name).open(name);
		return underLock(segment, 'exclusive', options, () => {
			const before = segment.compareExchange(type, options.offset ?? 0, wanted, fresh);
			const found = showWord(before);
			if (before === wanted) {
				printChange(found, showWord(fresh), options.json);
				return done;
			}
			if (options.json) printLine(changeAsJson(found, found));
			else printValue(found, false);
			return notNow;
		});
	},
});
