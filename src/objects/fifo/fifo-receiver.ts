import {closeSync} from 'node:fs';
import {countOf, quoted} from '../../common/errors.js';
import {stdout, tell} from '../../common/output.js';
import {findOpeners, identityKey, seen} from '../../common/process/proc.js';
import {explainMove, growPipe, moveBytes, setPipeSize} from '../../common/transfer.js';
import {endIfBroken, eventsOf, PollSet} from '../../common/waiting.js';
import {isKernelError, POLLHUP, POLLIN} from '../../native/index.js';
import type {Fifo} from './fifo.js';
import type {PipeReceiver, PipeReception, ReceiveEnd, ReceiveSettings} from './pipe.js';
import {RecordReceiver} from './record-receiver.js';
import {WriterCount} from './writer-count.js';

/** A FIFO that is read from. */
export class FifoReceiver implements PipeReceiver {
	constructor(
		private readonly fifo: Fifo,
		private readonly size: number | undefined,
	) {}

	get shownName(): string {
		return this.fifo.shownName;
	}

	get cleansUp(): boolean {
		return this.fifo.isTemporary;
	}

	connect(timeoutMs: number): boolean {
		// A writer that waits in open(2) would take us for its reader, and we exit the next moment.
		return timeoutMs !== 0 || !onlyWritersThatWait(this.fifo);
	}

	receive(settings: ReceiveSettings): FifoReception {
		return new FifoReception(this.fifo, this.size, settings);
	}

	[Symbol.dispose](): void {
		this.fifo.close();
	}

	close(): void {
		this[Symbol.dispose]();
	}
}

/** No process has the FIFO open, so it is empty, and a writer waits in open(2). */
function onlyWritersThatWait(fifo: Fifo): boolean {
	const openers = seen(findOpeners([fifo.identity]))?.get(identityKey(fifo.identity)) ?? [];
	return (
		openers.length > 0 && openers.every(({descriptor, access}) => descriptor === undefined && access.includes('w'))
	);
}

/** One reader of a FIFO, from its first writer to the end. */
class FifoReception implements PipeReception {
	private reader: number;
	private bytes = 0;
	private readonly poll = new PollSet<'reader' | 'stdout' | 'writers'>();
	private readonly writers: WriterCount | undefined;
	private readonly records: RecordReceiver | undefined;
	/** The kernel does not tell how a writer has ended. */
	readonly cutShort = 0;

	constructor(
		private readonly fifo: Fifo,
		size: number | undefined,
		private readonly settings: ReceiveSettings,
	) {
		const {writers, framing, most, progress} = settings;
		this.writers = writers === undefined ? undefined : new WriterCount(fifo.handlePath, fifo.path);
		this.records = framing === undefined ? undefined : new RecordReceiver(framing, most, progress);
		this.reader = fifo.openReader();
		if (size === undefined) growPipe(this.reader);
		else setPipeSize(this.reader, size, quoted(fifo.shownName));
		growPipe(stdout);
	}

	get hasReceived(): boolean {
		return this.bytes > 0;
	}

	get soFar(): string {
		const {records} = this;
		return records ? `${countOf(records.records, 'record')} received` : `${this.bytes} bytes received`;
	}

	get undelivered(): number {
		return this.records?.undelivered ?? 0;
	}

	run(): ReceiveEnd {
		const {records} = this;
		let end = this.receive();
		// A writer that opened the FIFO between our last look and the removal still has us as its reader.
		while (end === 'writers gone' && this.fifo.leave() && this.hasWriter()) end = this.receive();
		if (end === 'timed out' && records && records.undelivered > 0) this.tellUndelivered(records);
		return end;
	}

