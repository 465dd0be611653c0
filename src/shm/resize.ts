import {fstatSync} from 'node:fs';
import {quoted, SystemError} from '../common/errors.js';
import {done} from '../common/exit.js';
import {size as sizeFormat} from '../common/formats/size.js';
import {CannotSee, findMappers, identityKey} from '../common/process/proc.js';
import {one, verb} from '../common/verb.js';
import {segmentName} from '../objects/segment/segment-name.js';
import {describeProcesses, describeUnseen} from '../objects/segment/segment-status.js';
import {SharedMemory} from '../objects/segment/shared-memory.js';
import {checkLock, lockOptions, underLock} from './lock.js';

export const resize = verb({
	summary: 'Change the size of a segment',
	operands: {name: one(segmentName), size: one(sizeFormat)},
	options: {
		force: {help: 'shrink even if mapped; processes that touch the removed part get SIGBUS'},
		...lockOptions,
	},
	examples: [{purpose: 'change the size to 2 MiB', line: 'ipc-shm resize state 2M'}],
	run({name, size}, options) {
		checkLock(options);
		using segment = SharedMemory.open(name);
		return underLock(segment, 'exclusive', options, () => {
			if (size < segment.size && !options.force) checkNobodyMaps(segment);
			segment.resize(size);
			return done;
		});
	},
});

function checkNobodyMaps(segment: SharedMemory): void {
	const refusal = (why: string) =>
		new SystemError(`cannot shrink ${quoted(segment.shownName)}: ${why} (--force shrinks it anyway)`);
	const mappers = findMappers([segment.identity]);
	if (mappers instanceof CannotSee) throw refusal(mappers.sentence);
	const pids = mappers.pids.get(identityKey(segment.identity)) ?? [];
	if (pids.length > 0) throw refusal(`${describeProcesses(pids)} would get SIGBUS when touching the removed part`);
	const mayBeUsed = describeUnseen(fstatSync(segment.descriptor).mode, mappers.unseen);
	if (mayBeUsed) throw refusal(mayBeUsed);
}
