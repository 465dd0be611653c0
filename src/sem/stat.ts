import {done} from '../common/exit.js';
import {json} from '../common/options.js';
import {print, printJson} from '../common/output.js';
import {formatFields} from '../common/terminal/table.js';
import {one, verb} from '../common/verb.js';
import {describeHolder, type SemaphoreStatus} from '../objects/semaphore/semaphore-status.js';
import {found, semaphoreName, semaphoresAt} from '../objects/semaphore/semaphores.js';

export function describeSemaphore(status: SemaphoreStatus): [string, string | string[]][] {
	const {cluster} = status;
	const holders = status.holders.map(describeHolder);
	if (cluster)
		return [
			['name', status.name],
			['value', `${status.value} free`],
			['replicas', String(cluster.replicas)],
			['created', cluster.created],
			['holders', holders.length > 0 ? holders : 'none'],
		];
	return [
		['name', status.name],
		['value', `${status.value} free`],
		['waiters', String(status.waiters)],
		['mode', status.mode ?? ''],
		['owner', status.owner ?? ''],
		['holders', holders.length > 0 ? holders : 'none known (units taken by other programs do not show)'],
	];
}

export const stat = verb({
	summary: 'Show all details of one semaphore',
	operands: {name: one(semaphoreName)},
	options: {json},
	cluster: true,
	examples: [
		{purpose: 'print the commands of the holders', line: "ipc-sem stat jobs --json | jq '.holders[].command'"},
	],
	run({name}, options) {
		const status = found(name, semaphoresAt(name).look(name));
		if (options.json) printJson(status);
		else print(formatFields(describeSemaphore(status)));
		return done;
	},
});
