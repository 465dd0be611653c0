import {quoted, SystemError} from '../common/errors.js';
import {done, type Outcome} from '../common/exit.js';
import type {ClusterAddress} from '../common/formats/cluster-address.js';
import {progress as progressOption} from '../common/options.js';
import {print, stdout} from '../common/output.js';
import {Progress} from '../common/terminal/progress.js';
import {copyBytes, explainMove, growPipe} from '../common/transfer.js';
import {one, verb} from '../common/verb.js';
import {clusterSegments, segmentName} from '../objects/segment/segments.js';
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
	cluster: true,
	examples: [
		{purpose: 'print the whole segment', line: 'ipc-shm read config'},
		{
			purpose: 'print the second KiB while the lock keeps writers out',
			line: 'ipc-shm read state --offset 1K --length 1K --lock | xxd',
		},
	],
	run({name}, options) {
		checkLock(name, options);
		if (name.kind === 'cluster') return readOnCluster(name, options);
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

/** All of it has arrived before the first byte is printed. */
function readOnCluster(
	name: ClusterAddress,
	wish: {offset: number | undefined; length: number | undefined; progress: boolean},
): Outcome {
	using segment = clusterSegments.objects.open(name, 'read');
	const {size} = segment;
	const at = wish.offset ?? 0;
	const wanted = wish.length ?? Math.max(0, size - at);
	if (at + wanted > size) throw segment.beyond('read', at, wanted, size);
	const progress = wish.progress ? new Progress('bytes', wanted) : undefined;
	const bytes = segment.readBytes(at, wanted);
	print(bytes);
	progress?.add(bytes.length);
	progress?.finish();
	return done;
}
