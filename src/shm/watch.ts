import {done} from '../common/exit.js';
import {Levels} from '../common/terminal/redraw.js';
import {formatFields, terminalTable} from '../common/terminal/table.js';
import {watchObjects, watchOptions} from '../common/terminal/watch-objects.js';
import {optional, verb} from '../common/verb.js';
import type {SegmentStatus} from '../objects/segment/segment-status.js';
import {clusterSegments, lookAtAllSegments, segmentName, segmentsAt} from '../objects/segment/segments.js';
import {segmentColumns} from './list.js';
import {describeSegment} from './stat.js';

export const watch = verb({
	summary: 'Repeat stat or list: redraw on a terminal, else print a JSON line per change',
	operands: {name: optional(segmentName)},
	options: watchOptions,
	cluster: true,
	examples: [{purpose: 'watch the fill level of a ring', line: 'ipc-shm watch ring'}],
	async run({name}, options) {
		const levels = new Levels();
		using changes = name?.kind === 'cluster' ? clusterSegments.objects.watch(name) : undefined;
		const drawOne = (status: SegmentStatus | undefined) => {
			if (!status) return 'no such segment now\n';
			const fields = describeSegment(status);
			if (status.ring) fields.push(['level', levels.add(status.ring.used, status.ring.capacity)]);
			return formatFields(fields);
		};
		await watchObjects(
			{
				look: () => (name ? segmentsAt(name).look([name]) : lookAtAllSegments()),
				key: (status) => status.name,
				// A process that is just starting a program cannot be inspected for a moment.
				essence: (status) => ({...status, unseen: null}),
				...(changes ? {wait: (mostMs: number) => changes.waitForChange(mostMs)} : {}),
				gone: (removed) => ({name: removed, removed: true}),
				draw: (now) => (name ? drawOne(now[0]) : terminalTable(segmentColumns, now)),
			},
			options,
		);
		return done;
	},
});
