import {keepConnected} from '../common/cluster.js';
import {done} from '../common/exit.js';
import {Levels} from '../common/terminal/redraw.js';
import {formatFields, terminalTable} from '../common/terminal/table.js';
import {watchObjects, watchOptions} from '../common/terminal/watch-objects.js';
import {optional, verb} from '../common/verb.js';
import type {QueueStatus} from '../objects/queue/queue-status.js';
import {lookAtAllQueues, queueName, queuesAt} from '../objects/queue/queues.js';
import {queueColumns} from './list.js';
import {describeQueue} from './stat.js';

export const watch = verb({
	summary: 'Repeat stat or list: redraw on a terminal, else print a JSON line per change',
	operands: {name: optional(queueName)},
	options: watchOptions,
	cluster: true,
	examples: [{purpose: 'watch the fill level of a queue', line: 'ipc-mq watch jobs'}],
	async run({name}, options) {
		const levels = new Levels();
		using _ = keepConnected([name]);
		const drawOne = (status: QueueStatus | undefined) => {
			const line = levels.add(status?.messages ?? 0, status?.maxmsg ?? 0);
			return status ? formatFields([...describeQueue(status), ['level', line]]) : 'no such queue now\n';
		};
		await watchObjects(
			{
				look() {
					if (!name) return lookAtAllQueues();
					// One that cannot be opened is an error, unlike one that is not there yet.
					queuesAt(name).tryOpen(name, 'receive')?.close();
					return queuesAt(name).look([name]);
				},
				key: (status) => status.name,
				gone: (removed) => ({name: removed, removed: true}),
				draw: (now) => (name ? drawOne(now[0]) : terminalTable(queueColumns, now)),
			},
			options,
		);
		return done;
	},
});
