import {done} from '../common/exit.js';
import {json} from '../common/options.js';
import {print, printJson} from '../common/output.js';
import {describeBlindness} from '../common/process/proc.js';
import {formatFields} from '../common/terminal/table.js';
import {optional, verb} from '../common/verb.js';
import {noSuchFifo} from '../objects/fifo/fifo.js';
import type {FifoStatus, FifoUser} from '../objects/fifo/fifo-status.js';
import {pipeName, pipesAt} from '../objects/fifo/pipes.js';
import {defaultName} from './default-name.js';

const bytes = (amount: number | null): string => (amount === null ? 'unknown' : `${amount} bytes`);

const none = 'none';
const noneSeen = 'none that can be seen (only root sees the processes of other users)';

const users = (list: readonly FifoUser[] | null, ifEmpty = none): string | string[] =>
	list === null
		? describeBlindness()
		: list.length === 0
			? ifEmpty
			: list.map(
					({pid, command, host, waiting}) =>
						`${pid} ${command}${host ? ` on ${host}` : ''}${waiting ? (host ? ' (waits for a reader)' : ' (waits in open)') : ''}`,
				);

export function describeFifo(status: FifoStatus): [string, string | string[]][] {
	const {cluster} = status;
	if (cluster)
		return [
			['name', status.name],
			['life', status.temporary ? 'temporary: its last user removes it' : 'permanent'],
			['capacity', status.capacity === null ? 'no limit' : bytes(status.capacity)],
			['queued', bytes(status.queued)],
			['readers', users(status.readers)],
			['writers', users(status.writers)],
			['replicas', cluster.leader ? `${cluster.replicas}, led by ${cluster.leader}` : String(cluster.replicas)],
			['created', cluster.created],
		];
	const isOpen =
		status.queued === null || [...(status.readers ?? []), ...(status.writers ?? [])].some(({waiting}) => !waiting);
	// Who cannot look inside does not see every user either.
	const ifEmpty = status.queued === null ? noneSeen : none;
	return [
		['path', status.path ?? ''],
		['mode', status.mode ?? ''],
		['owner', status.owner ?? ''],
		['life', status.temporary ? 'temporary: its last user removes it' : 'permanent'],
		['capacity', isOpen ? bytes(status.capacity) : 'none: no process has the FIFO open'],
		['queued', bytes(status.queued)],
		['readers', users(status.readers, ifEmpty)],
		['writers', users(status.writers, ifEmpty)],
	];
}

export const stat = verb({
	summary: 'Show all details of one FIFO',
	operands: {name: optional(pipeName)},
	options: {json},
	cluster: true,
	examples: [{purpose: 'print the number of unread bytes', line: 'ipc-pipe stat log --json | jq .queued'}],
	run({name = defaultName}, options) {
		const [status] = pipesAt(name).look([name]);
		if (!status) return noSuchFifo(name);
		if (options.json) printJson(status);
		else print(formatFields(describeFifo(status)));
		return done;
	},
});
