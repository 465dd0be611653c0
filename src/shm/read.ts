import {quoted, SystemError} from '../common/errors.js';
import {done} from '../common/exit.js';
import {progress as progressOption} from '../common/options.js';
import {stdout} from '../common/output.js';
import {Progress} from '../common/terminal/progress.js';
import {copyBytes, explainMove, growPipe} from '../common/transfer.js';
import {one, verb} from '../common/verb.js';
import {segmentName} from '../objects/segment/segment-name.js';
import {SharedMemory} from '../objects/segment/shared-memory.js';
import {checkLock, lockOptions, underLock} from './lock.js';
import {length, offset} from './options.js';

export const read = verb({
	summary: 'Copy the bytes of a segment to standard output',
	operands: {name: one(segmentName)},
	options: {
		offset,
		length: {...length, help: 'number of bytes (default: up to the end)'},
		...lockOptions,
		progress: progressOption,
	},
	examples: [
		{purpose: 'print the whole segment', line: 'ipc-shm read config'},
		{
			purpose: 'print the second KiB while the lock keeps writers out',
			line: 'ipc-shm read state --offset 1K --length 1K --lock | xxd',
		},
	],
	run({name}, options) {
		checkLock(options);
		using segment = SharedMemory.open(name, 'read');
		return underLock(segment, 'shared', options, () => {
			const {size} = segment;
			const at = options.offset ?? 0;
			const wanted = options.length ?? Math.max(0, size - at);
			if (at + wanted > size) throw segment.beyond('read', at, wanted, size);
			const progress = options.progress ? new Progress('bytes', wanted) : undefined;
			growPipe(stdout);
			try {
				const copied = copyBytes({
					input: segment.descriptor,
					inputOffset: at,
					output: stdout,
					most: wanted,
					progress,
				});
				if (copied < wanted)
					throw new SystemError(
						`cannot read ${quoted(segment.shownName)}: another process shrank the segment after ${copied} of ${wanted} bytes`,
					);
			} catch (error) {
				throw explainMove(error, {from: quoted(segment.shownName)});
			}
			progress?.finish();
			return done;
		});
	},
});
