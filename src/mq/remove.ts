import {done, failed} from '../common/exit.js';
import {forEachName} from '../common/for-each-name.js';
import {many, verb} from '../common/verb.js';
import {queueName, queuesAt} from '../objects/queue/queues.js';

export const remove = verb({
	summary: 'Remove queues; processes that have them open can continue to use them',
	aliases: ['rm'],
	operands: {names: many(queueName)},
	cluster: true,
	examples: [{purpose: 'remove two queues', line: 'ipc-mq remove jobs done'}],
	run({names}) {
		return forEachName(names, (name) => queuesAt(name).remove(name)) ? done : failed;
	},
});
