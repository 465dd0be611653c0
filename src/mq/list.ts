import {clusterFormat} from '../common/cluster.js';
import {done} from '../common/exit.js';
import {formatSize} from '../common/formats/size.js';
import {json, noHeadings, output} from '../common/options.js';
import {type Column, listPrinter} from '../common/terminal/table.js';
import {optional, verb} from '../common/verb.js';
import type {QueueStatus} from '../objects/queue/queue-status.js';
import {lookAtAllQueues} from '../objects/queue/queues.js';

export const queueColumns: readonly Column<QueueStatus>[] = [
	{name: 'name', value: ({name}) => name},
	{name: 'messages', align: 'right', value: ({messages}) => String(messages)},
	{name: 'maxmsg', align: 'right', value: ({maxmsg}) => String(maxmsg ?? '-')},
	{name: 'msgsize', align: 'right', value: ({msgsize}) => formatSize(msgsize)},
	{name: 'bytes', align: 'right', spare: 1, value: ({bytes}) => (bytes === null ? '' : formatSize(bytes))},
	{name: 'mode', spare: 4, value: ({mode}) => mode ?? ''},
	{name: 'owner', spare: 3, value: ({owner}) => owner ?? ''},
	{name: 'open', align: 'right', value: ({users, cluster}) => (cluster ? '' : String(users?.length ?? '?'))},
	{name: 'notify', align: 'right', spare: 2, value: ({notifyPid}) => (notifyPid === null ? '' : String(notifyPid))},
];

export const list = verb({
	summary: 'List all queues that this user can open, with messages and processes',
	aliases: ['ls'],
	operands: {cluster: optional(clusterFormat)},
	options: {json, noHeadings, output: output(queueColumns)},
	cluster: true,
	examples: [
		{purpose: 'print names and message counts for a script', line: 'ipc-mq list --no-headings -o name,messages'},
	],
	async run({cluster}, options) {
		const print = listPrinter(queueColumns, options);
		await print(lookAtAllQueues(cluster));
		return done;
	},
});
