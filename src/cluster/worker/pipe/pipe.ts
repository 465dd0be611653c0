import type {PipeSubject} from '../../../objects/fifo/pipes.js';
import {
	allSubjects,
	type ClusterPipeAttributes,
	type ClusterPipeStatus,
	type ClusterUser,
	type PipeBatch,
	type PipeEvent,
	type PipeSent,
	readDescription,
	readerSubject,
	type SendLimits,
	streamPrefix,
	waitingSubject,
	writersSubject,
} from '../../pipe/format.js';
import type {Connection} from '../connection.js';
import {readUser} from './pipe-order.js';
import {PipeReceiver} from './pipe-receiver.js';
import {PipeSender} from './pipe-sender.js';
import {PipeStream} from './pipe-stream.js';
import {PipeWatch} from './pipe-watch.js';

/** How long a look waits for another user to answer. */
const answerMs = 250;

/** A pipe is a work-queue stream with one subject and one consumer: see ipc-cluster(7). */
export function pipeMethods(connection: Connection) {
	const senders = new Map<string, PipeSender>();
	const receivers = new Map<string, PipeReceiver>();
	const watches = new Map<string, PipeWatch>();
	const streamAt = (name: string) => new PipeStream(connection, name);
	const senderOf = (name: string) => senders.get(name) as PipeSender;
	const receiverOf = (name: string) => receivers.get(name) as PipeReceiver;

	return {
		pipeCreate: (name: string, attributes: ClusterPipeAttributes): Promise<boolean> =>
			streamAt(name).make(attributes, false),

		async pipeOpenToSend(name: string, attributes: ClusterPipeAttributes): Promise<SendLimits> {
			const stream = streamAt(name);
			await stream.make(attributes, true);
			senders.set(name, new PipeSender(stream, (await stream.info()).config.num_replicas));
			return stream.limits();
		},
		pipeFindReader: (name: string, timeoutMs: number): Promise<boolean> => senderOf(name).connect(timeoutMs),
		pipeSend: (name: string, bytes: Uint8Array, ends: Uint32Array, timeoutMs: number): Promise<PipeSent> =>
			senderOf(name).send(bytes, ends, timeoutMs),
		pipeEnd: (name: string, timeoutMs: number): Promise<PipeSent> => senderOf(name).end(timeoutMs),
		pipeAbandon: (name: string): Promise<void> => senderOf(name).abandon(),
		/** A pipe that has no user any more is removed, if it is temporary. */
		async pipeLetGo(name: string): Promise<void> {
			const stream = streamAt(name);
			const info = await stream.tryInfo();
			if (!info || info.state.messages > 0 || !readDescription(info.config.description).isTemporary) return;
			for (const subject of [readerSubject(name), writersSubject(name), waitingSubject(name)])
				if ((await stream.answers(subject)) !== false) return;
			await stream.remove().catch(() => undefined);
		},

		async pipeOpenToReceive(name: string, attributes: ClusterPipeAttributes): Promise<void> {
			const stream = streamAt(name);
			await stream.make(attributes, true);
			receivers.set(name, new PipeReceiver(stream));
		},
		pipeBecomeReader: (name: string, timeoutMs: number): Promise<boolean> => receiverOf(name).connect(timeoutMs),
		pipeReceive: (name: string, written: readonly number[], timeoutMs: number): Promise<PipeBatch> =>
			receiverOf(name).receive(written, timeoutMs),
		pipeLeave: (name: string, written: readonly number[]): Promise<boolean> => receiverOf(name).leave(written),
		pipeStop: (
			name: string,
			written: readonly number[],
			partlyRead: {index: number; bytes: number} | undefined,
		): Promise<void> => receiverOf(name).stop(written, partlyRead),

		pipeRemove: (name: string): Promise<void> => streamAt(name).remove(),

		/** Of these, or of all; those that do not exist are left out. */
		async pipeStatus(
			names: readonly string[] | undefined,
			users: boolean,
			timeoutMs: number,
		): Promise<ClusterPipeStatus[]> {
			const found = await Promise.all(
				(names ?? (await pipeNames(connection))).map((name) => statusOf(streamAt(name), users, timeoutMs)),
			);
			return found.filter((status) => status !== undefined);
		},

		/** From now on `pipeNews` tells what happens. */
		async pipeWatch(name: string, subject: PipeSubject): Promise<void> {
			const watch = new PipeWatch(connection, name, subject);
			watches.set(name, watch);
			await watch.begin();
		},
		/** What has happened since the last time; waits for something. */
		pipeNews: (name: string, timeoutMs: number): Promise<PipeEvent[]> =>
			watches.get(name)?.next(timeoutMs) ?? Promise.resolve([]),
	};
}

export type PipeMethods = ReturnType<typeof pipeMethods>;

async function pipeNames(connection: Connection): Promise<string[]> {
	const {streams} = await connection.streams();
	const names: string[] = [];
	for await (const name of streams.names(allSubjects))
		if (name.startsWith(streamPrefix)) names.push(name.slice(streamPrefix.length));
	return names.sort();
}

async function statusOf(
	stream: PipeStream,
	withUsers: boolean,
	timeoutMs: number,
): Promise<ClusterPipeStatus | undefined> {
	const {name, connection} = stream;
	const info = await stream.tryInfo(timeoutMs);
	if (!info) return undefined;
	const subjects = withUsers ? [readerSubject(name), writersSubject(name), waitingSubject(name)] : [];
	const [readers, writers, waiting] = await Promise.all(subjects.map((subject) => usersAt(connection, subject)));
	const {config, state, cluster, created} = info;
	return {
		name,
		isTemporary: readDescription(config.description).isTemporary,
		size: config.max_bytes > 0 ? config.max_bytes : null,
		queued: state.bytes,
		readers: readers ?? [],
		writers: [
			...(writers ?? []).map((user) => ({...user, waiting: false})),
			...(waiting ?? []).map((user) => ({...user, waiting: true})),
		],
		replicas: config.num_replicas,
		leader: config.num_replicas > 1 ? (cluster?.leader ?? null) : null,
		created: String(created),
	};
}

/** All that answer at a subject. */
async function usersAt(connection: Connection, subject: string): Promise<ClusterUser[]> {
	const client = await connection.client();
	const users: ClusterUser[] = [];
	const answers = await client.requestMany(subject, '', {maxWait: answerMs});
	try {
		for await (const answer of answers) {
			// The server's word for: no process answers.
			if (answer.headers?.code === 503) break;
			users.push(readUser(answer.data));
		}
	} catch {
		// No process answers.
	}
	return users;
}
