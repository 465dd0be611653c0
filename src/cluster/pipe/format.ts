/** How a pipe lies on the cluster: see ipc-cluster(7), ON THE SERVER. */

export const streamPrefix = 'ipc-pipe-';
export const streamOf = (name: string): string => streamPrefix + name;
/** What is sent to it is stored. */
export const subjectOf = (name: string): string => `ipc.pipe.${name}`;
export const allSubjects = 'ipc.pipe.*';
/** What is sent to these is not stored. The reader answers here, while there is one. */
export const readerSubject = (name: string): string => `ipc.pipe.${name}.reader`;
/** All senders that have found a reader answer here. */
export const writersSubject = (name: string): string => `ipc.pipe.${name}.writer`;
/** All senders that wait for one answer here. */
export const waitingSubject = (name: string): string => `ipc.pipe.${name}.waiting`;
/** One sender, as long as it lives. */
export const writerSubject = (name: string, id: string): string => `ipc.pipe.${name}.writer.${id}`;
/** A reader has come, or a sender: the word for it is the message. */
export const newsSubject = (name: string): string => `ipc.pipe.${name}.news`;

/** The id of a message; the same message may need another one, with a mark. */
export const messageId = (sender: string, number: number, renamed: number): string =>
	renamed === 0 ? `${sender}:${number}` : `${sender}:${number}+${renamed}`;
/** Sender and number; undefined for a message of another program. */
export function readMessageId(id: string): {sender: string; number: number} | undefined {
	const [, sender, number] = /^(.*):([0-9]+)(?:\+[0-9]+)?$/.exec(id) ?? [];
	return sender === undefined ? undefined : {sender, number: Number(number)};
}
/** Beside the id: up to which number everything of its sender was stored when it was sent. */
export const storedHeader = 'Ipc-Stored';
/** `begin` and `end` of a sender, or `left`: it stopped before it had sent all. */
export const markHeader = 'Ipc-Mark';
export type Mark = 'begin' | 'end' | 'left';

/** Bytes that a message may have beside its contents, the server's own notes included. */
export const headerBytes = 512;
export const usualSize = 8 * 1024 ** 2;
/** Bytes in one message, where they are not records. */
export const usualChunkBytes = 128 * 1024;
/** How many messages a sender may be ahead of the last one up to which all are stored. */
export const longestWindow = 16;
/** What a reader may have in hand. */
export const mostInHand = 64;
/** The bytes that the two threads hand one another at once. */
export const batchBytes = 1024 ** 2;

export interface ClusterPipeAttributes {
	size?: number | undefined;
	replicas?: number | undefined;
}

/** Who uses a pipe: as it says itself. */
export interface ClusterUser {
	host: string;
	pid: number;
	command: string;
}

/** What is known of a pipe beside its settings: in the description of its stream. */
export interface Description {
	isTemporary: boolean;
	/** The first bytes of this message have been read, by a reader that stopped in its middle. */
	partlyRead: {sequence: number; bytes: number} | undefined;
}

export function describe({isTemporary, partlyRead}: Description): string {
	const what = isTemporary ? 'a temporary pipe of ipc-pipe' : 'a pipe of ipc-pipe';
	return partlyRead ? `${what}; read of message ${partlyRead.sequence}: ${partlyRead.bytes} bytes` : what;
}

export function readDescription(text = ''): Description {
	const [, sequence, bytes] = /read of message ([0-9]+): ([0-9]+) bytes/.exec(text) ?? [];
	return {
		isTemporary: text.startsWith('a temporary pipe'),
		partlyRead: sequence === undefined ? undefined : {sequence: Number(sequence), bytes: Number(bytes)},
	};
}

/** The status of a pipe on the cluster. */
export interface ClusterPipeStatus {
	name: string;
	isTemporary: boolean;
	/** Null for a stream of another program without a limit. */
	size: number | null;
	queued: number;
	readers: ClusterUser[];
	writers: (ClusterUser & {waiting: boolean})[];
	replicas: number;
	leader: string | null;
	created: string;
}

/** What a sender has to know of the pipe. */
export interface SendLimits {
	chunkBytes: number;
	mostRecordBytes: number;
}

export interface PipeSent {
	/** Messages that are stored, without a gap. */
	stored: number;
	problem: '' | 'full' | 'lost';
}

/** What has come, in the order in which it is to be written. */
export interface PipeBatch {
	/** Valid until the next batch is asked for. */
	bytes: Uint8Array;
	/** For each message its index among all that came, and where it ends in the bytes; a mark has none. */
	pieces: Float64Array;
	/** Senders that have sent all. */
	finished: number;
	/** Senders that have not, and never will. */
	cutShort: (ClusterUser & {bytes: number})[];
	/** Nothing more is stored, and no sender is known that will send more. */
	isOver: boolean;
}

/** What is heard of a pipe; `other` is what may have changed its contents in another way. */
export type PipeEvent = 'reader' | 'writer' | 'data' | 'other';
