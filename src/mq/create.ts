import {hasCode, quoted, SystemError} from '../common/errors.js';
import {done, failed} from '../common/exit.js';
import {forEachName} from '../common/for-each-name.js';
import {type Address, formatAddress} from '../common/formats/object-name.js';
import {exclusive} from '../common/options.js';
import {tell} from '../common/output.js';
import {many, verb} from '../common/verb.js';
import type {Queue} from '../objects/queue/queue.js';
import {describeOwner} from '../objects/queue/queue-folder.js';
import {queueName, queuesAt} from '../objects/queue/queues.js';
import {attributes} from './options.js';

export const create = verb({
	summary: 'Create queues; each stays until it is removed',
	operands: {names: many(queueName)},
	options: {...attributes, exclusive},
	cluster: true,
	examples: [
		{
			purpose: 'create a queue for ten messages of up to 4 KiB, open to your group',
			line: 'ipc-mq create jobs --maxmsg 10 --msgsize 4K -m 0660',
		},
	],
	run({names}, options) {
		const allMade = forEachName(names, (name) => {
			const shown = quoted(formatAddress(name));
			if (queuesAt(name).create(name, options)) return;
			if (options.exclusive) throw new SystemError(`cannot create ${shown}: it already exists`);
			using queue = openExisting(name);
			const what = queue
				? ` with ${queue.maxmsg ? `maxmsg ${queue.maxmsg}` : 'no maxmsg'} and msgsize ${queue.msgsize}`
				: '';
			tell(`${shown} already exists${what}`);
		});
		return allMade ? done : failed;
	},
});

/** Undefined when it has been removed again. */
function openExisting(name: Address): Queue | undefined {
	try {
		return queuesAt(name).tryOpen(name, 'receive');
	} catch (error) {
		if (!(error instanceof SystemError) || !hasCode(error.cause, 'EACCES')) throw error;
		const shown = formatAddress(name);
		const owner = describeOwner(shown);
		throw new SystemError(
			`${quoted(shown)} already exists, and cannot be opened: permission denied${owner ? `: ${owner}` : ''}`,
		);
	}
}
