import {clusterFormat} from '../common/cluster.js';
import {UsageError} from '../common/errors.js';
import {done, type Outcome} from '../common/exit.js';
import type {ClusterAddress} from '../common/formats/cluster-address.js';
import {formatSize} from '../common/formats/size.js';
import {json} from '../common/options.js';
import {print, printJson} from '../common/output.js';
import {formatFields} from '../common/terminal/table.js';
import {optional, verb} from '../common/verb.js';
import {queueBytes, readLimits} from '../objects/queue/limits.js';
import {clusterQueues} from '../objects/queue/queues.js';
import {attributes} from './options.js';

export const limits = verb({
	summary: 'Show the system limits and how many queues of a given size fit',
	operands: {cluster: optional(clusterFormat)},
	options: {maxmsg: attributes.maxmsg, msgsize: attributes.msgsize, json},
	cluster: true,
	examples: [
		{purpose: 'show how many queues of 100 messages of 1 KiB fit', line: 'ipc-mq limits --maxmsg 100 --msgsize 1K'},
	],
	run({cluster}, options) {
		if (cluster) return limitsOf(cluster, options);
		const found = readLimits();
		const {maxmsg = found.msgDefault, msgsize = found.msgsizeDefault} = options;
		const bytesPerQueue = queueBytes(maxmsg, msgsize);
		const queuesThatFit = found.rlimitMsgqueue === null ? null : Math.floor(found.rlimitMsgqueue / bytesPerQueue);
		if (options.json) printJson({...found, maxmsg, msgsize, bytesPerQueue, queuesThatFit});
		else
			print(
				formatFields([
					['msg_max', `${found.msgMax} messages in a queue (sysctl fs.mqueue.msg_max)`],
					['msgsize_max', `${found.msgsizeMax} bytes in a message (sysctl fs.mqueue.msgsize_max)`],
					['queues_max', `${found.queuesMax} queues in the system (sysctl fs.mqueue.queues_max)`],
					[
						'msgqueue',
						`${found.rlimitMsgqueue ?? 'any number of'} bytes in all queues of a user (RLIMIT_MSGQUEUE, ulimit -q)`,
					],
					['default', `${found.msgDefault} messages of ${found.msgsizeDefault} bytes`],
					[
						'this',
						`${maxmsg} messages of ${msgsize} bytes take ${bytesPerQueue} bytes: ${queuesThatFit ?? 'any number of'} such queues fit`,
					],
				]),
			);
		return done;
	},
});

/** A queue on a cluster takes what its messages take: there is nothing to calculate. */
function limitsOf(
	cluster: ClusterAddress,
	{maxmsg, msgsize, json}: {maxmsg: number | undefined; msgsize: number | undefined; json: boolean},
): Outcome {
	if ((maxmsg ?? msgsize) !== undefined)
		throw new UsageError('--maxmsg and --msgsize cannot be combined with a cluster, whose queues reserve nothing');
	const found = clusterQueues.objects.limits(cluster);
	if (json) printJson(found);
	else
		print(
			formatFields([
				['msgsize_max', `${found.msgsizeMax} bytes in a message (max_payload of the server, less headers)`],
				['streams', `${found.streams} of ${found.streamsMax ?? 'any number of'} streams (queues, pipes, buckets)`],
				[
					'storage',
					`${formatSize(found.storage)} of ${found.storageMax === null ? 'any size' : formatSize(found.storageMax)} in files`,
				],
				['default', `${found.msgDefault} messages of ${found.msgsizeMax} bytes`],
			]),
		);
	return done;
}
