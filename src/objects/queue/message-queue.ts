import {closeSync, fstatSync} from 'node:fs';
import {explain, hasCode, quoted, SystemError, shellWord, UsageError} from '../../common/errors.js';
import {defaultMode} from '../../common/formats/mode.js';
import {type Address, formatAddress, parseAddress} from '../../common/formats/object-name.js';
import type {TextFormat} from '../../common/formats/text-format.js';
import type {FileIdentity} from '../../common/process/proc.js';
import {isReady} from '../../common/waiting.js';
import {isKernelError, native, O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_WRONLY, POLLIN} from '../../native/index.js';
import {explainAttributes, readLimits} from './limits.js';

/** One message as it was received. */
export interface Message {
	data: Buffer;
	/** 0 to 32767; the highest is received first. */
	priority: number;
}

export const highestPriority = 32_767;

/** How many messages of which size a queue holds; what is left out is the system's default. */
export interface QueueAttributes {
	maxmsg?: number | undefined;
	msgsize?: number | undefined;
	/** Permission bits; the umask applies. Default 0600. */
	mode?: number | undefined;
}

export type QueueAccess = 'send' | 'receive' | 'both';

const flagsOf: Record<QueueAccess, number> = {send: O_WRONLY, receive: O_RDONLY, both: O_RDWR};

/** No record is framed: what was received lies in the buffer as it is. */
const unframed = -2;

/**
 * A POSIX message queue: the same object as any C, Python or Rust program's of that name. mq_overview(7)
 *
 * `try…` answers at once; the others may wait, in the kernel, and hold up the event loop meanwhile. To receive
 * without holding it up, iterate: `for await (const {data, priority} of queue)`.
 */
export class MessageQueue implements Disposable {
	/** Messages it can hold. */
	readonly maxmsg: number;
	/** Bytes a message can have. */
	readonly msgsize: number;
	private buffer: Buffer | undefined;
	private readonly index = new Int32Array(3);

	private constructor(
		/** The name as its user wrote it. */
		readonly shownName: string,
		/** The queue's descriptor: non-blocking; poll(2) takes it. */
		readonly descriptor: number,
	) {
		({maxmsg: this.maxmsg, msgsize: this.msgsize} = native.mqGetattr(descriptor));
	}

	/**
	 * Makes a queue; answers false when one of that name exists already, which stays as it is. mq_open(3)
	 *
	 * @throws SystemError that names the limit in the way, its value and the knob.
	 */
	static create(name: string | Address, attributes: QueueAttributes = {}): boolean {
		const queue = MessageQueue.make(toAddress(name), attributes, 'both');
		queue?.close();
		return queue !== undefined;
	}

	/** Opens a queue; with `create` makes it first when it is missing. mq_open(3) */
	static open(name: string | Address, access: QueueAccess = 'both', create?: QueueAttributes): MessageQueue {
		const address = toAddress(name);
		// Made and removed by others meanwhile: a few rounds settle that.
		for (let round = 0; round < 100; round++) {
			const found = MessageQueue.tryOpen(address, access);
			if (found) return found;
			const made = create && MessageQueue.make(address, create, access);
			if (made) return made;
			if (!create) break;
		}
		const shown = formatAddress(address);
		throw new SystemError(
			`cannot open ${quoted(shown)}: no such queue (make it with: ipc-mq create ${shellWord(shown)})`,
		);
	}

	/** Opens a queue, or answers undefined when there is none. mq_open(3) */
	static tryOpen(name: string | Address, access: QueueAccess = 'both'): MessageQueue | undefined {
		const address = toAddress(name);
		const shown = formatAddress(address);
		try {
			return new MessageQueue(shown, native.mqOpen(address.name, flagsOf[access], 0, 0, 0));
		} catch (error) {
			if (hasCode(error, 'ENOENT')) return undefined;
			throw explain(`cannot open ${quoted(shown)}`, error);
		}
	}

	private static make(address: QueueName, attributes: QueueAttributes, access: QueueAccess): MessageQueue | undefined {
		const shown = formatAddress(address);
		const {msgDefault, msgsizeDefault} = readLimits();
		const {maxmsg = msgDefault, msgsize = msgsizeDefault, mode = defaultMode} = attributes;
		try {
			return new MessageQueue(
				shown,
				native.mqOpen(address.name, flagsOf[access] | O_CREAT | O_EXCL, mode, maxmsg, msgsize),
			);
		} catch (error) {
			if (hasCode(error, 'EEXIST')) return undefined;
			throw explain(`cannot create ${quoted(shown)}`, error, explainAttributes(maxmsg, msgsize));
		}
	}

	/** Unlinks a queue: who has it open goes on, and its messages are gone with the last of them. mq_unlink(3) */
	static remove(name: string | Address): void {
		const address = toAddress(name);
		try {
			native.mqUnlink(address.name);
		} catch (error) {
			throw explain(`cannot remove ${quoted(formatAddress(address))}`, error, {ENOENT: 'no such queue'});
		}
	}

	/** Messages in it now. mq_getattr(3) */
	get messages(): number {
		return native.mqGetattr(this.descriptor).curmsgs;
	}

	/** What identifies it among all open files, whatever its name. */
	get identity(): FileIdentity {
		const {dev, ino} = fstatSync(this.descriptor);
		return {dev, ino};
	}

	/** Whether its name has been unlinked: what is sent now is gone with the last who has it open. fstat(2) */
	get isRemoved(): boolean {
		return fstatSync(this.descriptor).nlink === 0;
	}

