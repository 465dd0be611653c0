import {countOf, hasCode} from '../../common/errors.js';
import {EndBySignal} from '../../common/exit.js';
import {explainStdout, printBytes, stdout, tellError} from '../../common/output.js';
import {PipeReader} from '../../common/pipe-reader.js';
import {SIGPIPE} from '../../common/process/signals.js';
import {isReady} from '../../common/waiting.js';
import {PIPE_BUF, POLLOUT} from '../../native/index.js';
import type {Message, MessageQueue} from './message-queue.js';

/** How long a full queue may keep us from putting a message back. */
const putBackTimeoutMs = 2000;
/** How long a reader may keep us from ending, once we were told to. */
const stopTimeoutMs = 500;
/** So many messages go out one at a time, each waited for, before the batches grow. */
const cautiousMessages = 16;
const mostAtOnce = 1024;

/** What went to stdout in one piece, and the messages it was made of. */
export interface Batch {
	bytes: Buffer;
	/** Where each message's output ends within the bytes, and what has to go back into the queue for it. */
	expand(): {end: number; messages: Message[]}[];
	/** Called once its bytes are needed no more. */
	release?(): void;
}

/**
 * stdout as the place that messages are delivered to: whatever could not be delivered goes back into its queue.
 *
 * A pipe takes more than its reader ever reads: `recv --follow | head -1` would lose what lies in it when head leaves.
 * A pipe tells how many bytes are unread, also when its reader has gone; so the messages that these bytes were made
 * of go back too. And since head itself reads as much as it can get, the first messages go out one at a time, each
 * only when the one before has been read; a reader that is still there after those gets batches that grow.
 */
export class StdoutDelivery {
	private readonly reader = new PipeReader(stdout);
	private written = 0;
	private delivered = 0;
	/** Batches with bytes that may be unread, and where each begins in all that was written. */
	private unread: {start: number; batch: Batch}[] = [];

	constructor(private readonly queue: MessageQueue) {}

	/** How many messages may go out now; waits while the reader should prove that it goes on reading. */
	allowance(): number {
		if (!this.reader.isPipe) return mostAtOnce;
		if (this.delivered < cautiousMessages) {
			if (this.delivered > 0 && !this.reader.waitUntilRead()) this.readerLeft();
			return 1;
		}
		return Math.min(mostAtOnce, this.delivered);
	}

	/** Writes all of it, or puts back what did not go out and throws the reason. */
	deliver(batch: Batch, messages: number): void {
		const start = this.written;
		if (this.reader.isPipe) {
			this.forgetRead();
			this.unread.push({start, batch});
		} else {
			this.unread[0]?.batch.release?.();
			this.unread = [{start, batch}];
		}
		try {
			this.write(batch.bytes);
			this.delivered += messages;
		} catch (error) {
			if (hasCode(error, 'EPIPE')) this.readerLeft();
			this.putBackAfter(this.written);
			throw explainStdout(error);
		}
	}

	private write(bytes: Buffer): void {
		let at = 0;
		const goOn = (count: number) => {
			at += count;
			this.written += count;
		};
		try {
			while (at < bytes.length) goOn(printBytes(bytes, at, bytes.length - at));
		} catch (error) {
			if (!hasCode(error, 'EINTR')) throw error;
			// Told to stop: a reader that goes on reading gets what was taken for it. These pieces do not block.
			while (at < bytes.length && isReady(stdout, POLLOUT, stopTimeoutMs))
				goOn(printBytes(bytes, at, Math.min(PIPE_BUF, bytes.length - at)));
			throw error;
		}
	}

	/** The reader has gone: everything it has not read goes back, and we end as any filter does. */
	readerLeft(): never {
		this.putBackAfter(this.written - this.reader.unreadBytes());
		throw new EndBySignal(SIGPIPE);
	}

	private forgetRead(): void {
		const first = this.unread[0];
		// Asking the kernel each time would cost more than keeping a few batches longer.
		if (!first || this.written - first.start < 65_536) return;
		const seen = this.written - this.reader.unreadBytes();
		this.unread = this.unread.filter(({start, batch}) => {
			const isNeeded = start + batch.bytes.length > seen;
			if (!isNeeded) batch.release?.();
			return isNeeded;
		});
	}

	private putBackAfter(offset: number): void {
		const messages = this.unread.flatMap(({start, batch}) =>
			batch
				.expand()
				.filter(({end}) => start + end > offset)
				.flatMap((part) => part.messages),
		);
		this.unread = [];
		putBack(this.queue, messages);
	}
}

/** Messages that were taken and not delivered go back, with their priorities; or it is said that they could not: false. */
export function putBack(queue: MessageQueue, messages: readonly Message[]): boolean {
	let lost = 0;
	let why = 'the queue is full';
	if (messages.length > 0 && queue.isRemoved) {
		tellError(`${countOf(messages.length, 'message')} not delivered could not be put back: the queue has been removed`);
		return false;
	}
	for (const {data, priority} of messages) {
		try {
			if (!queue.send(data, {priority, timeoutMs: lost > 0 ? 0 : putBackTimeoutMs})) lost++;
		} catch (error) {
			if (!(error instanceof Error)) throw error;
			why = error.message;
			lost++;
		}
	}
	if (lost === 0) return true;
	tellError(`${lost} of ${countOf(messages.length, 'message')} not delivered could not be put back: ${why}`);
	return false;
}
