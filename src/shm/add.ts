import {done} from '../common/exit.js';
import {anyText} from '../common/formats/text-format.js';
import {one, verb} from '../common/verb.js';
import {segmentName, segmentsAt} from '../objects/segment/segments.js';
import {parseWord, wordOf} from '../objects/segment/word.js';
import {checkLock, lockOptions, underLock} from './lock.js';
import {json, offset, wordType} from './options.js';
import {defaultType, printChange, showWord} from './value.js';

export const add = verb({
	summary: 'Add to a number atomically and print both values',
	operands: {name: one(segmentName), value: one(anyText('VALUE'))},
	options: {type: wordType, offset, json, ...lockOptions},
	cluster: true,
	examples: [
		{purpose: 'add one', line: 'ipc-shm add state 1'},
		{purpose: 'subtract one', line: 'ipc-shm add state -1'},
	],
	run({name, value}, options) {
		checkLock(name, options);
		const type = options.type ?? defaultType;
		const amount = parseWord(type, value);
		using segment = segmentsAt(name).open(name);
		return underLock(segment, 'exclusive', options, () => {
			const before = segment.add(type, options.offset ?? 0, amount);
			printChange(showWord(before), showWord(wordOf(type, before + amount)), options.json);
			return done;
		});
	},
});
