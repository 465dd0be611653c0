import {DiscardPolicy, RetentionPolicy, StorageType, type StreamInfo} from '@nats-io/jetstream';
import {nanos, nuid} from '@nats-io/transport-node';

import {highestPriority} from '../../../objects/queue/queue.js';
import type {ClusterLimits} from '../../../objects/queue/queues.js';

import {
	allSubjectsOf,
	type ClusterQueueAttributes,
	type ClusterQueueStatus,
	defaultMaxmsg,
	headerBytes,
	includesSubject,
	type ReceivedBatch,
	type SendBatch,
	type Sent,
	streamOf,
	streamPrefix,
} from '../../queue/format.js';
import type {Connection} from '../connection.js';
import {refusalOf, refuse} from '../errors.js';
import {QueueConsumer} from './queue-consumer.js';
import {QueuePublisher} from './queue-publisher.js';

/** How long the server recognises a message that is sent again. */
const duplicateWindowMs = 120_000;

/** A queue is a work-queue stream: see ipc-cluster(7). */
export function queueMethods(connection: Connection) {
	const publishers = new Map<string, QueuePublisher>();
	const consumers = new Map<string, QueueConsumer>();
	const publisherOf = (name: string) => kept(publishers, name, () => new QueuePublisher(connection, name));
	const consumerOf = (name: string) => kept(consumers, name, () => new QueueConsumer(connection, name));
	const infoOf = async (name: string): Promise<StreamInfo> => {
		const {streams} = await connection.streams();
		return connection.retry(() => streams.info(streamOf(name)));
	};
	const largestMessage = async (): Promise<number> => {
		const {info} = await connection.client();
		return (info?.max_payload ?? 1024 ** 2) - headerBytes;
	};

	return {
		/** Whether it was made; false where there is one already. */
		async queueCreate(name: string, attributes: ClusterQueueAttributes): Promise<boolean> {
			const largest = await largestMessage();
			const {maxmsg = defaultMaxmsg, msgsize = largest, replicas = 1} = attributes;
			if (msgsize > largest)
				refuse(
					'too-large',
					`messages of ${msgsize} bytes are larger than the server takes, which is ${largest} (its max_payload, less ${headerBytes} for headers)`,
				);
			const {streams} = await connection.streams();
			if (await exists(() => infoOf(name))) return false;
			try {
				await streams.add({
					name: streamOf(name),
					// Makes each of two that are made at once another one, so that only one succeeds.
					description: `a queue of ipc-mq (${nuid.next()})`,
					subjects: [allSubjectsOf(name)],
					retention: RetentionPolicy.Workqueue,
					discard: DiscardPolicy.New,
					storage: StorageType.File,
					max_msgs: maxmsg,
					max_msg_size: msgsize + headerBytes,
					num_replicas: replicas,
					duplicate_window: nanos(duplicateWindowMs),
				});
				return true;
			} catch (error) {
				if (refusalOf(error)?.reason === 'exists') return false;
				throw error;
			}
		},

		async queueOpen(name: string): Promise<{maxmsg: number | null; msgsize: number}> {
			const [{config}, largest] = await Promise.all([infoOf(name), largestMessage()]);
			checkIsQueue(name, config);
			return sizesOf(config, largest);
		},

		queueSend: (name: string, batch: SendBatch, timeoutMs: number): Promise<Sent> =>
			publisherOf(name).send(batch, timeoutMs),

		async queueReceive(name: string, most: number, mostBytes: number, timeoutMs: number): Promise<ReceivedBatch> {
			const arrived = await consumerOf(name).receive(most, timeoutMs);
			let total = 0;
			const fitting = arrived.filter(({data}, i) => {
				total += data.length;
				return i === 0 || total <= mostBytes;
			});
			await consumerOf(name).giveBack(arrived.slice(fitting.length).map(({receipt}) => receipt));
			const bytes = new Uint8Array(fitting.reduce((sum, {data}) => sum + data.length, 0));
			const index = new Int32Array(3 * fitting.length);
			let at = 0;
			for (const [i, {data, priority}] of fitting.entries()) {
				bytes.set(data, at);
				index.set([at, data.length, Math.min(priority, highestPriority)], 3 * i);
				at += data.length;
			}
			return {bytes, index, receipts: fitting.map(({receipt}) => receipt)};
		},

		async queueStopReceiving(name: string): Promise<void> {
			consumerOf(name).stopWaiting();
		},
		queueConfirm: (name: string, receipts: readonly string[]): Promise<void> => consumerOf(name).confirm(receipts),
		queueGiveBack: (name: string, receipts: readonly string[]): Promise<void> => consumerOf(name).giveBack(receipts),

		/** How many messages were deleted. */
		async queuePurge(name: string): Promise<number> {
			const {streams} = await connection.streams();
			return (await streams.purge(streamOf(name))).purged;
		},

		async queueRemove(name: string): Promise<void> {
			const {streams} = await connection.streams();
			checkIsQueue(name, (await infoOf(name)).config);
			await streams.delete(streamOf(name));
		},

		async queueLimits(): Promise<ClusterLimits> {
			const [manager, msgsizeMax] = [await connection.streams(), await largestMessage()];
			const {limits, streams, storage} = await connection.retry(() => manager.getAccountInfo());
			const limited = (limit: number) => (limit < 0 ? null : limit);
			return {
				msgsizeMax,
				streamsMax: limited(limits.max_streams),
				streams,
				storageMax: limited(limits.max_storage),
				storage,
				msgDefault: defaultMaxmsg,
			};
		},

		/** Of these, or of all; those that do not exist are left out. */
		async queueStatus(names?: readonly string[]): Promise<ClusterQueueStatus[]> {
			const largest = await largestMessage();
			const found: ClusterQueueStatus[] = [];
			for (const name of names ?? (await queueNames(connection))) {
				const info = await infoOf(name).catch((error) => {
					if (refusalOf(error)?.reason === 'no-such') return undefined;
					throw error;
				});
				if (info) found.push(await statusOf(connection, name, info, largest));
			}
			return found;
		},
	};
}

