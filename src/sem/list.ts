import {clusterFormat} from '../common/cluster.js';
import {done} from '../common/exit.js';
import {json, noHeadings, output} from '../common/options.js';
import {type Column, listPrinter} from '../common/terminal/table.js';
import {optional, verb} from '../common/verb.js';
import type {SemaphoreStatus} from '../objects/semaphore/semaphore-status.js';
import {lookAtAllSemaphores} from '../objects/semaphore/semaphores.js';

export const semaphoreColumns: readonly Column<SemaphoreStatus>[] = [
	{name: 'name', value: ({name}) => name},
	{name: 'value', align: 'right', value: ({value}) => String(value)},
	{name: 'waiters', align: 'right', value: ({waiters}) => (waiters === null ? '' : String(waiters))},
	{name: 'mode', spare: 2, value: ({mode}) => mode ?? ''},
	{name: 'owner', spare: 1, value: ({owner}) => owner ?? ''},
	{
		name: 'holders',
		value: ({holders}) =>
			holders
				.map(
					({host, pid, state}) =>
						`${host === undefined ? '' : `${host} `}${pid}${state === 'held' ? '' : ` (${state})`}`,
				)
				.join(', '),
	},
];

export const list = verb({
	summary: 'List all semaphores that this user can open, with values, waiters and holders',
	aliases: ['ls'],
	operands: {cluster: optional(clusterFormat)},
	options: {json, noHeadings, output: output(semaphoreColumns)},
	cluster: true,
	examples: [{purpose: 'print names and values for a script', line: 'ipc-sem list --no-headings -o name,value'}],
	async run({cluster}, options) {
		const print = listPrinter(semaphoreColumns, options);
		await print(lookAtAllSemaphores(cluster));
		return done;
	},
});
