import {done} from '../common/exit.js';
import {formatSize} from '../common/formats/size.js';
import {json, noHeadings, output} from '../common/options.js';
import {type Column, listPrinter} from '../common/terminal/table.js';
import {verb} from '../common/verb.js';
import {allSegments} from '../objects/segment/segment-name.js';
import {lookAtSegments, type SegmentStatus} from '../objects/segment/segment-status.js';

const namesOf = ({users}: SegmentStatus, which: 'maps' | 'open') =>
	(users ?? [])
		.filter((user) => user[which])
		.map(({pid, command}) => `${pid} ${command}`)
		.join(', ');

export const segmentColumns: readonly Column<SegmentStatus>[] = [
	{name: 'name', value: ({name}) => name},
	{name: 'size', align: 'right', value: ({size}) => formatSize(size)},
	{name: 'memory', align: 'right', value: ({allocated}) => formatSize(allocated)},
	{name: 'mode', value: ({mode}) => mode},
	{name: 'owner', value: ({owner}) => owner},
	{name: 'ring', align: 'right', value: ({ring}) => (ring ? formatSize(ring.used) : '')},
	{name: 'mapped', value: (status) => (status.users ? namesOf(status, 'maps') : '?')},
];

export const list = verb({
	summary: 'List segments and processes that map them',
	aliases: ['ls'],
	options: {json, noHeadings, output},
	examples: [{purpose: 'print names and sizes for a script', line: 'ipc-shm list --no-headings -o name,size'}],
	async run(_, options) {
		const print = listPrinter(segmentColumns, options);
		await print(lookAtSegments(allSegments()));
		return done;
	},
});
