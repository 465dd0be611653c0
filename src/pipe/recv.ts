import {closeSync} from 'node:fs';
import {countOf, quoted, UsageError} from '../common/errors.js';
import {done, failed, notNow, timedOut} from '../common/exit.js';
import {size} from '../common/formats/size.js';
import {wholeNumber} from '../common/formats/text-format.js';
import {chosenFraming, framingOptions} from '../common/framing/framing.js';
import * as common from '../common/options.js';
import {announceReady, expectOutput, stdout, tell} from '../common/output.js';
import {findOpeners, identityKey, seen} from '../common/process/proc.js';
import {stopOnSignals} from '../common/process/signals.js';
import type {Progress} from '../common/terminal/progress.js';
import {explainMove, growPipe, moveBytes, progressOf, setPipeSize} from '../common/transfer.js';
import {optional, verb} from '../common/verb.js';
import {endIfBroken, eventsOf, PollSet} from '../common/waiting.js';
import {isKernelError, POLLHUP, POLLIN} from '../native/index.js';
import {Fifo, fifoName} from '../objects/fifo/fifo.js';
import {RecordReceiver} from '../objects/fifo/record-receiver.js';
import {WriterCount} from '../objects/fifo/writer-count.js';
import {defaultName} from './default-name.js';

export const recv = verb({
	summary: 'Copy a FIFO, created if missing, to standard output until the last writer closes it',
	operands: {name: optional(fifoName)},
	options: {
		timeout: common.timeout,
		timeoutStatus: common.timeoutStatus,
		nonblock: common.nonblock,
		follow: {...common.follow, help: 'keep running when the last writer closes the FIFO'},
		writers: {value: wholeNumber(1), help: 'stop when N writers have opened and closed the FIFO'},
		count: {...common.count, help: 'stop after N records (by default, lines)'},
		...framingOptions,
		json: {help: 'print each record as a JSON object'},
		size: {value: size, help: 'capacity of the pipe (default 1M if allowed)'},
		mode: common.mode,
		progress: common.progress,
		readyFd: common.readyFd,
	},
	examples: [
		{purpose: 'filter what ipc-pipe send sends', line: 'ipc-pipe recv | grep node'},
		{purpose: 'collect a log from writers that start and stop', line: 'ipc-pipe recv log --follow >>log.txt'},
		{
			purpose: 'receive one line; exit with status 124 after five seconds',
			line: 'ipc-pipe recv answers --count 1 -t 5',
		},
	],
	run({name = defaultName}, options) {
		if (options.follow && options.writers) throw new UsageError('--follow and --writers cannot be combined');
		const chosen = chosenFraming(options);
		const framing = chosen ?? (options.count === undefined ? undefined : 'lines');
		if (framing === 'raw' && options.count !== undefined)
			throw new UsageError('--raw and --count cannot be combined: all data is one record');

		expectOutput();
		using fifo = Fifo.open(name, {mode: options.mode, temporary: true, beforeTemporary: stopOnSignals});
		// A writer that waits in open(2) would take us for its reader, and we exit the next moment.
		if (options.nonblock && onlyWritersThatWait(fifo)) return notNow;
		const hasRecords = framing !== undefined && framing !== 'raw';
		if (hasRecords) stopOnSignals();
		using writers = options.writers === undefined ? undefined : new WriterCount(fifo.handlePath, fifo.path);
		const progress = progressOf(options.progress, hasRecords ? 'records' : 'bytes');
		using records = hasRecords
			? new RecordReceiver(framing, options.count ?? Number.POSITIVE_INFINITY, progress)
			: undefined;
		using reception = new Reception(fifo, {
			size: options.size,
			timeoutMs: options.nonblock ? 0 : (options.timeout ?? -1),
			goesOn: options.follow || options.writers !== undefined,
			writers,
			wanted: options.writers ?? Number.POSITIVE_INFINITY,
			records,
			progress: hasRecords ? undefined : progress,
		});
		announceReady(options.readyFd);
		const end = reception.run();
		progress?.finish();
		if (end !== 'timed out') return done;
		// Half a record was read, and that has been reported.
		if (records && records.undelivered > 0) return failed;
		if (options.nonblock) return reception.hasReceived ? done : notNow;
		if (reception.hasReceived) tell(`gave up: no more data from ${quoted(fifo.shownName)}, ${reception.soFar}`);
		return timedOut;
	},
});

/** No process has the FIFO open, so it is empty, and a writer waits in open(2). */
function onlyWritersThatWait(fifo: Fifo): boolean {
	const openers = seen(findOpeners([fifo.identity]))?.get(identityKey(fifo.identity)) ?? [];
	return (
		openers.length > 0 && openers.every(({descriptor, access}) => descriptor === undefined && access.includes('w'))
	);
}

interface ReceptionSettings {
	size: number | undefined;
	/** How long to wait for data, each time; negative: without limit. */
	timeoutMs: number;
	/** Whether to keep running when the last writer closes the FIFO. */
	goesOn: boolean;
	writers: WriterCount | undefined;
	/** Stop after this many writers. */
	wanted: number;
	records: RecordReceiver | undefined;
	progress: Progress | undefined;
}

type End = 'writers gone' | 'complete' | 'timed out';

/** One reader of a FIFO, from its first writer to the end. */
class Reception implements Disposable {
	private reader: number;
	private bytes = 0;
	private readonly poll = new PollSet<'reader' | 'stdout' | 'writers'>();

	constructor(
		private readonly fifo: Fifo,
		private readonly settings: ReceptionSettings,
	) {
		this.reader = fifo.openReader();
		if (settings.size === undefined) growPipe(this.reader);
		else setPipeSize(this.reader, settings.size, quoted(fifo.shownName));
		growPipe(stdout);
	}

	get hasReceived(): boolean {
		return this.bytes > 0;
	}

	get soFar(): string {
		const {records} = this.settings;
		return records ? `${countOf(records.records, 'record')} received` : `${this.bytes} bytes received`;
	}

	run(): End {
		const {records} = this.settings;
		let end = this.receive();
		// A writer that opened the FIFO between our last look and the removal still has us as its reader.
		while (end === 'writers gone' && this.fifo.leave() && this.hasWriter()) end = this.receive();
		if (end === 'timed out' && records && records.undelivered > 0) this.tellUndelivered(records);
		return end;
	}

	private receive(): End {
		const {goesOn, writers, wanted, records} = this.settings;
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
			if (!goesOn) return event;
			this.reopen();
		}
	}

	/** All the writers that were waited for have left: their data is in the pipe, whatever other writers still write. */
	private drain(): End {
		const {records} = this.settings;
		if (records) while (this.moveRecords(records) === 'more');
		else this.moveStream();
		if (records?.isInsideRecord) records.finish();
		return 'complete';
	}

	/** Waits for data, for the end, for a writer to leave, or until the reader of stdout has left. */
	private waitForData(): 'data' | 'writers gone' | 'writer left' | 'timed out' {
		const {timeoutMs, writers} = this.settings;
		this.poll.watch('reader', this.reader, POLLIN);
		this.poll.watch('stdout', stdout);
		this.poll.watch('writers', writers?.descriptor ?? -1, POLLIN);
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
		const {timeoutMs, writers, progress} = this.settings;
		try {
			const inputTimeoutMs = writers ? 0 : timeoutMs;
			const moved = moveBytes({input: this.reader, output: stdout, inputTimeoutMs, progress});
			this.bytes += moved.bytes;
			return moved.ended || writers ? 'more' : 'timed out';
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
		const {records} = this.settings;
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
	}
}
