import {lstatSync} from 'node:fs';
import {quoted, SystemError} from '../common/errors.js';
import {done, failed} from '../common/exit.js';
import {forEachName} from '../common/for-each-name.js';
import {duration} from '../common/formats/duration.js';
import {printJson, printLine, tell, tellVerbose} from '../common/output.js';
import {CannotSee, identityKey} from '../common/process/proc.js';
import {verb} from '../common/verb.js';
import {allSegments, type SegmentName, segmentPath} from '../objects/segment/segment-name.js';
import {describeUnseen, findUsers} from '../objects/segment/segment-status.js';
import {SharedMemory} from '../objects/segment/shared-memory.js';
import {json} from './options.js';

export const gc = verb({
	summary: 'remove my segments that nobody maps or has open',
	options: {
		older: {value: duration, help: 'only those that no call has touched for so long'},
		dryRun: {help: 'only name them'},
		json,
	},
	examples: [
		{purpose: 'what it would remove', line: 'ipc-shm gc --older 1d --dry-run'},
		{purpose: 'and do it', line: 'ipc-shm gc --older 1d'},
	],
	run(_, options) {
		const unused = findUnused(allSegments(), options.older ?? 0);
		const say = ({address: {name}, size}: Unused) => (options.json ? printJson({name, size}) : printLine(name));
		if (options.dryRun) {
			for (const segment of unused) say(segment);
			return done;
		}
		const allGone = forEachName(unused, (segment) => {
			// Somebody may have come since, or put another one in its place.
			const [again] = findUnused([segment.address], options.older ?? 0);
			if (again?.key !== segment.key) return;
			SharedMemory.remove(segment.address);
			say(segment);
		});
		return allGone ? done : failed;
	},
});

interface Unused {
	address: SegmentName;
	key: string;
	size: number;
}

/** Mine, old enough, and used by nobody. Where others might use it of whom we see nothing, it is left alone. */
function findUnused(addresses: readonly SegmentName[], olderMs: number): Unused[] {
	const mine = addresses.flatMap((address) => {
		const stat = lstatSync(segmentPath(address), {throwIfNoEntry: false});
		const isMine = stat?.isFile() && stat.uid === process.geteuid?.();
		return stat && isMine && Date.now() - Math.max(stat.atimeMs, stat.mtimeMs, stat.ctimeMs) >= olderMs
			? [{address, stat}]
			: [];
	});
	const used = findUsers(mine.map(({stat: {dev, ino}}) => ({dev, ino})));
	if (used instanceof CannotSee)
		throw new SystemError(`cannot see which processes use the segments, so none is removed: ${used.why}`);
	const {openers, mappers, unseen} = used;
	return mine.flatMap(({address, stat}) => {
		const key = identityKey(stat);
		if ((openers.get(key) ?? []).length > 0 || (mappers.get(key) ?? []).length > 0) return [];
		const mayBeUsed = describeUnseen(stat.mode, unseen);
		if (mayBeUsed) {
			tell(`${quoted(address.name)} is left alone: ${mayBeUsed}`);
			return [];
		}
		tellVerbose(`${quoted(address.name)} is used by nobody`);
		return [{address, key, size: stat.size}];
	});
}
