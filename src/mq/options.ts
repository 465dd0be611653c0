import {UsageError} from '../common/errors.js';
import {size} from '../common/formats/size.js';
import {wholeNumber} from '../common/formats/text-format.js';
import * as common from '../common/options.js';
import {highestPriority} from '../objects/queue/queue.js';

/** The settings of a new queue, for verbs that make one. */
export const attributes = {
	maxmsg: {value: wholeNumber(1), help: 'capacity in messages (default: fs.mqueue.msg_default)'},
	msgsize: {value: size, help: 'maximum message size (default: fs.mqueue.msgsize_default)'},
	mode: common.mode,
	replicas: {only: 'cluster', value: wholeNumber(1, 5), help: 'on a cluster: how many servers store it (default 1)'},
} as const;

export const priority = {
	short: 'p',
	value: wholeNumber(0, highestPriority),
	help: 'priority, 0 (default) to 32767; the highest is received first',
} as const;

/** Attributes need a new queue. */
export function checkAttributes(options: {
	create: boolean;
	maxmsg: unknown;
	msgsize: unknown;
	mode: unknown;
	replicas: unknown;
}): void {
	if (!options.create && (options.maxmsg ?? options.msgsize ?? options.mode ?? options.replicas) !== undefined)
		throw new UsageError('--maxmsg, --msgsize, --mode and --replicas need --create');
}

/** The longest wait of a worker between two tries. */
export const longestBackoffMs = 3_600_000;
