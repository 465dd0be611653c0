import {command} from '../common/command.js';
import {call} from './call.js';
import {connect} from './connect.js';
import {listen} from './listen.js';
import {socketNames} from './runtime-sockets.js';
import {serve} from './serve.js';

export const sock = command({
	name: 'ipc-sock',
	summary: 'Local sockets: connections, records, calls and descriptors between processes.',
	verbs: {listen, connect, call, serve},
	examples: [
		{purpose: 'in one terminal', line: 'ipc-sock listen talk'},
		{purpose: 'in another', line: 'ps -ef | ipc-sock connect talk'},
	],
	names: socketNames,
});
