import {done} from '../common/exit.js';
import {anyText} from '../common/formats/text-format.js';
import {one, verb} from '../common/verb.js';
import {segmentName, segmentsAt} from '../objects/segment/segments.js';
import {checkLock, lockOptions, underLock} from './lock.js';
import {anyType, json, offset} from './options.js';
import {defaultType, parseStore, printChange} from './value.js';

export const set = verb({
	summary: 'Store a value and print the old and new value',
	operands: {name: one(segmentName), value: one(anyText('VALUE'))},
	options: {type: anyType, offset, json, ...lockOptions},
	cluster: true,
	examples: [
		{purpose: 'set a flag that other processes wait for', line: 'ipc-shm set state 1 --type u32 --offset 4'},
		{purpose: 'store bytes', line: 'ipc-shm set state 00ff10 --type hex --offset 64'},
	],
	run({name, value}, options) {
		checkLock(name, options);
		const store = parseStore(options.type ?? defaultType, value);
		using segment = segmentsAt(name).open(name);
		return underLock(segment, 'exclusive', options, () => {
			const {before, after} = store(segment, options.offset ?? 0);
			printChange(before, after, options.json);
			return done;
		});
	},
});
