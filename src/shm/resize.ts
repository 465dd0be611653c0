import {done} from '../common/exit.js';
import {size as sizeFormat} from '../common/formats/size.js';
import {one, verb} from '../common/verb.js';
import {segmentName} from '../objects/segment/segment-name.js';
import {SharedMemory} from '../objects/segment/shared-memory.js';
import {checkLock, lockOptions, underLock} from './lock.js';
import {checkMayShrink, forceShrink} from './shrink.js';

export const resize = verb({
	summary: 'Change the size of a segment',
	operands: {name: one(segmentName), size: one(sizeFormat)},
	options: {
		force: forceShrink,
		...lockOptions,
	},
	examples: [{purpose: 'change the size to 2 MiB', line: 'ipc-shm resize state 2M'}],
	run({name, size}, options) {
		checkLock(name, options);
		using segment = SharedMemory.open(name);
		return underLock(segment, 'exclusive', options, () => {
			if (size < segment.size && !options.force) checkMayShrink(segment, '--force shrinks it anyway');
			segment.resize(size);
			return done;
		});
	},
});
