import {quoted} from '../../common/errors.js';
import type {Address} from '../../common/formats/object-name.js';
import {Ring as BlockingRing} from '../ring/ring.js';
import type {SegmentSettings} from '../segment/segment.js';
import {byClock, WaitLine, type WaitSettings} from './wait-line.js';

/**
 * Records through a ring in a shared memory segment, where waits are promises: the event loop goes on meanwhile, and no
 * thread waits. A ring has no descriptor to watch, so an empty or a full one is looked at every 10 ms; while there are
 * records each is taken at once.
 *
 * @example
 * ```ts
 * import {Ring, SharedMemory} from 'ipc-tools/promises';
 *
 * using ring = Ring.open('example', {size: 1024 ** 2});
 * const record = ring.receive({timeoutMs: 10_000});
 * await ring.send('started');
 * console.log(`${await record}`); // started
 * SharedMemory.remove('example');
 * ```
 */
export class Ring implements Disposable {
	private readonly receivers = new WaitLine(byClock);
	private readonly senders = new WaitLine(byClock);

	/** @param blocking the same open ring, whose methods block. */
	constructor(readonly blocking: BlockingRing) {}

	/**
	 * Opens a ring; an empty segment becomes one. With `create` the segment is made first if it is missing.
	 *
	 * @throws SystemError for a segment with other contents.
	 */
	static open(name: string | Address, create?: SegmentSettings): Ring {
		return new Ring(BlockingRing.open(name, create));
	}

	/**
	 * Sends a record, waiting for room: false when there was none in time.
	 *
	 * @throws SystemError when the record is longer than the ring takes (`blocking.mostBytes`).
	 */
	async send(record: Uint8Array | string, settings?: WaitSettings): Promise<boolean> {
		return (await this.senders.until(() => this.blocking.send(record, 0) || undefined, settings)) ?? false;
	}

	/** The oldest record that no receiver has taken; undefined when there was none in time. */
	receive(settings?: WaitSettings): Promise<Buffer | undefined> {
		return this.receivers.until(() => this.blocking.receive(0), settings);
	}

	/** Records as they arrive, without end; rejected once the ring is closed. */
	async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
		for (;;) yield (await this.receive()) as Buffer;
	}

	/** Closes the ring; what is pending is rejected. */
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
