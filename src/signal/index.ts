import {command} from '../common/command.js';
import {list} from './list.js';
import {on} from './on.js';
import {run} from './run.js';
import {send} from './send.js';
import {show} from './show.js';
import {wait} from './wait.js';

export const signal = command({
	name: 'ipc-signal',
	summary: 'Send signals to the right process and receive signals with sender and value',
	verbs: {send, wait, on, run, show, list},
	examples: [
		{purpose: 'receive, in one terminal', line: 'ipc-signal wait USR1 RTMIN --follow --name events'},
		{purpose: 'send, in another terminal', line: 'ipc-signal send RTMIN @events --value 42'},
	],
});
