// All rows, in the order of the table. Those of another command: a file beside this one, and a line here.
import {calls} from './calls.mjs';
import {cluster} from './cluster.mjs';
import {fifo} from './fifo.mjs';
import {memory} from './memory.mjs';
import {queue} from './queue.mjs';
import {records} from './records.mjs';
import {segment} from './segment.mjs';
import {semaphore} from './semaphore.mjs';
import {signals} from './signals.mjs';
import {socket} from './socket.mjs';
import {startUp} from './start-up.mjs';

export const rows = [
	...startUp,
	...fifo,
	...records,
	...queue,
	...semaphore,
	...segment,
	...signals,
	...socket,
	...calls,
	...memory,
	...cluster,
];
