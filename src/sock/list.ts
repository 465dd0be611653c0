import {done} from '../common/exit.js';
import {json, noHeadings, output} from '../common/options.js';
import {type Column, listPrinter} from '../common/terminal/table.js';
import {verb} from '../common/verb.js';
import {socketNames} from '../objects/socket/runtime-sockets.js';
import {lookAtAllSockets, lookAtSockets, type SocketStatus} from '../objects/socket/socket-status.js';

const socketColumns: readonly Column<SocketStatus>[] = [
	{name: 'name', value: ({name}) => name},
	{name: 'type', value: ({type}) => type ?? ''},
	{name: 'state', value: ({state}) => state},
	{name: 'mode', spare: 4, value: ({mode}) => mode ?? ''},
	{name: 'owner', spare: 3, value: ({owner}) => owner ?? ''},
	{name: 'connections', align: 'right', spare: 1, value: ({connections}) => String(connections)},
	{name: 'waiting', align: 'right', spare: 2, value: ({waiting}) => (waiting === null ? '' : String(waiting))},
	{name: 'listener', value: ({listeners}) => listeners?.map(({pid, command}) => `${pid} ${command}`).join(', ') ?? '?'},
];

export const list = verb({
	summary: 'List the sockets in the runtime folder, with state and listener',
	aliases: ['ls'],
	options: {
		system: {also: ['--all', '-a'], help: 'list all local sockets of this machine that have a name'},
		json,
		noHeadings,
		output: output(socketColumns),
	},
	examples: [
		{purpose: 'print the listening process of each socket', line: 'ipc-sock list --system -o name,listener'},
		{purpose: 'print the stale socket files', line: `ipc-sock list --json | jq -r 'select(.state == "stale").name'`},
	],
	async run(_, options) {
		const print = listPrinter(socketColumns, options);
		await print(
			options.system ? lookAtAllSockets() : lookAtSockets(socketNames().map((name) => ({kind: 'name', name}) as const)),
		);
		return done;
	},
});
