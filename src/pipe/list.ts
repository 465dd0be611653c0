import {clusterFormat} from '../common/cluster.js';
import {done} from '../common/exit.js';
import {formatSize} from '../common/formats/size.js';
import {json, noHeadings, output} from '../common/options.js';
import {type Column, listPrinter} from '../common/terminal/table.js';
import {optional, verb} from '../common/verb.js';
import type {FifoStatus} from '../objects/fifo/fifo-status.js';
import {lookAtAllPipes} from '../objects/fifo/pipes.js';

const count = (users: readonly unknown[] | null): string => String(users?.length ?? '?');

export const fifoColumns: readonly Column<FifoStatus>[] = [
	{name: 'name', value: ({name}) => name},
	{name: 'mode', spare: 3, value: ({mode}) => mode ?? ''},
	{name: 'owner', spare: 2, value: ({owner}) => owner ?? ''},
	{name: 'queued', align: 'right', value: ({queued}) => (queued === null ? '' : formatSize(queued))},
	{
		name: 'capacity',
		align: 'right',
		spare: 1,
		value: ({capacity, cluster}) => (capacity === null ? (cluster ? '-' : '') : formatSize(capacity)),
	},
	{name: 'readers', align: 'right', value: ({readers}) => count(readers)},
	{name: 'writers', align: 'right', value: ({writers}) => count(writers)},
	{name: 'life', value: ({temporary}) => (temporary ? 'temporary' : 'permanent')},
];

export const list = verb({
	summary: 'List the FIFOs in the runtime folder, with the processes that use them',
	aliases: ['ls'],
	operands: {cluster: optional(clusterFormat)},
	options: {json, noHeadings, output: output(fifoColumns)},
	cluster: true,
	examples: [
		{purpose: 'print only the names', line: 'ipc-pipe list --no-headings -o name'},
		{
			purpose: 'print the FIFOs that have no reader',
			line: `ipc-pipe list --json | jq -r 'select(.readers == []).name'`,
		},
	],
	async run({cluster}, options) {
		const print = listPrinter(fifoColumns, options);
		await print(lookAtAllPipes(cluster));
		return done;
	},
});
