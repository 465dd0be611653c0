import {hasCode} from '../../common/errors.js';
import {EndBySignal} from '../../common/exit.js';
import {explainStdout, printBytes, stdout} from '../../common/output.js';
import {PipeReader} from '../../common/pipe-reader.js';
import {SIGPIPE} from '../../common/process/signals.js';
import {isReady} from '../../common/waiting.js';
import {PIPE_BUF, POLLOUT} from '../../native/index.js';
import {putBack, receiptsOf} from './put-back.js';
import type {Message, Queue} from './queue.js';

/** How long we wait for a reader after a signal told us to stop. */
const stopTimeoutMs = 500;
/** This many messages are written one at a time, waiting for the reader after each, before the batches grow. */
const cautiousMessages = 16;
const mostAtOnce = 1024;

/** Bytes written to stdout in one piece, and the messages they were made of. */
export interface Batch {
	bytes: Buffer;
	/** Where the output of each message ends within the bytes, and which messages to return to the queue for it. */
	expand(): {end: number; messages: Message[]}[];
	/** Called once its bytes are not needed any more. */
	release?(): void;
	/** What confirms its messages to their queue, where that wants it. */
	receipts?: readonly string[];
}

/**
 * Delivers messages to stdout: messages that could not be delivered are returned to their queue.
 *
 * A pipe accepts more bytes than its reader ever reads: `recv --follow | head -1` would lose the bytes in the pipe when
 * head exits. A pipe tells how many bytes are unread, also after its reader has exited; so the messages of these bytes
 * are returned too. And since head itself reads as much as it can get, the first messages are written one at a time,
 * each only after the one before has been read; a reader that still reads after those gets batches that grow.
 */
export class StdoutDelivery {
	private readonly reader = new PipeReader(stdout);
	private written = 0;
	private delivered = 0;
	/** Batches with bytes that may be unread, and where each begins in all bytes written. */
	private unread: {start: number; batch: Batch}[] = [];

	constructor(private readonly queue: Queue) {}

	/** How many messages may be written now; waits until the reader has proved that it keeps reading. */
	allowance(): number {
		if (!this.reader.isPipe) return mostAtOnce;
		if (this.queue.receipts) this.confirmRead();
		if (this.delivered < cautiousMessages) {
			if (this.delivered > 0 && !this.reader.waitUntilRead()) this.readerLeft();
			return 1;
		}
		return Math.min(mostAtOnce, this.delivered);
	}

	/** Writes all bytes, or returns the messages that were not written to the queue and throws the reason. */
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
			if (!this.reader.isPipe) this.confirm(batch);
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
			// A signal told us to stop: a reader that keeps reading still gets the messages received for it. These pieces do
			// not block.
			while (at < bytes.length && isReady(stdout, POLLOUT, stopTimeoutMs))
				goOn(printBytes(bytes, at, Math.min(PIPE_BUF, bytes.length - at)));
			throw error;
		}
	}

	/** The reader has left: all that it has not read is returned to the queue, and we end as any filter does. */
	readerLeft(): never {
		this.putBackAfter(this.written - this.reader.unreadBytes());
		throw new EndBySignal(SIGPIPE);
	}

	private forgetRead(): void {
		const first = this.unread[0];
		// Asking the kernel each time would cost more than keeping a few batches longer.
		if (!first || this.written - first.start < 65_536) return;
		this.confirmRead();
	}

	/** Forgets the batches that the reader has read; returns whether there are others. */
	confirmRead(): boolean {
		if (this.unread.length === 0 || !this.reader.isPipe) return false;
		const seen = this.written - this.reader.unreadBytes();
		this.unread = this.unread.filter(({start, batch}) => {
			const isNeeded = start + batch.bytes.length > seen;
			if (!isNeeded) {
				this.confirm(batch);
				batch.release?.();
			}
			return isNeeded;
		});
		return this.unread.length > 0;
	}

	/** All that was written counts as delivered: a reader that has not left will read it. */
	finish(): void {
		for (const {batch} of this.unread) if (this.reader.isPipe) this.confirm(batch);
		this.unread = [];
	}

	private confirm({receipts = []}: Batch): void {
		this.queue.receipts?.confirm(receipts);
	}

	private putBackAfter(offset: number): void {
		const parts = this.unread.flatMap(({start, batch}) =>
			batch.expand().map(({end, messages}) => ({isDelivered: start + end <= offset, messages})),
		);
		this.unread = [];
		const messagesThat = (areDelivered: boolean) =>
			parts.filter(({isDelivered}) => isDelivered === areDelivered).flatMap(({messages}) => messages);
		this.queue.receipts?.confirm(receiptsOf(messagesThat(true)));
		putBack(this.queue, messagesThat(false));
	}
}
