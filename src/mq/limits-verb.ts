import {done} from '../common/exit.js';
import {json} from '../common/options.js';
import {print, printJson} from '../common/output.js';
import {formatFields} from '../common/terminal/table.js';
import {verb} from '../common/verb.js';
import {queueBytes, readLimits} from '../objects/queue/limits.js';
import {attributes} from './options.js';

export const limits = verb({
	summary: 'Show the system limits and how many queues of a given size fit',
	options: {maxmsg: attributes.maxmsg, msgsize: attributes.msgsize, json},
	examples: [
		{purpose: 'show how many queues of 100 messages of 1 KiB fit', line: 'ipc-mq limits --maxmsg 100 --msgsize 1K'},
	],
	run(_, options) {
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