	private receive(): ReceiveEnd {
		const {follow, writers: wanted = Number.POSITIVE_INFINITY} = this.settings;
		const {writers, records} = this;
		for (;;) {
			const event = this.waitForData();
			if (event === 'timed out') return event;
			if (event === 'data') {
				const end = records ? this.moveRecords(records) : this.moveStream();
				if (end === 'complete' || end === 'timed out') return end;
			}
			writers?.update();
			if (writers && writers.gone >= wanted) return this.drain();
			if (event !== 'writers gone') continue;
			records?.finish();
			if (!follow && !writers) return event;
			this.reopen();
		}
	}

	/** All the writers that were waited for have left: their data is in the pipe, whatever other writers still write. */
	private drain(): ReceiveEnd {
		const {records} = this;
		if (records) while (this.moveRecords(records) === 'more');
		else this.moveStream();
		if (records?.isInsideRecord) records.finish();
		return 'complete';
	}

	/** Waits for data, for the end, for a writer to leave, or until the reader of stdout has left. */
	private waitForData(): 'data' | 'writers gone' | 'writer left' | 'timed out' {
		const {timeoutMs} = this.settings;
		this.poll.watch('reader', this.reader, POLLIN);
		this.poll.watch('stdout', stdout);
		this.poll.watch('writers', this.writers?.descriptor ?? -1, POLLIN);
		try {
			this.poll.wait(timeoutMs);
		} catch (error) {
			this.explainStop(error);
			throw error;
		}
		endIfBroken(this.poll.eventsOf('stdout'));
		const ours = this.poll.eventsOf('reader');
		if (ours & POLLIN) return 'data';
		if (ours & POLLHUP) return 'writers gone';
		return this.poll.eventsOf('writers') !== 0 ? 'writer left' : 'timed out';
	}

	/** Moves data until there is none now, or, if no writers are counted, until the last writer leaves. */
	private moveStream(): 'more' | 'timed out' {
		const {timeoutMs, progress} = this.settings;
		try {
			const inputTimeoutMs = this.writers ? 0 : timeoutMs;
			const moved = moveBytes({input: this.reader, output: stdout, inputTimeoutMs, progress});
			this.bytes += moved.bytes;
			return moved.ended || this.writers ? 'more' : 'timed out';
		} catch (error) {
			if (isKernelError(error)) this.bytes += error.bytes ?? 0;
			throw explainMove(error, {from: quoted(this.fifo.shownName)});
		}
	}

	private moveRecords(records: RecordReceiver): 'more' | 'nothing' | 'complete' | 'timed out' {
		try {
			const receipt = records.receive(this.reader, this.settings.timeoutMs);
			if (!receipt) return 'timed out';
			const {taken, isEmpty, isComplete} = receipt;
			this.bytes += taken;
			if (isComplete) return 'complete';
			return isEmpty ? 'nothing' : 'more';
		} catch (error) {
			this.explainStop(error);
			throw error;
		}
	}

	/** Stopped by a signal in the middle of a record: report the loss. */
	private explainStop(error: unknown): void {
		const {records} = this;
		if (records && records.undelivered > 0 && isKernelError(error) && error.code === 'EINTR')
			this.tellUndelivered(records);
	}

	private tellUndelivered(records: RecordReceiver): void {
		tell(`stopped inside a record: ${records.undelivered} bytes of it were read and not printed`);
	}

	/**
	 * Once the last writer has left, a descriptor reports the end forever. A new descriptor waits for the next writer; it
	 * is opened before the other is closed, so that there is a reader at any time.
	 */
	private reopen(): void {
		const before = this.reader;
		this.reader = this.fifo.openReader();
		closeSync(before);
	}

	/** A process has the FIFO open for writing, or has left data. Correct once there has been a writer. */
	private hasWriter(): boolean {
		const events = eventsOf(this.reader, POLLIN, 0);
		return !(events & POLLHUP) || (events & POLLIN) !== 0;
	}

	[Symbol.dispose](): void {
		closeSync(this.reader);
		this.records?.[Symbol.dispose]();
		this.writers?.[Symbol.dispose]();
	}
}
