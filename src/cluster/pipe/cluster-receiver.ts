import {Deadline} from '../../common/deadline.js';
import {countOf, hasCode, quoted} from '../../common/errors.js';
import {EndBySignal} from '../../common/exit.js';
import type {ClusterAddress} from '../../common/formats/cluster-address.js';
import {explainStdout, printBytes, stdout, tell} from '../../common/output.js';
import {PipeReader} from '../../common/pipe-reader.js';
import {SIGPIPE} from '../../common/process/signals.js';
import {growPipe} from '../../common/transfer.js';
import type {PipeReceiver, PipeReception, ReceiveEnd, ReceiveSettings} from '../../objects/fifo/pipe.js';
import {type RecordWriter, recordWriter} from '../../objects/fifo/record-receiver.js';
import {type Channel, closeChannel, openChannel} from '../channel.js';
import {attemptOnCluster} from '../refusal.js';
import type {PipeMethods} from '../worker/pipe/pipe.js';
import type {ClusterPipeAttributes, PipeBatch} from './format.js';

/** How soon and how late we look whether the reader of stdout has read what was written. */
const shortestLookMs = 1;
const longestLookMs = 100;
/** How often we ask for senders that have told us nothing yet, before we leave. */
const askAgainMs = 1000;

/** A pipe on a cluster that is read from. */
export class ClusterReceiver implements PipeReceiver {
	readonly cleansUp = true;
	private readonly channel: Channel;

	constructor(
		private readonly address: ClusterAddress,
		attributes: ClusterPipeAttributes,
	) {
		this.channel = openChannel(address);
		this.attempt('open', () =>
			this.channel.call<PipeMethods, 'pipeOpenToReceive'>('pipeOpenToReceive', [address.name, attributes]),
		);
	}

	get shownName(): string {
		return this.address.shown;
	}

	private attempt<Result>(what: string, call: () => Result): Result {
		return attemptOnCluster(`cannot ${what} ${quoted(this.shownName)}`, call);
	}

	connect(timeoutMs: number): boolean {
		return this.attempt('receive from', () =>
			this.channel.call<PipeMethods, 'pipeBecomeReader'>('pipeBecomeReader', [this.address.name, timeoutMs]),
		);
	}

	receive(settings: ReceiveSettings): PipeReception {
		return new ClusterReception(this.channel, this.address, settings);
	}

	[Symbol.dispose](): void {
		closeChannel(this.channel);
	}

	close(): void {
		this[Symbol.dispose]();
	}
}

/** Writes bytes as they come. */
class ByteWriter
	implements Pick<RecordWriter, 'write' | 'used' | 'undelivered' | 'isInsideRecord' | 'finish' | 'records'>
{
	used = 0;
	records = 0;
	readonly undelivered = 0;
	readonly isInsideRecord = false;

	write(bytes: Buffer): void {
		this.used = 0;
		while (this.used < bytes.length) {
			try {
				this.used += printBytes(bytes, this.used, bytes.length - this.used);
			} catch (error) {
				throw explainStdout(error);
			}
		}
	}

	finish(): void {}
}

/**
 * What comes is confirmed once it has been written, and, where stdout is a pipe, read: what its reader leaves behind stays on the
 * cluster for the next receiver.
 */
class ClusterReception implements PipeReception {
	cutShort = 0;
	private readonly writer: RecordWriter;
	private readonly reader = new PipeReader(stdout);
	/** All bytes that have been written, as they came. */
	private written = 0;
	/** Up to which of them everything has been read, as far as we know. */
	private readUpTo = 0;
	/** Messages that have not been confirmed, and where each ends among all bytes that came. */
	private unconfirmed: {index: number; end: number}[] = [];
	/** Where the last confirmed message ends. */
	private confirmedEnd = 0;
	private came = 0;
	private finished = 0;
	private hasEnded = false;

	constructor(
		private readonly channel: Channel,
		private readonly address: ClusterAddress,
		private readonly settings: ReceiveSettings,
	) {
		this.writer = settings.framing === undefined ? new ByteWriter() : recordWriter(settings.framing);
		growPipe(stdout);
	}

	get hasReceived(): boolean {
		return this.came > 0;
	}

	get undelivered(): number {
		return this.writer.undelivered;
	}

	get soFar(): string {
		return this.settings.framing === undefined
			? `${this.written} bytes received`
			: `${countOf(this.writer.records, 'record')} received`;
	}

	run(): ReceiveEnd {
		try {
			const end = this.receive();
			if (end === 'timed out' && this.undelivered > 0) this.tellUndelivered();
			// A reader that has not left will read what it has been given.
			if (end !== 'writers gone') this.stop(this.written - this.undelivered);
			this.hasEnded = true;
			return end;
		} catch (error) {
			if (hasCode(error, 'EPIPE') || error instanceof EndBySignal) {
				this.stop(this.readSoFar());
				throw new EndBySignal(SIGPIPE);
			}
			if (hasCode(error, 'EINTR')) {
				if (this.undelivered > 0) this.tellUndelivered();
				this.stop(this.written - this.undelivered);
			}
			throw error;
		}
	}

