import {keepConnected} from '../common/cluster.js';
import {done} from '../common/exit.js';
import {Levels} from '../common/terminal/redraw.js';
import {formatFields, terminalTable} from '../common/terminal/table.js';
import {watchObjects, watchOptions} from '../common/terminal/watch-objects.js';
import {optional, verb} from '../common/verb.js';
import type {FifoStatus} from '../objects/fifo/fifo-status.js';
import {lookAtAllPipes, pipeName, pipesAt} from '../objects/fifo/pipes.js';
import {fifoColumns} from './list.js';
import {describeFifo} from './stat.js';

export const watch = verb({
	summary: 'Repeat stat or list: redraw on a terminal, else print a JSON line per change',
	operands: {name: optional(pipeName)},
	options: watchOptions,
	cluster: true,
	examples: [{purpose: 'watch the fill level of a FIFO', line: 'ipc-pipe watch log'}],
	async run({name}, options) {
		const levels = new Levels();
		using _ = keepConnected([name]);
		const drawOne = (status: FifoStatus | undefined) => {
			const line = levels.add(status?.queued ?? 0, status?.capacity ?? 0);
			return status ? formatFields([...describeFifo(status), ['level', line]]) : 'no such FIFO now\n';
		};
		await watchObjects(
			{
				look: () => (name ? pipesAt(name).look([name]) : lookAtAllPipes()),
				// A pipe on a cluster has no path.
				key: (status) => status.path ?? status.name,
				gone: (key) => ({[name?.kind === 'cluster' ? 'name' : 'path']: key, removed: true}),
				draw: (now) => (name ? drawOne(now[0]) : terminalTable(fifoColumns, now)),
			},
			options,
		);
		return done;
	},
});
