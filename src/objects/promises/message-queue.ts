import {quoted} from '../../common/errors.js';
import type {Address} from '../../common/formats/object-name.js';
import {POLLIN, POLLOUT} from '../../native/index.js';
import {MessageQueue as BlockingQueue} from '../queue/message-queue.js';
import type {Message, QueueAccess, QueueAttributes} from '../queue/queue.js';
import {readiness} from './readiness.js';
import {WaitLine, type WaitSettings} from './wait-line.js';

/**
 * A POSIX message queue whose waits are promises: the event loop goes on meanwhile, and no thread waits. poll(2) accepts
 * the descriptor of a queue, so that the event loop watches it. mq_overview(7)
 *
 * @example
 * ```ts
 * import {MessageQueue} from 'ipc-tools/promises';
 *
 * using queue = MessageQueue.open('example', 'both', {maxmsg: 10, msgsize: 64});
 * const message = queue.receive({timeoutMs: 2000, signal: AbortSignal.timeout(5000)});
 * await queue.send('job 1');
 * console.log(`${(await message)?.data}`); // job 1
 * await queue.send('job 2');
 * for await (const {data} of queue) {
 * 	console.log(`${data}`); // job 2
 * 	break;
 * }
 * MessageQueue.remove('example');
 * ```
 */
export class MessageQueue implements Disposable {
	static readonly create = BlockingQueue.create;
	static readonly remove = BlockingQueue.remove;
	private readonly receivers: WaitLine;
	private readonly senders: WaitLine;

	/** @param blocking the same open queue, whose methods answer at once or block: its limits, its status. */
	constructor(readonly blocking: BlockingQueue) {
		this.receivers = new WaitLine(readiness(blocking.descriptor, POLLIN));
		this.senders = new WaitLine(readiness(blocking.descriptor, POLLOUT));
	}

	/**
	 * Opens a queue; with `create` makes it first if it is missing. Does not wait. mq_open(3)
	 *
	 * @throws SystemError with the reason `no-queue` when there is none.
	 */
	static open(name: string | Address, access: QueueAccess = 'both', create?: QueueAttributes): MessageQueue {
		return new MessageQueue(BlockingQueue.open(name, access, create));
	}

	/**
	 * The oldest message of the highest priority; undefined when there was none in time. Waiting receivers get them
	 * in the order in which they asked. mq_receive(3)
	 *
	 * A message is either the result or still in the queue, also when the abort or the timeout comes at the same moment.
	 *
	 * @throws SystemError when the queue is not open for receiving, or has been closed meanwhile.
	 */
	receive(settings?: WaitSettings): Promise<Message | undefined> {
		return this.receivers.until(() => this.blocking.tryReceive(), settings);
	}

	/**
	 * Sends a message, waiting for room: false when there was none in time. mq_send(3)
	 *
	 * @throws SystemError when the message is longer than the queue takes, or the priority is not from 0 to 32767.
	 */
	async send(
		message: Uint8Array | string,
		{priority = 0, ...settings}: WaitSettings & {priority?: number} = {},
	): Promise<boolean> {
		const attempt = () => this.blocking.trySend(message, priority) || undefined;
		return (await this.senders.until(attempt, settings)) ?? false;
	}

	/** Messages as they arrive, without end; rejected once the queue is closed. */
	async *[Symbol.asyncIterator](): AsyncGenerator<Message> {
		for (;;) yield (await this.receive()) as Message;
	}

	/** Closes the queue; what is pending is rejected. */
	[Symbol.dispose](): void {
		const shown = quoted(this.blocking.shownName);
		this.receivers.close(`cannot receive from ${shown}`);
		this.senders.close(`cannot send to ${shown}`);
		this.blocking.close();
	}

	close(): void {
		this[Symbol.dispose]();
	}
}