	private tellUndelivered(): void {
		tell(`stopped inside a record: ${this.undelivered} bytes of it were read and not printed`);
	}

	private receive(): ReceiveEnd {
		const {timeoutMs, follow, writers, most} = this.settings;
		let quiet = new Deadline(timeoutMs);
		let lookMs = shortestLookMs;
		let mayLeave = false;
		for (;;) {
			if (mayLeave && this.leave()) return 'writers gone';
			const confirmed = this.takeConfirmed();
			lookMs = confirmed.length > 0 ? shortestLookMs : Math.min(2 * lookMs, longestLookMs);
			const batch = this.attempt(() =>
				this.channel.call<PipeMethods, 'pipeReceive'>(
					'pipeReceive',
					[this.address.name, confirmed, this.waitMs(quiet, lookMs, mayLeave)],
					stdout,
				),
			);
			const isEmpty = batch.pieces.length === 0 && batch.cutShort.length === 0;
			const isOver = batch.isOver && this.finished + batch.finished + batch.cutShort.length > 0;
			if (isEmpty && quiet.hasPassed && (!isOver || mayLeave)) return 'timed out';
			if (!isEmpty) {
				lookMs = shortestLookMs;
				this.write(batch);
				quiet = new Deadline(timeoutMs);
				if (this.writer.records >= most) return 'complete';
				if (writers !== undefined && this.finished >= writers) {
					if (this.writer.isInsideRecord) this.finishRecord();
					return 'complete';
				}
			}
			if (isOver && !mayLeave) this.finishRecord();
			mayLeave = isOver && !follow && writers === undefined;
		}
	}

	private waitMs(quiet: Deadline, lookMs: number, mayLeave: boolean): number {
		const wishes = [
			...(this.settings.timeoutMs < 0 ? [] : [Math.ceil(quiet.leftMs)]),
			...(this.unconfirmed.length > 0 ? [lookMs] : []),
			...(mayLeave ? [askAgainMs] : []),
		];
		return wishes.length === 0 ? -1 : Math.min(...wishes);
	}

	private write({bytes, pieces, finished, cutShort}: PipeBatch): void {
		const {most, framing, progress} = this.settings;
		for (let i = 0; i < pieces.length; i += 2)
			this.unconfirmed.push({index: pieces[i] as number, end: this.came + (pieces[i + 1] as number)});
		this.came += bytes.length;
		const {records} = this.writer;
		try {
			this.writer.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), most - records);
		} finally {
			this.written += this.writer.used;
			progress?.add(framing === undefined ? this.writer.used : this.writer.records - records);
		}
		this.finished += finished + cutShort.length;
		for (const {host, pid, bytes: count} of cutShort) {
			this.cutShort++;
			const who = host === '' ? 'a sender' : `a sender (process ${pid} on ${host})`;
			tell(`${who} left without finishing: ${countOf(count, 'byte')} of it arrived`);
		}
	}

	/** The senders have left: a record that has begun is over. */
	private finishRecord(): void {
		const {records} = this.writer;
		this.writer.finish();
		this.settings.progress?.add(this.writer.records - records);
	}

	/** Up to which byte, of those that came, everything has been read. */
	private readSoFar(): number {
		const unread = this.reader.unreadBytes();
		// JSON has other lengths: then all that counts is that everything has been read.
		if (this.settings.framing !== 'json') this.readUpTo = Math.max(this.readUpTo, this.written - unread);
		else if (unread === 0) this.readUpTo = this.written - this.undelivered;
		return this.readUpTo;
	}

	private takeConfirmed(upTo = this.readSoFar()): number[] {
		const count = this.unconfirmed.findIndex(({end}) => end > upTo);
		const confirmed = this.unconfirmed.splice(0, count < 0 ? this.unconfirmed.length : count);
		this.confirmedEnd = confirmed.at(-1)?.end ?? this.confirmedEnd;
		return confirmed.map(({index}) => index);
	}

	private leave(): boolean {
		// A reader that has not left will read what it has been given.
		const written = this.takeConfirmed(this.written);
		return this.attempt(() =>
			this.channel.call<PipeMethods, 'pipeLeave'>('pipeLeave', [this.address.name, written], stdout),
		);
	}

	/** Leaves the rest to the next receiver: from this byte on. */
	private stop(upTo: number): void {
		if (this.hasEnded) return;
		this.hasEnded = true;
		const written = this.takeConfirmed(upTo);
		const [first] = this.unconfirmed;
		const bytes = upTo - this.confirmedEnd;
		const partlyRead = first && bytes > 0 ? {index: first.index, bytes} : undefined;
		this.channel.callAtEnd<PipeMethods, 'pipeStop'>('pipeStop', [this.address.name, written, partlyRead]);
	}

	[Symbol.dispose](): void {
		// After an error: what has been written is confirmed all the same.
		this.stop(this.written - this.undelivered);
	}

	private attempt<Result>(call: () => Result): Result {
		return attemptOnCluster(`cannot receive from ${quoted(this.address.shown)}`, call);
	}
}