	/** Mode and owner. fstat(2) */
	stat(): {mode: number; uid: number; gid: number} {
		const {mode, uid, gid} = fstatSync(this.descriptor);
		return {mode: mode & 0o777, uid, gid};
	}

	/** Bytes of payload in it, and the process that is registered for notification, 0 for none. mq_notify(3) */
	inside(): {bytes: number; notifyPid: number} {
		const text = Buffer.alloc(256);
		// Read through the descriptor a queue tells about itself, as its file in /dev/mqueue would.
		const length = native.read(this.descriptor, text, 0, text.length);
		const field = (name: string) =>
			Number(new RegExp(`${name}:([0-9]+)`).exec(text.toString('latin1', 0, length))?.[1] ?? 0);
		return {bytes: field('QSIZE'), notifyPid: field('NOTIFY_PID')};
	}

	/** Sends without waiting: false when the queue is full. mq_send(3) */
	trySend(message: Uint8Array | string, priority = 0): boolean {
		return this.send(message, {priority, timeoutMs: 0});
	}

	/**
	 * Sends, waiting for room, `timeoutMs` at most (negative: for ever): false when there was none. mq_send(3)
	 *
	 * @throws SystemError when the message is longer than the queue takes.
	 */
	send(message: Uint8Array | string, {priority = 0, timeoutMs = -1} = {}): boolean {
		try {
			native.mqSend(this.descriptor, typeof message === 'string' ? Buffer.from(message) : message, priority, timeoutMs);
			return true;
		} catch (error) {
			if (hasCode(error, 'EAGAIN', 'ETIMEDOUT')) return false;
			throw this.explainSend(error, Buffer.byteLength(message));
		}
	}

	/** What a refused message means, in numbers. */
	explainSend(error: unknown, length: number): unknown {
		return explain(`cannot send to ${quoted(this.shownName)}`, error, {
			EMSGSIZE: `the message has ${length} bytes and the queue takes ${this.msgsize} (create it with a larger --msgsize)`,
			EINVAL: `the priority must be between 0 and ${highestPriority}`,
			EBADF: 'it is not open for sending',
		});
	}

	/** Receives without waiting: undefined when the queue is empty. mq_receive(3) */
	tryReceive(): Message | undefined {
		return this.receive({timeoutMs: 0});
	}

	/**
	 * The oldest message of the highest priority, waiting `timeoutMs` for one at most (negative: for ever); undefined
	 * when none came. `watched` is a descriptor whose reader's leaving ends the wait with EPIPE. mq_receive(3)
	 */
	receive({timeoutMs = -1, watched = -1} = {}): Message | undefined {
		this.buffer ??= Buffer.allocUnsafe(this.msgsize + 8);
		const count = this.receiveMany(this.buffer, unframed, 1, watched, timeoutMs, this.index);
		if (count === 0) return undefined;
		const [start = 0, length = 0, priority = 0] = this.index;
		return {data: Buffer.from(this.buffer.subarray(start, start + length)), priority};
	}

	/** As many messages as are there, framed into a buffer in one go: see `mqReceiveRecords` in native/index.ts. */
	receiveMany(
		buffer: Buffer,
		separator: number,
		most: number,
		watched: number,
		timeoutMs: number,
		index: Int32Array,
	): number {
		try {
			return native.mqReceiveRecords(this.descriptor, buffer, this.msgsize, separator, most, watched, timeoutMs, index);
		} catch (error) {
			if (hasCode(error, 'ETIMEDOUT')) return 0;
			if (isKernelError(error) && error.code === 'EPIPE') throw error;
			throw explain(`cannot receive from ${quoted(this.shownName)}`, error, {EBADF: 'it is not open for receiving'});
		}
	}

	/** Waits for a message without taking it: false when none came in time. poll(2) */
	wait(timeoutMs = -1): boolean {
		return isReady(this.descriptor, POLLIN, timeoutMs);
	}

	/** Waits for a message in libuv's pool, a moment at most: whether there may be one. poll(2) */
	waitInBackground(mostMs: number): Promise<boolean> {
		return native.pollInBackground(this.descriptor, POLLIN, mostMs);
	}

	/** Messages as they come, for ever, without holding up the event loop. */
	async *[Symbol.asyncIterator](): AsyncGenerator<Message> {
		for (;;) {
			const message = this.tryReceive();
			if (message) yield message;
			else await this.waitInBackground(backgroundMs);
		}
	}

	[Symbol.dispose](): void {
		closeSync(this.descriptor);
	}

	close(): void {
		this[Symbol.dispose]();
	}
}

/** A wait in libuv's pool has to end now and then: the process cannot leave while it lasts. */
const backgroundMs = 100;

type QueueName = Address & {kind: 'name'};

/** A queue's name on the command line: what can be none is refused before anything is done. */
export const queueName: TextFormat<Address> = {placeholder: 'NAME', parse: (text) => toAddress(text)};

function toAddress(name: string | Address): QueueName {
	const address = typeof name === 'string' ? parseAddress(name) : name;
	if (address.kind === 'name') return address;
	const shown = formatAddress(address);
	if (address.kind === 'cluster')
		throw new UsageError(`'${shown}' is an address on a cluster, which this version does not reach`);
	throw new UsageError(
		`'${shown}' is no name for a queue: a queue's name has no ${address.kind === 'path' ? 'slash inside' : '@'}`,
	);
}
