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
	summary: 'Remove own segments that no process uses',
	options: {
		older: {value: duration, help: 'only segments that no system call touched for DURATION'},
		dryRun: {help: 'print the names; do not remove the segments'},
		json,
	},
	examples: [
		{purpose: 'print the segments that would be removed', line: 'ipc-shm gc --older 1d --dry-run'},
		{purpose: 'remove these segments', line: 'ipc-shm gc --older 1d'},
	],
	run(_, options) {
		const unused = findUnused(allSegments(), options.older ?? 0);
		const say = ({address: {name}, size}: Unused) => (options.json ? printJson({name, size}) : printLine(name));
		if (options.dryRun) {
			for (const segment of unused) say(segment);
			return done;
		}
		const allGone = forEachName(unused, (segment) => {
			// Meanwhile a process may have opened the segment, or replaced it by another one.
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

/**
 * Segments of this user, old enough, and used by no process. A segment is kept if processes that we cannot inspect
 * might use it.
 */
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
			tell(`kept ${quoted(address.name)}: ${mayBeUsed}`);
			return [];
		}
		tellVerbose(`no process uses ${quoted(address.name)}`);
		return [{address, key, size: stat.size}];
	});
}
