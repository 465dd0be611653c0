import {done} from '../common/exit.js';
import {Levels} from '../common/terminal/redraw.js';
import {formatFields, terminalTable} from '../common/terminal/table.js';
import {watchObjects, watchOptions} from '../common/terminal/watch-objects.js';
import {optional, verb} from '../common/verb.js';
import {fifoName} from '../objects/fifo/fifo.js';
import {allAddresses, type FifoStatus, lookAtAddresses} from '../objects/fifo/fifo-status.js';
import {fifoColumns} from './list.js';
import {describeFifo} from './stat.js';

export const watch = verb({
	summary: 'Repeat stat or list: redraw on a terminal, else print a JSON line per change',
	operands: {name: optional(fifoName)},
	options: watchOptions,
	examples: [{purpose: 'watch the fill level of a FIFO', line: 'ipc-pipe watch log'}],
	async run({name}, options) {
		const levels = new Levels();
		const drawOne = (status: FifoStatus | undefined) => {
			const line = levels.add(status?.queued ?? 0, status?.capacity ?? 0);
			return status ? formatFields([...describeFifo(status), ['level', line]]) : 'no such FIFO now\n';
		};
		await watchObjects(
			{
				look: () => lookAtAddresses(name ? [name] : allAddresses()),
				key: ({path}) => path ?? '',
				gone: (path) => ({path, removed: true}),
				draw: (now) => (name ? drawOne(now[0]) : terminalTable(fifoColumns, now)),
			},
			options,
		);
		return done;
	},
});
