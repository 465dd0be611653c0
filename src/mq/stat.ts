import {countOf} from '../common/errors.js';
import {done, failed} from '../common/exit.js';
import {json} from '../common/options.js';
import {print, printJson} from '../common/output.js';
import {describeBlindness} from '../common/process/proc.js';
import {formatFields} from '../common/terminal/table.js';
import {one, verb} from '../common/verb.js';
import type {QueueStatus} from '../objects/queue/queue-status.js';
import {queueName, queuesAt} from '../objects/queue/queues.js';

export function describeQueue(status: QueueStatus): [string, string | string[]][] {
	const {cluster} = status;
	if (cluster)
		return [
			['name', status.name],
			[
				'messages',
				`${status.messages} ${status.maxmsg === null ? '(no limit)' : `of ${status.maxmsg}`}, ${cluster.inHand} in hand`,
			],
			['msgsize', `${status.msgsize} bytes`],
			['bytes', `${status.bytes} bytes stored`],
			['replicas', cluster.leader ? `${cluster.replicas}, led by ${cluster.leader}` : String(cluster.replicas)],
			['created', cluster.created],
		];
	const users = status.users?.map(({pid, command, access}) => `${pid} ${command} (${access})`);
	return [
		['name', status.name],
		['messages', `${status.messages} of ${status.maxmsg}`],
		['msgsize', `${status.msgsize} bytes`],
		[
			'bytes',
			status.bytes === null ? 'unknown: the queue changes all the time' : `${countOf(status.bytes, 'byte')} queued`,
		],
		['mode', status.mode ?? ''],
		['owner', status.owner ?? ''],
		['open', users === undefined ? describeBlindness() : users.length === 0 ? 'none' : users],
		['notify', status.notifyPid === null ? 'none' : `process ${status.notifyPid}`],
		...(status.rescued ? ([['rescued', `${countOf(status.rescued, 'message')} in files`]] as [string, string][]) : []),
	];
}

export const stat = verb({
	summary: 'Show all details of one queue',
	operands: {name: one(queueName)},
	options: {json},
	cluster: true,
	examples: [{purpose: 'print the number of queued messages', line: 'ipc-mq stat jobs --json | jq .messages'}],
	run({name}, options) {
		// Reports the reason when the queue cannot be opened.
		queuesAt(name).open(name, 'receive').close();
		const [status] = queuesAt(name).look([name]);
		if (!status) return failed;
		if (options.json) printJson(status);
		else print(formatFields(describeQueue(status)));
		return done;
	},
});
