import {clusterFormat} from '../common/cluster.js';
import {done} from '../common/exit.js';
import {formatSize} from '../common/formats/size.js';
import {json, noHeadings, output} from '../common/options.js';
import {type Column, listPrinter} from '../common/terminal/table.js';
import {optional, verb} from '../common/verb.js';
import type {SegmentStatus} from '../objects/segment/segment-status.js';
import {lookAtAllSegments} from '../objects/segment/segments.js';

const namesOf = ({users}: SegmentStatus, which: 'maps' | 'open') =>
	(users ?? [])
		.filter((user) => user[which])
		.map(({pid, command}) => `${pid} ${command}`)
		.join(', ');

export const segmentColumns: readonly Column<SegmentStatus>[] = [
	{name: 'name', value: ({name}) => name},
	{name: 'size', align: 'right', value: ({size}) => formatSize(size)},
	{name: 'memory', align: 'right', spare: 1, value: ({allocated}) => formatSize(allocated)},
	{name: 'mode', spare: 3, value: ({mode}) => mode ?? ''},
	{name: 'owner', spare: 2, value: ({owner}) => owner ?? ''},
	{name: 'ring', align: 'right', value: ({ring}) => (ring ? formatSize(ring.used) : '')},
	{name: 'mapped', value: (status) => (status.cluster ? '' : status.users ? namesOf(status, 'maps') : '?')},
];

export const list = verb({
	summary: 'List segments and processes that map them',
	aliases: ['ls'],
	operands: {cluster: optional(clusterFormat)},
	options: {json, noHeadings, output: output(segmentColumns)},
	cluster: true,
	examples: [{purpose: 'print names and sizes for a script', line: 'ipc-shm list --no-headings -o name,size'}],
	async run({cluster}, options) {
		const print = listPrinter(segmentColumns, options);
		await print(lookAtAllSegments(cluster));
		return done;
	},
});
