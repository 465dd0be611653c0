import {done, failed} from '../common/exit.js';
import {forEachName} from '../common/many.js';
import {objectName} from '../common/object-name.js';
import {many, verb} from '../common/verb.js';
import {MessageQueue} from './message-queue.js';

export const remove = verb({
	summary: 'unlink queues; who has them open goes on',
	aliases: ['rm'],
	operands: {names: many(objectName)},
	examples: [{purpose: 'remove two of them', line: 'ipc-mq remove jobs done'}],
	run({names}) {
		return forEachName(names, (name) => MessageQueue.remove(name)) ? done : failed;
	},
});
