import {done} from '../common/exit.js';
import {json, noHeadings, output} from '../common/options.js';
import {type Column, listPrinter} from '../common/terminal/table.js';
import {verb} from '../common/verb.js';
import {lookAtAllSemaphores, type SemaphoreStatus} from '../objects/semaphore/semaphore-status.js';

export const semaphoreColumns: readonly Column<SemaphoreStatus>[] = [
	{name: 'name', value: ({name}) => name},
	{name: 'value', align: 'right', value: ({value}) => String(value)},
	{name: 'waiters', align: 'right', value: ({waiters}) => String(waiters)},
	{name: 'mode', value: ({mode}) => mode},
	{name: 'owner', value: ({owner}) => owner},
	{
		name: 'holders',
		value: ({holders}) =>
			holders.map(({pid, state}) => (state === 'held' ? String(pid) : `${pid} (${state})`)).join(', '),
	},
];

export const list = verb({
	summary: 'List all semaphores that this user can open, with values, waiters and holders',
	aliases: ['ls'],
	options: {json, noHeadings, output},
	examples: [{purpose: 'print names and values for a script', line: 'ipc-sem list --no-headings -o name,value'}],
	async run(_, options) {
		const print = listPrinter(semaphoreColumns, options);
		await print(lookAtAllSemaphores());
		return done;
	},
});
