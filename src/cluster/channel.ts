import {closeSync} from 'node:fs';
import {join} from 'node:path';
import {MessageChannel, type MessagePort, receiveMessageOnPort, Worker} from 'node:worker_threads';
import {type ConnectionSettings, clusterConnections, connectionSettings} from '../common/cluster.js';
import {Deadline} from '../common/deadline.js';
import {kernelError} from '../common/errors.js';
import type {ClusterAddress} from '../common/formats/cluster-address.js';
import {showServer} from '../common/formats/cluster-address.js';
import {outputSettings, tellError} from '../common/output.js';
import {isBroken, isReady, PollSet} from '../common/waiting.js';
import {native, POLLIN} from '../native/index.js';
import {type Answer, flags, type Methods, type WorkerStart} from './protocol.js';
import {Refusal} from './refusal.js';

const SOCK_STREAM = 1;
/** How long the end of a command may be kept waiting by a cluster: to give back what is in hand. */
export const closeTimeoutMs = 3000;
/** The same where it did not answer a moment ago. */
const shortCloseTimeoutMs = 100;

type Result<Table extends Methods, Name extends keyof Table> = Awaited<ReturnType<Table[Name]>>;

/**
 * A connection to a cluster. The client of NATS needs an event loop and our verbs wait in the kernel, so the client has a thread of
 * its own, and a call of it waits in poll(2) for a byte on a socket. So a caught signal and the end of a reader end this wait as they
 * end any other, and a verb is written once for both kinds of object.
 */
export class Channel implements Disposable {
	private readonly worker: Worker;
	private readonly port: MessagePort;
	private readonly flags = new Int32Array(new SharedArrayBuffer(4 * flags.length));
	private readonly ourEnd: number;
	private readonly theirEnd: number;
	private readonly poll = new PollSet<'answer' | 'watched'>();
	private readonly drained = Buffer.alloc(64);
	private lastId = 0;
	private readonly answers = new Map<number, Answer>();
	private readonly expected = new Map<number, (answer: Answer) => void>();
	private isClosed = false;
	/** On the way out there was no answer already. */
	private isSilent = false;

	constructor(settings: ConnectionSettings) {
		[this.ourEnd, this.theirEnd] = native.socketpair(SOCK_STREAM);
		const {port1, port2} = new MessageChannel();
		this.port = port1;
		const start: WorkerStart = {
			settings,
			shown: settings.servers.map(showServer).join(','),
			output: outputSettings(),
			wake: this.theirEnd,
			shared: this.flags.buffer as SharedArrayBuffer,
		};
		native.shareDescriptors();
		// Memory for one connection, not for a program.
		this.worker = new Worker(join(__dirname, 'start.js'), {
			argv: ['cluster-worker'],
			workerData: {...start, port: port2},
			transferList: [port2],
			execArgv: [],
			stdin: false,
			resourceLimits: {maxYoungGenerationSizeMb: 16},
		});
		this.worker.unref();
		this.port.unref();
		this.poll.watch('answer', this.ourEnd, POLLIN);
	}

	/**
	 * Calls a method of the worker and waits for its answer as long as the method takes; a method that waits has its own limit.
	 * `watched` is a descriptor: when its reader leaves, the wait ends with EPIPE. poll(2)
	 *
	 * @throws Refusal when the cluster refused; the kernel's EINTR for a caught signal.
	 */
	call<Table extends Methods, Name extends keyof Table & string>(
		method: Name,
		args: Parameters<Table[Name]>,
		watched = -1,
	): Result<Table, Name> {
		return this.finish<Table, Name>(this.begin<Table, Name>(method, args), watched);
	}

	/** Begins a call and does not wait for it: several may be under way. `memory` is handed over, not copied. */
	begin<Table extends Methods, Name extends keyof Table & string>(
		method: Name,
		args: Parameters<Table[Name]>,
		memory: readonly ArrayBuffer[] = [],
	): number {
		return this.post(method, args, memory);
	}

	/** Waits for the answer to a call that has begun. */
	finish<Table extends Methods, Name extends keyof Table & string>(call: number, watched = -1): Result<Table, Name> {
		this.poll.watch('watched', watched);
		for (;;) {
			this.takeMessages();
			const answer = this.answers.get(call);
			if (answer) {
				this.answers.delete(call);
				return resultOf(answer) as Result<Table, Name>;
			}
			this.poll.wait(-1);
			if (isBroken(this.poll.eventsOf('watched'))) throw kernelError('EPIPE', 'poll');
			this.drain();
		}
	}

	/** The answer to a call that has begun; undefined until it is here. For a wait of the caller's own on `descriptor`. */
	answerTo<Table extends Methods, Name extends keyof Table & string>(call: number): Result<Table, Name> | undefined {
		this.settle();
		this.takeMessages();
		const answer = this.answers.get(call);
		return answer && (resultOf(answer) as Result<Table, Name>);
	}

	/** Reads what woke us: an answer that is not asked for after this makes `descriptor` readable again. */
	settle(): void {
		if (isReady(this.ourEnd, POLLIN, 0)) this.drain();
	}

	/** Becomes readable when there is something to hear. */
	get descriptor(): number {
		return this.ourEnd;
	}

	/** Whether the answer to a call is here. */
	hasAnswer(call: number): boolean {
		this.takeMessages();
		return this.answers.has(call);
	}

