/** How a queue lies on the cluster: see ipc-cluster(7), ON THE SERVER. */

export const streamPrefix = 'ipc-mq-';
export const streamOf = (name: string): string => streamPrefix + name;
const subjectPrefix = 'ipc.mq.';
/** Each priority has a subject, so that the highest can be received first. */
export const subjectOf = (name: string, priority: number): string =>
	`${subjectPrefix}${name}.${String(priority).padStart(5, '0')}`;
export const allSubjectsOf = (name: string): string => `${subjectPrefix}${name}.*`;
/** Whether a subject with wildcards stands for all that another one stands for. */
export function includesSubject(subject: string, other: string): boolean {
	const [parts, others] = [subject.split('.'), other.split('.')];
	if (parts.at(-1) === '>') return others.length >= parts.length && parts.slice(0, -1).every(isSame);
	return parts.length === others.length && parts.every(isSame);

	function isSame(part: string, i: number): boolean {
		return part === '*' || part === others[i];
	}
}

/** Undefined for a subject that another program has made; that may also be a priority above the highest. */
export function priorityOf(subject: string): number | undefined {
	const digits = /\.([0-9]{5})$/.exec(subject)?.[1];
	return digits === undefined ? undefined : Number(digits);
}
export const isSubjectOf = (name: string, subject: string): boolean => subject.startsWith(`${subjectPrefix}${name}.`);
export const consumerOf = (priority: number): string => `p${String(priority).padStart(5, '0')}`;

/** The id by which the server recognises a message that is sent again; the same message may need another one, with a mark. */
export const messageId = (id: string, renamed: number): string => (renamed === 0 ? id : `${id}+${renamed}`);
/** The part that stays the same. */
export const withoutMark = (id: string): string => id.replace(/\+[0-9]+$/, '');

/** Bytes that a message may have beside its contents: the headers, with the id that keeps it from being stored twice. */
export const headerBytes = 256;
/** How long a message stays with a receiver that has died. */
export const ackWaitMs = 10_000;

export const defaultMaxmsg = 10_000;

export interface ClusterQueueAttributes {
	maxmsg?: number | undefined;
	msgsize?: number | undefined;
	replicas?: number | undefined;
}

/** The status of a queue on the cluster. */
export interface ClusterQueueStatus {
	name: string;
	/** Messages that no receiver has in hand. */
	messages: number;
	/** Messages that a receiver has and has not confirmed. */
	inHand: number;
	/** Null for a stream of another program without a limit. */
	maxmsg: number | null;
	msgsize: number;
	bytes: number;
	replicas: number;
	/** The server that leads, where there are several. */
	leader: string | null;
	created: string;
}

/** Records for a queue, as one buffer and where each ends in it. */
export interface SendBatch {
	bytes: Uint8Array;
	ends: Uint32Array;
	priority: number;
}

export interface Sent {
	sent: number;
	/** Sent, and no answer came: stored or not. */
	unknown: number;
	problem: '' | 'full' | 'lost';
}

/** Messages as one buffer: for each its start, length and priority in `index`, and a receipt to confirm it with. */
export interface ReceivedBatch {
	bytes: Uint8Array;
	index: Int32Array;
	receipts: string[];
}
