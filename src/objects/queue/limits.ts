import {readFileSync} from 'node:fs';
import {attempt} from '../../common/errors.js';
import {formatSize} from '../../common/formats/size.js';
import {native} from '../../native/index.js';

/** What the kernel adds to each message a queue can hold: its header and its place in the tree of priorities. mq_overview(7) */
const overheadPerMessage = 96;
/** What even a privileged user cannot pass. mq_overview(7) */
export const hardMostMessages = 65_536;
export const hardMostBytes = 16_777_216;

/** The limits of POSIX message queues; the keys are those of --json. */
export interface QueueLimits {
	/** Most messages a queue may hold, without privilege: fs.mqueue.msg_max. */
	msgMax: number;
	/** Most bytes a message may have, without privilege: fs.mqueue.msgsize_max. */
	msgsizeMax: number;
	/** Most queues in the system, without privilege: fs.mqueue.queues_max. */
	queuesMax: number;
	/** The attributes of a queue that was made without any. */
	msgDefault: number;
	msgsizeDefault: number;
	/** Bytes that all queues of this user may take: RLIMIT_MSGQUEUE; null where there is no limit. */
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

/** What a queue of these attributes counts against RLIMIT_MSGQUEUE, in bytes, however many messages it holds. */
export const queueBytes = (maxmsg: number, msgsize: number): number => maxmsg * (msgsize + overheadPerMessage);

/** Why a queue of these attributes cannot be made, in terms of the true limit, its value and the knob; by error code. */
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
