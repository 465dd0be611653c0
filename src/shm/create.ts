import {quoted, SystemError, UsageError} from '../common/errors.js';
import {done, failed} from '../common/exit.js';
import {forEachName} from '../common/for-each-name.js';
import {type Address, formatAddress} from '../common/formats/object-name.js';
import {sizeAndBytes} from '../common/formats/size.js';
import {wholeNumber} from '../common/formats/text-format.js';
import {exclusive, mode} from '../common/options.js';
import {tell} from '../common/output.js';
import {many, verb} from '../common/verb.js';
import type {Segment} from '../objects/segment/segment.js';
import {segmentName, segmentsAt} from '../objects/segment/segments.js';
import {size} from './options.js';

export const create = verb({
	summary: 'Create zeroed segments and reserve their memory',
	operands: {names: many(segmentName)},
	options: {
		size,
		mode,
		replicas: {
			only: 'cluster',
			value: wholeNumber(1, 5),
			help: 'on a cluster: store it on at least N servers (default 1)',
		},
		exclusive,
	},
	cluster: true,
	examples: [
		{purpose: 'create a segment of 1 MiB for you and your group', line: 'ipc-shm create state --size 1M -m 0660'},
	],
	run({names}, options) {
		if (options.size === undefined) throw new UsageError('--size is missing');
		const {size: bytes, mode: bits, replicas} = options;
		const allMade = forEachName(names, (name) => {
			if (segmentsAt(name).create(name, {size: bytes, mode: bits, replicas})) return;
			const shown = quoted(formatAddress(name));
			if (options.exclusive) throw new SystemError(`cannot create ${shown}: it already exists`);
			using segment = openToLook(name);
			const what = segment ? ` with ${sizeAndBytes(segment.size)}` : '';
			tell(`${shown} already exists${what}`);
		});
		return allMade ? done : failed;
	},
});

/** The segment of another user exists all the same. */
function openToLook(name: Address): Segment | undefined {
	try {
		return segmentsAt(name).tryOpen(name, 'read');
	} catch (error) {
		if (error instanceof SystemError) return undefined;
		throw error;
	}
}
