import {quoted} from '../../common/errors.js';
import type {Address} from '../../common/formats/object-name.js';
import type {SegmentAccess} from '../segment/segment.js';
import {SharedMemory as BlockingMemory} from '../segment/shared-memory.js';
import type {WordType} from '../segment/word.js';
import {byClock, WaitLine, type WaitSettings} from './wait-line.js';

/**
 * A POSIX shared memory object whose waits are promises: the event loop goes on meanwhile, and no thread waits. Words and
 * locks have no descriptor to watch, so they are looked at every 10 ms. shm_overview(7)
 *
 * @example
 * ```ts
 * import {SharedMemory} from 'ipc-tools/promises';
 *
 * SharedMemory.create('example', {size: 4096});
 * using state = SharedMemory.open('example');
 * const version = state.wait('i64', 0, (value) => value >= 2n, {timeoutMs: 10_000});
 * state.blocking.add('i64', 0, 2n);
 * console.log(await version); // 2n
 * SharedMemory.remove('example');
 * ```
 */
export class SharedMemory implements Disposable {
	static readonly create = BlockingMemory.create;
	static readonly remove = BlockingMemory.remove;
	/** Each waits for something else. */
	private readonly line = new WaitLine(byClock, false);

	/** @param blocking the same open segment, whose methods answer at once or block: words, bytes, `unlock`. */
	constructor(readonly blocking: BlockingMemory) {}

	/**
	 * Opens a segment. Does not wait. shm_open(3)
	 *
	 * @throws SystemError with the reason `no-segment` when there is none.
	 */
	static open(name: string | Address, access: SegmentAccess = 'both'): SharedMemory {
		return new SharedMemory(BlockingMemory.open(name, access));
	}

	/**
	 * Waits until a word meets a condition, and returns its value; undefined when it did not in time. A value that lasts
	 * for less than 10 ms may be missed.
	 *
	 * @param offset in bytes, a multiple of the size of the word.
	 * @throws SystemError when the word lies beyond the end, or the segment has been removed meanwhile.
	 */
	wait(
		type: WordType,
		offset: number,
		isWanted: (value: bigint) => boolean,
		settings?: WaitSettings,
	): Promise<bigint | undefined> {
		const attempt = () => {
			const value = this.blocking.wait(type, offset, isWanted, 0);
			if (value === undefined) this.blocking.checkIsThere('wait for');
			return value;
		};
		return this.line.until(attempt, settings);
	}

	/**
	 * Takes the segment's own lock: false when other processes held it all the time. The lock ends with `blocking.unlock()`,
	 * `close` or this process. flock(2)
	 */
	async lock(kind: 'shared' | 'exclusive', settings?: WaitSettings): Promise<boolean> {
		return (await this.line.until(() => this.blocking.lock(kind, 0) || undefined, settings)) ?? false;
	}

	/** Closes the segment; what is pending is rejected. */
	[Symbol.dispose](): void {
		this.line.close(`cannot wait for ${quoted(this.blocking.shownName)}`);
		this.blocking.close();
	}

	close(): void {
		this[Symbol.dispose]();
	}
}
