import {closeSync, fstatSync, readSync} from 'node:fs';
import {Deadline} from '../../common/deadline.js';
import {explain, hasCode, quoted, SystemError, UsageError} from '../../common/errors.js';
import {defaultMode} from '../../common/formats/mode.js';
import {type Address, formatAddress, parseLocalAddress} from '../../common/formats/object-name.js';
import type {TextFormat} from '../../common/formats/text-format.js';
import type {FileIdentity} from '../../common/process/proc.js';
import {isReady} from '../../common/waiting.js';
import {
	isKernelError,
	native,
	O_CREAT,
	O_EXCL,
	O_RDONLY,
	O_RDWR,
	O_WRONLY,
	POLLIN,
	POLLOUT,
} from '../../native/index.js';
import {explainAttributes, explainWithoutLimits, type QueueLimits, readLimits} from './limits.js';
import {highestPriority, type Message, type Queue, type QueueAccess, type QueueAttributes} from './queue.js';

const flagsOf: Record<QueueAccess, number> = {send: O_WRONLY, receive: O_RDONLY, both: O_RDWR};

/**
 * How often a queue is read until enough answers in a row are equal. With a sender and a receiver at full speed
 * every eighth look was wrong in the same way, so that three in a row were not rare.
 */
const mostLooks = 200;
const enoughEqualLooks = 10;
/** Messages without any bytes are rare, and between two calls the kernel shows every message that way. */
const enoughEmptyLooks = 100;

/** Messages are not framed: each lies in the buffer unchanged. */
const unframed = -2;

/**
 * A POSIX message queue: the same object that any C, Python or Rust program opens by that name. mq_overview(7)
 *
 * `try…` returns at once; the other methods may wait, in the kernel, and block the event loop meanwhile; the
 * class of the same name in `ipc-tools/promises` does not.
 *
 * @example
 * ```ts
 * import {MessageQueue} from 'ipc-tools';
 *
 * using queue = MessageQueue.open('example', 'both', {maxmsg: 10, msgsize: 64}); // created if missing
 * queue.send('low');
 * queue.send('high', {priority: 5});
 * console.log(`${queue.receive()?.data}, ${queue.messages} left`); // high, 1 left
 * console.log(`${queue.receive({timeoutMs: 2000})?.data}`); // low
 * MessageQueue.remove('example');
 * ```
 */
export class MessageQueue implements Queue {
	readonly keepsRescued = true;

	/** Capacity in messages. */
	readonly maxmsg: number;
	/** Maximum bytes of a message. */
	readonly msgsize: number;
	private buffer: Buffer | undefined;
	private readonly index = new Int32Array(3);

	private constructor(
		/** The name as the user wrote it. */
		readonly shownName: string,
		/** The queue's descriptor: non-blocking; poll(2) accepts it. -1 once it is closed. */
		public descriptor: number,
	) {
		({maxmsg: this.maxmsg, msgsize: this.msgsize} = native.mqGetattr(descriptor));
	}

	/**
	 * Makes a queue; returns false when the name exists already, and leaves that queue unchanged. mq_open(3)
	 *
	 * @throws SystemError that names the limit that was reached, its value and the setting that changes it.
	 */
	static create(name: string | Address, attributes: QueueAttributes = {}): boolean {
		const queue = MessageQueue.make(toAddress(name), attributes, 'both');
		queue?.close();
		return queue !== undefined;
	}

	/** Opens a queue; with `create` makes it first if it is missing. mq_open(3) */
	static open(name: string | Address, access: QueueAccess = 'both', create?: QueueAttributes): MessageQueue {
		const address = toAddress(name);
		// Another process may make and remove the queue meanwhile: a few rounds settle that.
		for (let round = 0; round < 100; round++) {
			const found = MessageQueue.tryOpen(address, access);
			if (found) return found;
			const made = create && MessageQueue.make(address, create, access);
			if (made) return made;
			if (!create) break;
		}
		const shown = formatAddress(address);
		throw new SystemError(`cannot open ${quoted(shown)}: no such queue`, {reason: 'no-queue', subject: shown});
	}

