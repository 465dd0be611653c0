import {hostname} from 'node:os';
import {DiscardPolicy, RetentionPolicy, StorageType, type StreamInfo} from '@nats-io/jetstream';
import {type NatsConnection, nanos, type Subscription} from '@nats-io/transport-node';
import {
	type ClusterPipeAttributes,
	type ClusterUser,
	type Description,
	describe,
	headerBytes,
	longestWindow,
	readDescription,
	type SendLimits,
	streamOf,
	subjectOf,
	usualChunkBytes,
	usualSize,
} from '../../pipe/format.js';
import type {Connection} from '../connection.js';
import {refusalOf, refuse} from '../errors.js';

/** How long the server recognises a message that is sent again. */
const duplicateWindowMs = 120_000;
/** How long another process may take to answer. */
const answerMs = 1000;
const leastSize = 64 * 1024;
const leastChunkBytes = 1024;

/** This process, as it shows itself to others. */
export const ourselves: ClusterUser = {host: hostname(), pid: process.pid, command: 'ipc-pipe'};

/** Who asks at this subject learns of us, or gets the `answer` to what it says. */
export const answerAt = (
	client: NatsConnection,
	subject: string,
	answer = (_question: string): string => JSON.stringify(ourselves),
): Subscription =>
	client.subscribe(subject, {callback: (_, message) => void message.respond(answer(message.string()))});

/** The stream that a pipe is. */
export class PipeStream {
	private wanted: ClusterPipeAttributes = {};

	constructor(
		readonly connection: Connection,
		readonly name: string,
	) {}

	async info(timeoutMs = -1): Promise<StreamInfo> {
		const {streams} = await this.connection.streams();
		return this.connection.retry(() => streams.info(streamOf(this.name)), timeoutMs);
	}

	async tryInfo(timeoutMs = -1): Promise<StreamInfo | undefined> {
		try {
			return await this.info(timeoutMs);
		} catch (error) {
			if (refusalOf(error)?.reason === 'no-such') return undefined;
			throw error;
		}
	}

	/** Whether it was made; one that exists already gets the size that is wanted. */
	async make(attributes: ClusterPipeAttributes, isTemporary: boolean): Promise<boolean> {
		this.wanted = attributes;
		const found = await this.tryInfo();
		if (found) {
			await this.change(found, attributes, isTemporary);
			return false;
		}
		const {size = usualSize, replicas = 1} = attributes;
		if (size < leastSize) refuse('too-small', `a pipe on a cluster has at least ${leastSize} bytes, not ${size}`);
		const {streams} = await this.connection.streams();
		try {
			await this.connection.retry(() =>
				streams.add({
					name: streamOf(this.name),
					description: describe({isTemporary, partlyRead: undefined}),
					subjects: [subjectOf(this.name)],
					// Only one consumer is possible, so that a reader is alone.
					retention: RetentionPolicy.Workqueue,
					discard: DiscardPolicy.New,
					storage: StorageType.File,
					max_bytes: size,
					num_replicas: replicas,
					duplicate_window: nanos(duplicateWindowMs),
				}),
			);
			return true;
		} catch (error) {
			if (refusalOf(error)?.reason !== 'exists') throw error;
			return false;
		}
	}

	/** The same as before, for a temporary one that has gone meanwhile. */
	makeAgain(): Promise<boolean> {
		return this.make(this.wanted, true);
	}

	private async change({config}: StreamInfo, {size}: ClusterPipeAttributes, isTemporary: boolean): Promise<void> {
		const before = readDescription(config.description);
		const becomesPermanent = before.isTemporary && !isTemporary;
		if (!becomesPermanent && (size === undefined || size === config.max_bytes)) return;
		await this.update({
			...(size === undefined ? {} : {max_bytes: size}),
			...(becomesPermanent ? {description: describe({...before, isTemporary: false})} : {}),
		});
	}

	async update(config: {max_bytes?: number; description?: string}): Promise<void> {
		const {streams} = await this.connection.streams();
		await this.connection.retry(() => streams.update(streamOf(this.name), config));
	}

	async describe(change: Partial<Description>): Promise<void> {
		const {config} = await this.info();
		await this.update({description: describe({...readDescription(config.description), ...change})});
	}

	async remove(): Promise<void> {
		const {streams} = await this.connection.streams();
		await streams.delete(streamOf(this.name));
	}

	/** What one message may have. */
	async limits(): Promise<SendLimits> {
		const [{config}, {info}] = await Promise.all([this.info(), this.connection.client()]);
		const size = config.max_bytes > 0 ? config.max_bytes : Number.MAX_SAFE_INTEGER;
		const mostRecordBytes = Math.min(info?.max_payload ?? 1024 ** 2, size) - headerBytes;
		const fitting = Math.max(leastChunkBytes, Math.floor(size / (2 * longestWindow)));
		return {mostRecordBytes, chunkBytes: Math.min(usualChunkBytes, mostRecordBytes, fitting)};
	}

	/** The storage is full of messages that wait for an earlier one, which therefore finds no room. */
	async makeRoom(): Promise<void> {
		const {config, state} = await this.info();
		const {mostRecordBytes} = await this.limits();
		if (config.max_bytes > 0 && config.max_bytes - state.bytes < mostRecordBytes)
			await this.update({max_bytes: config.max_bytes + 2 * mostRecordBytes});
	}

	/** The consumer of the reader, and whether the server has a connection to it; undefined where there is none, or none can be seen now. */
	async reader(): Promise<{consumer: string; isThere: boolean} | undefined> {
		const {consumers} = await this.connection.streams();
		try {
			for await (const {name, push_bound} of consumers.list(streamOf(this.name)))
				return {consumer: name, isThere: push_bound === true};
		} catch (error) {
			const reason = refusalOf(error)?.reason;
			if (reason !== 'timeout' && reason !== 'no-jetstream') throw error;
		}
		return undefined;
	}

	async removeReader(consumer: string): Promise<void> {
		const {consumers} = await this.connection.streams();
		try {
			await consumers.delete(streamOf(this.name), consumer);
		} catch (error) {
			const reason = refusalOf(error)?.reason ?? '';
			if (!['no-consumer', 'no-such', 'timeout', 'no-jetstream'].includes(reason)) throw error;
		}
	}

	/** Whether a process answers at a subject; undefined when that cannot be told now. */
	async answers(subject: string): Promise<boolean | undefined> {
		const answer = await this.ask(subject, '');
		return typeof answer === 'string' ? true : answer;
	}

	/** What the process at a subject answers; false where there is none, undefined when that cannot be told now. */
	async ask(subject: string, question: string): Promise<string | false | undefined> {
		try {
			const client = await this.connection.client();
			return (await client.request(subject, question, {timeout: answerMs})).string();
		} catch (error) {
			// The word for a request that no process answers: of a stream it would mean that there is no JetStream.
			return refusalOf(error)?.reason === 'no-jetstream' ? false : undefined;
		}
	}
}
