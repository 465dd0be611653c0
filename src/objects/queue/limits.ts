import {readFileSync} from 'node:fs';
import {attempt} from '../../common/errors.js';
import {formatSize} from '../../common/formats/size.js';
import {native} from '../../native/index.js';

/**
 * What the kernel adds to each message a queue can hold: its header and its place in the tree of priorities.
 * mq_overview(7)
 */
const overheadPerMessage = 96;
/** The limits that even a privileged user cannot exceed. mq_overview(7) */
const hardMostMessages = 65_536;
export const hardMostBytes = 16_777_216;

/** The limits of POSIX message queues; the keys are those of --json. */
export interface QueueLimits {
	/** Maximum number of messages in a queue, without privilege: fs.mqueue.msg_max. */
	msgMax: number;
	/** Maximum number of bytes in a message, without privilege: fs.mqueue.msgsize_max. */
	msgsizeMax: number;
	/** Maximum number of queues in the system, without privilege: fs.mqueue.queues_max. */
	queuesMax: number;
	/** The default attributes of a queue. */
	msgDefault: number;
	msgsizeDefault: number;
	/** Maximum bytes of all queues of this user: RLIMIT_MSGQUEUE; null when there is no limit. */
	rlimitMsgqueue: number | null;
}

const knob = (name: string): number =>
	attempt(`cannot read the limit fs.mqueue.${name}`, () => Number(readFileSync(`/proc/sys/fs/mqueue/${name}`, 'utf8')));

/** @throws SystemError where /proc does not show them. */
export function readLimits(): QueueLimits {
	const rlimit = native.rlimitMsgqueue();
	return {
		msgMax: knob('msg_max'),
		msgsizeMax: knob('msgsize_max'),
		queuesMax: knob('queues_max'),
		msgDefault: knob('msg_default'),
		msgsizeDefault: knob('msgsize_default'),
		rlimitMsgqueue: Number.isFinite(rlimit) ? rlimit : null,
	};
}

/** The bytes that a queue with these attributes counts against RLIMIT_MSGQUEUE, however many messages it holds. */
export const queueBytes = (maxmsg: number, msgsize: number): number => maxmsg * (msgsize + overheadPerMessage);

/**
 * Why a queue with these attributes cannot be made: the limit, its value and the setting that changes it; by error
 * code.
 */
export function explainAttributes(
	maxmsg: number,
	msgsize: number,
	{msgMax, msgsizeMax, queuesMax, rlimitMsgqueue}: QueueLimits,
): Record<string, string> {
	const problems: string[] = [];
	if (maxmsg > msgMax)
		problems.push(
			`${maxmsg} messages are more than fs.mqueue.msg_max, which is ${msgMax} (see sysctl(8); ${hardMostMessages} at most)`,
		);
	if (msgsize > msgsizeMax)
		problems.push(
			`messages of ${msgsize} bytes are larger than fs.mqueue.msgsize_max, which is ${msgsizeMax} (see sysctl(8); ${hardMostBytes} at most)`,
		);
	const needed = queueBytes(maxmsg, msgsize);
	const fits = rlimitMsgqueue === null ? maxmsg : Math.floor(rlimitMsgqueue / (msgsize + overheadPerMessage));
	const advice =
		needed > (rlimitMsgqueue ?? Number.POSITIVE_INFINITY) && fits > 0 ? `; alone it could hold ${fits} messages` : '';
	return {
		EINVAL: problems.join(' and ') || `no queue can hold ${maxmsg} messages of ${msgsize} bytes`,
		EMFILE: `it takes ${needed} bytes (${formatSize(needed)}) and all your queues together may take ${rlimitMsgqueue ?? 'any number of'} (RLIMIT_MSGQUEUE; see: ulimit -q)${advice}`,
		ENOSPC: `there are ${queuesMax} queues already (see: sysctl fs.mqueue.queues_max)`,
		ENOMEM: `the kernel has no memory for ${needed} bytes`,
		EOVERFLOW: `no queue can hold ${maxmsg} messages of ${msgsize} bytes`,
	};
}

/** The same where /proc does not show the limits: of those the process itself has one. getrlimit(2) */
export const explainWithoutLimits = (): Record<string, string> => ({
	EMFILE: `all your queues together may take ${native.rlimitMsgqueue()} bytes (RLIMIT_MSGQUEUE; see: ulimit -q)`,
});