	/** Opens a queue, or returns undefined when it does not exist. mq_open(3) */
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
		if (attributes.replicas !== undefined)
			throw new SystemError(`cannot create ${quoted(shown)}: only a queue on a cluster has replicas`);
		const limits = tryReadLimits();
		const {maxmsg = limits?.msgDefault, msgsize = limits?.msgsizeDefault, mode = defaultMode} = attributes;
		// The kernel has defaults for both or for neither.
		if ((maxmsg === undefined) !== (msgsize === undefined))
			throw new SystemError(
				`cannot create ${quoted(shown)}: the default ${maxmsg === undefined ? 'number of messages' : 'size of a message'} cannot be read (there is no /proc/sys/fs/mqueue)`,
			);
		try {
			return new MessageQueue(
				shown,
				native.mqOpen(address.name, flagsOf[access] | O_CREAT | O_EXCL, mode, maxmsg ?? 0, msgsize ?? 0),
			);
		} catch (error) {
			if (hasCode(error, 'EEXIST')) return undefined;
			const remedies =
				limits && maxmsg !== undefined && msgsize !== undefined
					? explainAttributes(maxmsg, msgsize, limits)
					: explainWithoutLimits();
			throw explain(`cannot create ${quoted(shown)}`, error, remedies);
		}
	}

	/**
	 * Unlinks a queue: processes that have it open keep using it, and the messages are lost when the last one closes it.
	 * mq_unlink(3)
	 */
	static remove(name: string | Address): void {
		const address = toAddress(name);
		try {
			native.mqUnlink(address.name);
		} catch (error) {
			throw explain(`cannot remove ${quoted(formatAddress(address))}`, error, {ENOENT: 'no such queue'});
		}
	}

	/** Number of messages in it now. mq_getattr(3) */
	get messages(): number {
		return native.mqGetattr(this.descriptor).curmsgs;
	}

	/** Identifies the queue among all open files, whatever its name. */
	get identity(): FileIdentity {
		const {dev, ino} = fstatSync(this.descriptor);
		return {dev, ino};
	}

	/** Whether its name has been unlinked: messages sent now are lost when the last process closes the queue. fstat(2) */
	get isRemoved(): boolean {
		return fstatSync(this.descriptor).nlink === 0;
	}

	/** Mode and owner. fstat(2) */
	stat(): {mode: number; uid: number; gid: number} {
		const {mode, uid, gid} = fstatSync(this.descriptor);
		return {mode: mode & 0o777, uid, gid};
	}

	/**
	 * Messages in it, bytes of payload in them, and the process that is registered for notification, 0 for none.
	 *
	 * The kernel tells the messages by one call and the rest by another, and others send and receive in between: it is
	 * asked until several answers in a row are equal. Where the queue does not rest that long, the last answer counts
	 * that can be true; `bytes` is null where there was none. mq_getattr(3), mq_notify(3)
	 */
	inside(): {messages: number; bytes: number | null; notifyPid: number} {
		let last = this.look();
		let possible: typeof last | undefined;
		for (let looks = 1, equal = 1; looks < mostLooks; looks++) {
			const now = this.look();
			equal = now.messages === last.messages && now.bytes === last.bytes ? equal + 1 : 1;
			if (now.bytes <= now.messages * this.msgsize) {
				if (equal === (now.bytes === 0 && now.messages > 0 ? enoughEmptyLooks : enoughEqualLooks)) return now;
				// Messages without any bytes are rare: rather a look between their coming and our asking.
				if (now.bytes > 0 || now.messages === 0) possible = now;
			}
			last = now;
		}
		return possible ?? {...last, bytes: null};
	}

	private look(): {messages: number; bytes: number; notifyPid: number} {
		const {messages} = this;
		const bytes = Buffer.alloc(256);
		// Read through the descriptor a queue tells about itself, as its file in /dev/mqueue would.
		const text = bytes.toString('latin1', 0, readSync(this.descriptor, bytes, 0, bytes.length, 0));
		const field = (pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? 0);
		return {messages, bytes: field(/QSIZE:([0-9]+)/), notifyPid: field(/NOTIFY_PID:([0-9]+)/)};
	}

	/** Sends without waiting: false when the queue is full. mq_send(3) */
	trySend(message: Uint8Array | string, priority = 0): boolean {
		return this.send(message, {priority, timeoutMs: 0});
	}

	/**
	 * Sends, waiting for room, `timeoutMs` at most (negative: without limit): false when there was none. mq_send(3)
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

	/** Cuts and sends in C, many records in one call: see `mqSendRecords` in native/index.ts. */
	sendRecords(buffer: Buffer, filled: number, separator: number, priority: number, timeoutMs: number) {
		return native.mqSendRecords(this.descriptor, buffer, 0, filled, separator, priority, timeoutMs);
	}

	/** Why a message was refused, in numbers. */
	explainSend(error: unknown, length: number): unknown {
		return explain(`cannot send to ${quoted(this.shownName)}`, error, {
			EMSGSIZE: {
				text: `the message has ${length} bytes and the queue takes ${this.msgsize}`,
				reason: 'message-too-long',
			},
			EINVAL: `the priority must be between 0 and ${highestPriority}`,
			EBADF: 'it is not open for sending',
		});
	}

	/** Receives without waiting: undefined when the queue is empty. mq_receive(3) */
	tryReceive(): Message | undefined {
		return this.receive({timeoutMs: 0});
	}

	/**
	 * The oldest message of the highest priority, waiting `timeoutMs` for one at most (negative: without limit);
	 * undefined when there was none. `watched` is a descriptor: when its reader leaves, the wait ends with EPIPE.
	 * mq_receive(3)
	 */
	receive({timeoutMs = -1, watched = -1} = {}): Message | undefined {
		this.buffer ??= Buffer.allocUnsafe(this.msgsize + 8);
		const count = this.receiveMany(this.buffer, unframed, 1, watched, timeoutMs, this.index);
		if (count === 0) return undefined;
		const [start = 0, length = 0, priority = 0] = this.index;
		return {data: Buffer.from(this.buffer.subarray(start, start + length)), priority};
	}

	/** As many messages as there are, framed into a buffer in one call: see `mqReceiveRecords` in native/index.ts. */
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

	/** Waits for a message without receiving it: false when there was none in time. poll(2) */
	wait(timeoutMs = -1): boolean {
		return isReady(this.descriptor, POLLIN, timeoutMs);
	}

	/** Waits for room in libuv's pool, a moment at most. poll(2) */
	waitForRoomInBackground(mostMs: number): Promise<boolean> {
		return native.pollInBackground(this.descriptor, POLLOUT, mostMs);
	}

	/** Waits for a message in libuv's thread pool, a moment at most; returns whether there may be one. poll(2) */
	waitInBackground(mostMs: number): Promise<boolean> {
		return native.pollInBackground(this.descriptor, POLLIN, mostMs);
	}

	/** A message as it arrives, without blocking the event loop; undefined when there was none in time, or once `stopped` resolves. */
	async receiveLater(timeoutMs: number, stopped: Promise<void>): Promise<Message | undefined> {
		const deadline = new Deadline(timeoutMs);
		let isStopped = false;
		void stopped.then(() => {
			isStopped = true;
		});
		for (;;) {
			const message = this.tryReceive();
			if (message || deadline.hasPassed || isStopped) return message;
			await this.waitInBackground(deadline.waitMs(sliceMs));
			if (isStopped) return undefined;
		}
	}

	/** Deletes as many messages as there are now: with a busy sender there would be no end otherwise. */
	purge(): number {
		let purged = 0;
		for (let left = this.messages; left > 0 && this.tryReceive(); left--) purged++;
		return purged;
	}

	isSameAs(other: Queue): boolean {
		if (!(other instanceof MessageQueue)) return false;
		const [ours, theirs] = [this.identity, other.identity];
		return ours.dev === theirs.dev && ours.ino === theirs.ino;
	}

	[Symbol.dispose](): void {
		const {descriptor} = this;
		this.descriptor = -1;
		if (descriptor >= 0) closeSync(descriptor);
	}

	close(): void {
		this[Symbol.dispose]();
	}
}

/** A wait in libuv's thread pool has to end now and then, to check whether a signal told us to stop. */
const sliceMs = 50;

/** Undefined where /proc does not show them: they are needed for defaults and for advice. */
function tryReadLimits(): QueueLimits | undefined {
	try {
		return readLimits();
	} catch (error) {
		if (error instanceof SystemError) return undefined;
		throw error;
	}
}

type QueueName = Address & {kind: 'name'};

/** A queue's name on the command line: an invalid name is refused before anything is done. */
export const queueName: TextFormat<Address> = {
	placeholder: 'NAME',
	completes: 'objects',
	parse: (text) => toAddress(text),
};

function toAddress(name: string | Address): QueueName {
	const address = parseLocalAddress(name);
	if (address.kind === 'name') return address;
	const shown = formatAddress(address);
	throw new UsageError(`invalid queue name '${shown}': '${address.kind === 'path' ? '/' : '@'}' is not allowed`);
}
