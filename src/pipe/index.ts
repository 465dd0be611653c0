import {command} from '../common/command.js';
import {fifoNames} from '../objects/fifo/fifo-status.js';
import {create} from './create.js';
import {list} from './list.js';
import {recv} from './recv.js';
import {remove} from './remove.js';
import {run} from './run.js';
import {send} from './send.js';
import {stat} from './stat.js';
import {tee} from './tee.js';
import {wait} from './wait.js';
import {watch} from './watch.js';

export const pipe = command({
	name: 'ipc-pipe',
	summary: 'Pass bytes and records between processes through FIFOs and pipelines',
	verbs: {send, recv, tee, wait, run, create, list, stat, watch, remove},
	examples: [
		{purpose: 'receive, in one terminal', line: 'ipc-pipe recv | grep node'},
		{purpose: 'send, in another terminal', line: 'ps -ef | ipc-pipe send'},
	],
	names: fifoNames,
});