	/** Waits for an answer or until a descriptor has something to read: whether it has. */
	waitBeside(descriptor: number): boolean {
		this.poll.watch('watched', descriptor, POLLIN);
		this.poll.wait(-1);
		const isReadable = this.poll.eventsOf('watched') !== 0;
		this.poll.watch('watched', -1);
		if (this.poll.eventsOf('answer') !== 0) this.drain();
		return isReadable;
	}

	/** The same for what has to be done on the way out: no signal ends the wait. Undefined where there was no answer in time. */
	callAtEnd<Table extends Methods, Name extends keyof Table & string>(
		method: Name,
		args: Parameters<Table[Name]>,
		timeoutMs = closeTimeoutMs,
	): Result<Table, Name> | undefined {
		const id = this.post(method, args);
		const deadline = new Deadline(timeoutMs);
		for (;;) {
			const sent = Atomics.load(this.flags, flags.sent);
			this.takeMessages();
			const answer = this.answers.get(id);
			if (answer) {
				this.answers.delete(id);
				return resultOf(answer) as Result<Table, Name>;
			}
			if (deadline.hasPassed) {
				this.isSilent = true;
				return undefined;
			}
			Atomics.wait(this.flags, flags.sent, sent, deadline.leftMs);
		}
	}

	/** The same without blocking the event loop. */
	callLater<Table extends Methods, Name extends keyof Table & string>(
		method: Name,
		args: Parameters<Table[Name]>,
	): Promise<Result<Table, Name>> {
		if (this.port.listenerCount('message') === 0) this.port.on('message', (answer: Answer) => this.handle(answer));
		this.port.ref();
		const id = this.post(method, args);
		return new Promise((resolve, reject) => {
			this.expected.set(id, (answer) => {
				try {
					resolve(resultOf(answer) as Result<Table, Name>);
				} catch (error) {
					reject(error);
				}
			});
		});
	}

	/** The same without an answer, not even of a refusal. */
	tell<Table extends Methods, Name extends keyof Table & string>(method: Name, args: Parameters<Table[Name]>): void {
		this.port.postMessage({id: 0, method, args});
	}

	private post(method: string, args: readonly unknown[], memory: readonly ArrayBuffer[] = []): number {
		const id = ++this.lastId;
		this.port.postMessage({id, method, args}, memory);
		return id;
	}

	private drain(): void {
		// Before the flag: a byte that comes now belongs to a message that is taken below.
		native.read(this.ourEnd, this.drained, 0, this.drained.length);
		Atomics.store(this.flags, flags.woken, 0);
	}

	private takeMessages(): void {
		for (let got = receiveMessageOnPort(this.port); got; got = receiveMessageOnPort(this.port))
			this.handle(got.message as Answer);
	}

	private handle(answer: Answer): void {
		if ('defect' in answer) throw new Error(`in the thread of the cluster's client: ${answer.defect}`);
		else {
			const expected = this.expected.get(answer.id);
			this.expected.delete(answer.id);
			if (expected) expected(answer);
			else this.answers.set(answer.id, answer);
		}
	}

	/** Gives back what is in hand, and closes the connection. Waits a moment at most. */
	[Symbol.dispose](): void {
		if (this.isClosed) return;
		this.isClosed = true;
		const wasSilent = this.isSilent;
		const problem = this.callAtEnd<CloseMethods, 'close'>(
			'close',
			[],
			wasSilent ? shortCloseTimeoutMs : closeTimeoutMs,
		);
		if (problem === undefined && !wasSilent) tellSilence();
		this.port.close();
		closeSync(this.ourEnd);
		// The worker may still write to its end; it goes with the process.
	}
}

/** At the end of a command. */
export const tellSilence = (): void =>
	tellError('the cluster does not answer: what is in hand comes back to it after a while');

/** What the frame of the worker itself does. */
export type CloseMethods = {close(): Promise<boolean>};

function resultOf(answer: Answer): unknown {
	if ('refusal' in answer) throw new Refusal(answer.refusal);
	if ('result' in answer) return answer.result;
	throw new Error('the answer is neither a result nor a refusal');
}

const channels = new Map<string, {channel: Channel; users: number}>();

/** A channel to the cluster of an address; objects on the same cluster share one. Let go of by `closeChannel`. */
export function openChannel(address: ClusterAddress, more: Partial<ConnectionSettings> = {}): Channel {
	const settings = {...connectionSettings(address), ...more};
	const key = JSON.stringify(settings);
	const open = channels.get(key) ?? {channel: new Channel(settings), users: 0};
	channels.set(key, open);
	open.users++;
	return open.channel;
}

export function closeChannel(channel: Channel): void {
	for (const [key, open] of channels)
		if (open.channel === channel && --open.users === 0) {
			channels.delete(key);
			channel[Symbol.dispose]();
		}
}

/** Something short on a cluster. */
export function withChannel<Result>(address: ClusterAddress, work: (channel: Channel) => Result): Result {
	const channel = openChannel(address);
	try {
		return work(channel);
	} finally {
		closeChannel(channel);
	}
}

clusterConnections.register({
	keep(address) {
		const channel = openChannel(address);
		return {[Symbol.dispose]: () => closeChannel(channel)};
	},
});
