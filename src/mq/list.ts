import {done} from '../common/exit.js';
import {formatSize} from '../common/formats/size.js';
import {json, noHeadings, output} from '../common/options.js';
import {type Column, listPrinter} from '../common/terminal/table.js';
import {verb} from '../common/verb.js';
import {allQueues, lookAtQueues, type QueueStatus} from '../objects/queue/queue-status.js';

export const queueColumns: readonly Column<QueueStatus>[] = [
	{name: 'name', value: ({name}) => name},
	{name: 'messages', align: 'right', value: ({messages}) => String(messages)},
	{name: 'maxmsg', align: 'right', value: ({maxmsg}) => String(maxmsg)},
	{name: 'msgsize', align: 'right', value: ({msgsize}) => formatSize(msgsize)},
	{name: 'bytes', align: 'right', value: ({bytes}) => (bytes === null ? '' : formatSize(bytes))},
	{name: 'mode', value: ({mode}) => mode},
	{name: 'owner', value: ({owner}) => owner},
	{name: 'open', align: 'right', value: ({users}) => String(users?.length ?? '?')},
	{name: 'notify', align: 'right', value: ({notifyPid}) => (notifyPid === null ? '' : String(notifyPid))},
];

export const list = verb({
	summary: 'List all queues that this user can open, with messages and processes',
	aliases: ['ls'],
	options: {json, noHeadings, output},
	examples: [
		{purpose: 'print names and message counts for a script', line: 'ipc-mq list --no-headings -o name,messages'},
	],
	async run(_, options) {
		const print = listPrinter(queueColumns, options);
		await print(lookAtQueues(allQueues()));
		return done;
	},
});
