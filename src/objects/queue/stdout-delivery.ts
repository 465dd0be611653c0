import {hasCode} from '../../common/errors.js';
import {EndBySignal} from '../../common/exit.js';
import {explainStdout, printBytes, stdout} from '../../common/output.js';
import {PipeReader} from '../../common/pipe-reader.js';
import {SIGPIPE} from '../../common/process/signals.js';
import {native, PIPE_BUF, POLLOUT} from '../../native/index.js';
import type {Message, MessageQueue} from './message-queue.js';
import {putBack} from './put-back.js';

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
			while (at < bytes.length && native.poll(Int32Array.of(stdout, POLLOUT, 0), stopTimeoutMs) > 0)
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
