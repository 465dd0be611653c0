import {quoted} from '../../common/errors.js';
import type {Address} from '../../common/formats/object-name.js';
import {Fifo as BlockingFifo, type CreateSettings} from '../fifo/fifo.js';
import {byClock, WaitLine, type WaitSettings} from './wait-line.js';

/**
 * A FIFO whose waits are promises: the event loop goes on meanwhile, and no thread waits, as one would in open(2) of a
 * FIFO without a reader. fifo(7)
 *
 * @example
 * ```ts
 * import {closeSync} from 'node:fs';
 * import {Fifo} from 'ipc-tools/promises';
 *
 * using fifo = Fifo.open('example', {temporary: true});
 * console.log(await fifo.openWriter({timeoutMs: 20})); // undefined
 * const opening = fifo.openWriter({timeoutMs: 10_000});
 * const reader = fifo.blocking.openReader();
 * console.log((await opening) !== undefined); // true
 * closeSync(reader);
 * ```
 */
export class Fifo implements Disposable {
	static readonly create = BlockingFifo.create;
	static readonly remove = BlockingFifo.remove;
	private readonly line = new WaitLine(byClock, false);

	/** @param blocking the same FIFO: its status, `openReader`, which never waits. */
	constructor(readonly blocking: BlockingFifo) {}

	/**
	 * Finds a FIFO, and makes it if it is missing and `create` is given. Does not wait.
	 *
	 * @throws SystemError with the reason `no-fifo` when there is none, or when the name belongs to something else.
	 */
	static open(name: string | Address, create?: CreateSettings): Fifo {
		return new Fifo(BlockingFifo.open(name, create));
	}

	/**
	 * A non-blocking descriptor for writing, which the caller closes; undefined when there was no reader in time. No event
	 * tells of a reader that waits in open(2), so it is tried every 10 ms. open(2)
	 */
	openWriter(settings?: WaitSettings): Promise<number | undefined> {
		return this.line.until(() => this.blocking.tryOpenWriter(), settings);
	}

	/** Ends this use and closes all descriptors but those that `openWriter` returned; what is pending is rejected. */
	[Symbol.dispose](): void {
		this.line.close(`cannot open ${quoted(this.blocking.shownName)} for writing`);
		this.blocking.close();
	}

	close(): void {
		this[Symbol.dispose]();
	}
}
