import {UsageError} from '../common/errors.js';
import {done} from '../common/exit.js';
import {one, verb} from '../common/verb.js';
import {segmentName, segmentsAt} from '../objects/segment/segments.js';
import {checkLock, lockOptions, underLock} from './lock.js';
import {anyType, json, length, offset} from './options.js';
import {defaultType, printValue, readValue} from './value.js';

export const get = verb({
	summary: 'Print a value; integers are read atomically',
	operands: {name: one(segmentName)},
	options: {
		type: anyType,
		offset,
		length: {...length, help: 'number of bytes of a str or hex value'},
		json,
		...lockOptions,
	},
	cluster: true,
	examples: [
		{purpose: 'print the number at offset 8', line: 'ipc-shm get state --offset 8'},
		{purpose: 'print a string that a C program stored', line: 'ipc-shm get state --type str --offset 64'},
	],
	run({name}, options) {
		checkLock(name, options);
		const type = options.type ?? defaultType;
		if (options.length !== undefined && type !== 'str' && type !== 'hex')
			throw new UsageError(`--length is for str and hex: ${type} has a fixed length`);
		using segment = segmentsAt(name).open(name, 'read');
		return underLock(segment, 'shared', options, () => {
			printValue(readValue(segment, type, options.offset ?? 0, options.length), options.json);
			return done;
		});
	},
});
