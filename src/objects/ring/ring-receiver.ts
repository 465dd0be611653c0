import {hasCode} from '../../common/errors.js';
import {EndBySignal} from '../../common/exit.js';
import {type Framing, jsonRecord, separatorOf} from '../../common/framing/framing.js';
import {explainStdout, print, stdout} from '../../common/output.js';
import {PipeReader} from '../../common/pipe-reader.js';
import {SIGPIPE} from '../../common/process/signals.js';
import type {Progress} from '../../common/terminal/progress.js';
import {native} from '../../native/index.js';
import {type Ring, whole} from './ring.js';

/**
 * This many records are written one at a time, waiting for the reader after each, before we trust a reader without a
 * fixed number of records.
 */
const cautiousRecords = 16;

export interface Receiving {
	framing: Framing;
	/** Complete after this many records. */
	most: number;
	/** How long to wait for a record, each time; negative: without limit. */
	timeoutMs: number;
	progress: Progress | undefined;
}

/**
 * Moves records from a ring to stdout. A record stays in the ring until it is delivered: written, and, if stdout is a
 * pipe, read. A record that is not delivered, whatever ends us, is left to the next receiver.
 */
export class RingReceiver {
	/** Records written to stdout. */
	received = 0;
	private readonly reader = new PipeReader(stdout);
	private readonly separator: number;

	constructor(
		private readonly ring: Ring,
		private readonly receiving: Receiving,
	) {
		const {framing} = receiving;
		this.separator = separatorOf(framing) ?? (framing === 'length' ? -1 : whole);
	}

	/** Until the wanted number has been received (true), or there was none in time (false). */
	run(): boolean {
		const {framing, most} = this.receiving;
		const deliver = framing === 'json' ? new JsonDelivery(this.ring, this.reader) : undefined;
		try {
			while (this.received < most) {
				const allowed = this.allowance();
				if (!this.ring.claim(allowed, stdout, this.separator, this.receiving.timeoutMs)) return false;
				this.count(deliver ? deliver.next() : this.deliver(allowed));
			}
			return true;
		} catch (error) {
			const isGone = hasCode(error, 'EPIPE') || (error instanceof EndBySignal && error.signal === SIGPIPE);
			// While the reader lives, the bytes in the pipe will be read.
			deliver?.settle(isGone);
			this.ring.release(isGone ? stdout : -1, this.separator);
			throw isGone ? new EndBySignal(SIGPIPE) : error;
		} finally {
			deliver?.settle(false);
			this.ring.release(-1, this.separator);
		}
	}

	private count(records: number): void {
		this.received += records;
		this.receiving.progress?.add(records);
	}

	private deliver(most: number): number {
		const {records, problem} = native.ringDeliver(
			this.ring.handle,
			stdout,
			this.separator,
			Math.min(most, Number.MAX_SAFE_INTEGER),
		);
		if (problem === 'EBADMSG' || problem === 'EFAULT') throw this.ring.explainProblem('receive from', problem, '');
		if (problem === '') return records;
		const error = Object.assign(new Error(problem), {code: problem, errno: 0, syscall: 'write'});
		throw problem === 'EPIPE' || problem === 'EINTR' ? error : explainStdout(error);
	}

	/**
	 * How many records may be written now. A reader such as `head` reads as much as it can get and may then exit: if no
	 * number of records is given, the reader has to prove first that it keeps reading.
	 */
	private allowance(): number {
		const {most} = this.receiving;
		if (!this.reader.isPipe || most !== Number.POSITIVE_INFINITY) return most - this.received;
		if (this.received >= cautiousRecords) return most;
		if (this.received > 0 && !this.reader.waitUntilRead())
			throw Object.assign(new Error('EPIPE'), {code: 'EPIPE', errno: 0, syscall: 'write'});
		return 1;
	}
}

/** One record after another as JSON; a record is done once it has been read. */
class JsonDelivery {
	private written = 0;
	/** The end of the output of each record that is not known to be read. */
	private readonly ends: number[] = [];

	constructor(
		private readonly ring: Ring,
		private readonly reader: PipeReader,
	) {}

	/** Number of records claimed. */
	next(): number {
		let count = 0;
		for (let record = this.ring.next(); record; record = this.ring.next()) {
			const line = Buffer.from(`${JSON.stringify(jsonRecord(record))}\n`);
			print(line);
			this.written += line.length;
			this.ends.push(this.written);
			this.settle(true);
			count++;
		}
		return count;
	}

	/** Records that were written are done; or only records that were read, if the reader may never read the rest. */
	settle(onlyWhatWasRead: boolean): void {
		const seen = this.written - (onlyWhatWasRead ? this.reader.unreadBytes() : 0);
		let count = 0;
		while (count < this.ends.length && (this.ends[count] as number) <= seen) count++;
		this.ends.splice(0, count);
		if (count > 0) this.ring.done(count);
	}
}