export type QueueMethods = ReturnType<typeof queueMethods>;

function kept<Value>(values: Map<string, Value>, key: string, make: () => Value): Value {
	const value = values.get(key) ?? make();
	values.set(key, value);
	return value;
}

async function exists(look: () => Promise<unknown>): Promise<boolean> {
	try {
		await look();
		return true;
	} catch (error) {
		if (refusalOf(error)?.reason === 'no-such') return false;
		throw error;
	}
}

async function queueNames(connection: Connection): Promise<string[]> {
	const {streams} = await connection.streams();
	const names: string[] = [];
	for await (const name of streams.names('ipc.mq.>')) if (name.startsWith(streamPrefix)) names.push(name);
	return names.map((name) => name.slice(streamPrefix.length)).sort();
}

/** Another program may have a stream of that name: what is sent to the queue would never be in it. */
function checkIsQueue(name: string, {subjects}: StreamInfo['config']): void {
	const wanted = allSubjectsOf(name);
	if (!subjects?.some((subject) => includesSubject(subject, wanted)))
		refuse('foreign', `the stream '${streamOf(name)}' of another program does not store '${wanted}'`);
}

/** A stream that another program has made may have no limits. */
function sizesOf(config: StreamInfo['config'], largest: number): {maxmsg: number | null; msgsize: number} {
	return {
		maxmsg: config.max_msgs > 0 ? config.max_msgs : null,
		msgsize:
			(config.max_msg_size ?? -1) > 0 ? Math.min(largest, (config.max_msg_size as number) - headerBytes) : largest,
	};
}

async function statusOf(
	connection: Connection,
	name: string,
	{config, state, created, cluster}: StreamInfo,
	largest: number,
): Promise<ClusterQueueStatus> {
	const {consumers} = await connection.streams();
	let inHand = 0;
	for await (const {num_ack_pending} of consumers.list(streamOf(name))) inHand += num_ack_pending;
	// The stream and its consumers are asked one after another.
	const held = Math.min(inHand, state.messages);
	return {
		name,
		messages: state.messages - held,
		inHand: held,
		...sizesOf(config, largest),
		bytes: state.bytes,
		replicas: config.num_replicas,
		leader: config.num_replicas > 1 ? (cluster?.leader ?? null) : null,
		created: String(created),
	};
}
