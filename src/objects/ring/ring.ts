import {countOf, explain, kernelError, quoted} from '../../common/errors.js';
import type {Address} from '../../common/formats/object-name.js';
import {isKernelError, native, type RingHandle} from '../../native/index.js';
import type {SegmentSettings} from '../segment/segment.js';
import {SharedMemory} from '../segment/shared-memory.js';
import {capacityAt, defaultRingBytes, prepareRing} from './ring-layout.js';

/** The names that the native layer has for a refused record or a broken ring. */
export type RingProblem = '' | 'EAGAIN' | 'ETIMEDOUT' | 'EINTR' | string;

/** The whole range is one record, unchanged. */
export const whole = -2;

/**
 * Records through a ring in a shared memory segment: any number of senders and receivers, without a kernel call per
 * record while both sides are busy. The layout is in ipc-shm(1), so that other programs can take part.
 *
 * `send` and `receive` block the event loop while they wait.
 *
 * @example
 * ```ts
 * import {Ring, SharedMemory} from 'ipc-tools';
 *
 * using ring = Ring.open('example', {size: 1024 ** 2}); // created if missing
 * ring.send('started');
 * console.log(`${ring.receive()}`); // started
 * console.log(ring.receive(20)); // undefined
 * SharedMemory.remove('example');
 * ```
 */
export class Ring implements Disposable {
	private constructor(
		readonly segment: SharedMemory,
		readonly handle: RingHandle,
		/** Maximum size of a record. */
		readonly mostBytes: number,
	) {}

	/**
	 * Opens a ring; an empty segment becomes one. With `create` the segment is made first if it is missing.
	 *
	 * @throws SystemError for a segment with other contents.
	 */
	static open(name: string | Address, create?: SegmentSettings): Ring {
		return Ring.tryOpen(name, create) as Ring;
	}

	/**
	 * The same, and undefined when another process was making the ring for longer than `timeoutMs` (negative: without
	 * limit).
	 */
	static tryOpen(name: string | Address, create?: SegmentSettings, timeoutMs = -1): Ring | undefined {
		const segment = Ring.openSegment(name, create);
		try {
			if (!prepareRing(segment, timeoutMs)) {
				segment.close();
				return undefined;
			}
			const handle = native.ringOpen(segment.descriptor);
			return new Ring(segment, handle, Number(segment.load('u64', capacityAt)) - 4);
		} catch (error) {
			segment.close();
			throw explain(`cannot use ${quoted(segment.shownName)} as a ring`, error, reasons);
		}
	}

	private static openSegment(name: string | Address, create: SegmentSettings | undefined): SharedMemory {
		// Another process may make and remove the segment meanwhile: a few rounds settle that.
		for (let round = 0; create && round < 100; round++) {
			const found = SharedMemory.tryOpen(name);
			if (found) return found;
			const made = SharedMemory.make(name, {mode: create.mode, size: create.size ?? defaultRingBytes}, (fresh) => {
				prepareRing(fresh);
			});
			if (made) return made;
		}
		return SharedMemory.open(name);
	}

	get shownName(): string {
		return this.segment.shownName;
	}

	/** Sends, waiting for room, `timeoutMs` at most (negative: without limit): false when there was none. */
	send(record: Uint8Array | string, timeoutMs = -1): boolean {
		const bytes = typeof record === 'string' ? Buffer.from(record) : record;
		const {problem} = native.ringSend(this.handle, bytes, 0, bytes.length, whole, timeoutMs);
		if (problem === '') return true;
		if (problem === 'EAGAIN' || problem === 'ETIMEDOUT') return false;
		throw this.explainProblem('send to', problem, `the record has ${countOf(bytes.length, 'byte')}`);
	}

	/**
	 * The oldest record that no receiver has taken, waiting `timeoutMs` for one at most (negative: without limit);
	 * undefined when there was none.
	 */
	receive(timeoutMs = -1): Buffer | undefined {
		if (!this.claim(1, -1, whole, timeoutMs)) return undefined;
		const record = this.next();
		this.done(1);
		return record;
	}

	/** See `ringClaim` in native/index.ts. */
	claim(most: number, output: number, separator: number, timeoutMs: number): boolean {
		try {
			const limit = Math.min(most, Number.MAX_SAFE_INTEGER);
			return native.ringClaim(this.handle, limit, output, separator, timeoutMs);
		} catch (error) {
			if (isKernelError(error) && error.code === 'EPIPE') throw error;
			throw explain(`cannot receive from ${quoted(this.shownName)}`, error, reasons);
		}
	}

	/** The next of the claimed records; it stays claimed until `done`. */
	next(): Buffer | undefined {
		try {
			return native.ringNext(this.handle);
		} catch (error) {
			throw explain(`cannot receive from ${quoted(this.shownName)}`, error, reasons);
		}
	}

	/** This many of the records that `next` returned are delivered. */
	done(count: number): void {
		native.ringDone(this.handle, count);
	}

	/**
	 * Ends receiving: records that are not written or not done, or lie unread in a pipe `output`, are left to the next
	 * receiver.
	 */
	release(output = -1, separator = whole): void {
		native.ringRelease(this.handle, output, separator);
	}

	explainProblem(tried: string, problem: RingProblem, record: string): unknown {
		return explain(`cannot ${tried} ${quoted(this.shownName)}`, kernelError(problem, 'ring'), {
			...reasons,
			EMSGSIZE: {text: `${record} and the ring takes ${this.mostBytes}`, reason: 'record-too-long'},
		});
	}

	[Symbol.dispose](): void {
		if (this.segment.descriptor < 0) return;
		native.ringClose(this.handle);
		this.segment.close();
	}

	close(): void {
		this[Symbol.dispose]();
	}
}

const reasons: Record<string, string> = {
	EBADMSG: 'its contents are damaged (remove it, and create it again)',
	EFAULT: 'another process shrank it, or /dev/shm is full',
	ENOENT: 'it has been removed',
	EINVAL: 'it cannot be locked',
};
