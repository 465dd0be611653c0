import {done} from '../common/exit.js';
import {Levels} from '../common/redraw.js';
import {formatFields, formatTable} from '../common/table.js';
import {optional, verb} from '../common/verb.js';
import {watchObjects, watchOptions} from '../common/watch-objects.js';
import {segmentColumns} from './list.js';
import {allSegments, segmentName} from './segment-name.js';
import {lookAtSegments, type SegmentStatus} from './segment-status.js';
import {describeSegment} from './stat.js';

export const watch = verb({
	summary: 'stat or list again and again, as they change',
	operands: {name: optional(segmentName)},
	options: watchOptions,
	examples: [{purpose: 'how full a ring was, and is', line: 'ipc-shm watch ring'}],
	async run({name}, options) {
		const levels = new Levels();
		const drawOne = (status: SegmentStatus | undefined) => {
			if (!status) return 'no such segment now\n';
			const fields = describeSegment(status);
			if (status.ring) fields.push(['level', levels.add(status.ring.used, status.ring.capacity)]);
			return formatFields(fields);
		};
		await watchObjects(
			{
				look: () => lookAtSegments(name ? [name] : allSegments()),
				key: (status) => status.name,
				gone: (removed) => ({name: removed, removed: true}),
				draw: (now) => (name ? drawOne(now[0]) : formatTable(segmentColumns, now, {headings: true})),
			},
			options,
		);
		return done;
	},
});
