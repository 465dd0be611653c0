import {done} from '../common/exit.js';
import {Levels} from '../common/terminal/redraw.js';
import {formatFields, terminalTable} from '../common/terminal/table.js';
import {watchObjects, watchOptions} from '../common/terminal/watch-objects.js';
import {optional, verb} from '../common/verb.js';
import type {SemaphoreStatus} from '../objects/semaphore/semaphore-status.js';
import {lookAtAllSemaphores, semaphoreName, semaphoresAt} from '../objects/semaphore/semaphores.js';
import {semaphoreColumns} from './list.js';
import {describeSemaphore} from './stat.js';

export const watch = verb({
	summary: 'Repeat stat or list: redraw on a terminal, else print a JSON line per change',
	operands: {name: optional(semaphoreName)},
	options: watchOptions,
	cluster: true,
	examples: [{purpose: 'watch the holders and the free units', line: 'ipc-sem watch jobs'}],
	async run({name}, options) {
		const levels = new Levels();
		using view = name && semaphoresAt(name).view(name);
		const drawOne = (status: SemaphoreStatus | undefined) => {
			const line = levels.add(status?.value ?? 0, 0);
			return status ? formatFields([...describeSemaphore(status), ['level', line]]) : 'no such semaphore now\n';
		};
		await watchObjects(
			{
				look() {
					if (!view) return lookAtAllSemaphores();
					const status = view.look();
					return status ? [status] : [];
				},
				key: (status) => status.name,
				gone: (removed) => ({name: removed, removed: true}),
				draw: (now) => (name ? drawOne(now[0]) : terminalTable(semaphoreColumns, now)),
			},
			options,
		);
		return done;
	},
});
