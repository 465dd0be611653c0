import {fstatSync} from 'node:fs';
import {hasCode, quoted, SystemError, UsageError} from '../common/errors.js';
import {done, EndBySignal, failed, notNow, type Outcome, timedOut} from '../common/exit.js';
import {type Address, formatAddress} from '../common/formats/object-name.js';
import {formatSize, size} from '../common/formats/size.js';
import {choice, type TextFormat} from '../common/formats/text-format.js';
import {type Boundaries, boundariesOf} from '../common/framing/boundaries.js';
import {chosenFraming, framingOptions, mostRecordBytes} from '../common/framing/framing.js';
import {readInputNow} from '../common/input.js';
import * as common from '../common/options.js';
import {
	announceReady,
	expectInput,
	printJson,
	stdin,
	stdout,
	tell,
	tellRaw,
	tellVerbose,
	verbose,
} from '../common/output.js';
import {SIGPIPE, stopOnSignals} from '../common/process/signals.js';
import type {Progress} from '../common/terminal/progress.js';
import {growPipe, progressOf} from '../common/transfer.js';
import {many, verb} from '../common/verb.js';
import {isBroken, PollSet} from '../common/waiting.js';
import {AT_FDCWD, native, O_NONBLOCK, O_WRONLY, PIPE_BUF, POLLIN, POLLOUT} from '../native/index.js';
import {Fifo} from '../objects/fifo/fifo.js';
import type {PipeFeed} from '../objects/fifo/pipe.js';
import {clusterPipes, pipeName} from '../objects/fifo/pipes.js';
import {DescriptorOutput, type SlowPolicy, type TeeOutput} from './tee-output.js';
import {ClusterOutput} from './tee-to-cluster.js';

const defaultBuffer = 1024 ** 2;
const readBytes = 1024 ** 2;

/** A pipe's name, or `-` for stdout. */
const subscriberName: TextFormat<Address | 'stdout'> = {
	placeholder: 'NAME',
	completes: 'objects and paths',
	parse: (text) => (text === '-' ? 'stdout' : pipeName.parse(text)),
};

export const tee = verb({
	summary: 'Copy standard input to several FIFOs at once; - is stdout',
	operands: {names: many(subscriberName)},
	options: {
		onSlow: {
			value: choice('POLICY', 'block', 'drop', 'disconnect'),
			help: 'if a buffer is full: block (default), drop the data, or disconnect the reader',
		},
		buffer: {value: size, help: 'maximum unread data per reader (default 1M)'},
		timeout: common.timeout,
		timeoutStatus: common.timeoutStatus,
		nonblock: {...common.nonblock, help: 'exit with status 3 if a FIFO has no reader'},
		...framingOptions,
		mode: common.mode,
		json: {help: 'print bytes sent to and lost by each reader as JSON lines'},
		progress: common.progress,
		readyFd: common.readyFd,
	},
	cluster: true,
	examples: [
		{purpose: 'send one log to two readers and the terminal', line: './serve | ipc-pipe tee audit metrics -'},
		{
			purpose: 'drop data instead of waiting for a slow reader',
			line: './sensor | ipc-pipe tee live archive --on-slow drop --buffer 64K -v',
		},
	],
	waitsFor: ({names}) =>
		`readers of ${names.flatMap((name) => (name === 'stdout' ? [] : [quoted(formatAddress(name))])).join(', ')}`,
	run({names}, options) {
		const policy = options.onSlow ?? 'block';
		const framing = chosenFraming({...options, json: false}) ?? (policy === 'drop' ? 'lines' : 'raw');
		if (framing === 'json')
			throw new UsageError('--framing json cannot be used with tee: use lines, null, length or raw');
		checkNames(names);
		const ends: (Fifo | PipeFeed)[] = [];
		const subscribers: TeeOutput[] = [];
		try {
			for (const name of names) if (name !== 'stdout') ends.push(open(name, options.mode));
			expectInput();
			announceReady(options.readyFd);
			const byName = [...ends];
			for (const name of names) {
				const subscriber = name === 'stdout' ? toStdout() : connect(byName.shift() as Fifo | PipeFeed, name, options);
				if (!subscriber) return options.nonblock ? notNow : timedOut;
				subscribers.push(subscriber);
			}
			growPipe(stdin);
			const progress = progressOf(options.progress, 'bytes', stdin);
			const fanOut = new FanOut(subscribers, {
				policy,
				most: options.buffer ?? defaultBuffer,
				boundaries: framing === 'raw' ? undefined : boundariesOf(framing),
				timeoutMs: options.timeout ?? -1,
				progress,
			});
			try {
				return fanOut.run();
			} finally {
				progress?.finish();
				report(subscribers, options.json, names.includes('stdout'));
			}
		} finally {
			// The reader learns of our end only once we do not count as a user: the last one removes a temporary FIFO.
			for (const end of ends) if (end instanceof Fifo) end.close();
			for (const subscriber of subscribers) subscriber.close();
			for (const end of ends) if (!(end instanceof Fifo)) end.close();
		}
	},
});

/** Before anything is opened. */
function checkNames(names: readonly (Address | 'stdout')[]): void {
	const far = new Set<string>();
	for (const name of names) {
		if (name === 'stdout' || name.kind !== 'cluster') continue;
		if (far.has(name.shown)) throw new UsageError(`${quoted(name.shown)} is named twice`);
		far.add(name.shown);
	}
}

function open(name: Address, mode: number | undefined): Fifo | PipeFeed {
	if (name.kind !== 'cluster') return Fifo.open(name, {mode, temporary: true, beforeTemporary: stopOnSignals});
	// A signal must not leave its reader in doubt.
	stopOnSignals();
	return clusterPipes.objects.openToFeed(name);
}

function connect(
	end: Fifo | PipeFeed,
	name: Address,
	options: {nonblock: boolean; timeout: number | undefined},
): TeeOutput | undefined {
	const timeoutMs = options.timeout ?? -1;
	if (!(end instanceof Fifo))
		return end.connect(options.nonblock ? 0 : timeoutMs) ? new ClusterOutput(formatAddress(name), end) : undefined;
	const descriptor = options.nonblock ? end.tryOpenWriter() : end.openWriter(timeoutMs);
	if (descriptor === undefined) return undefined;
	growPipe(descriptor);
	return new DescriptorOutput(formatAddress(name), descriptor, Number.POSITIVE_INFINITY);
}

/**
 * stdout must not block the other outputs. Its flags are shared with other processes, so a pipe is opened anew for this
 * process, non-blocking; anything else is written to in small pieces when it is ready.
 */
function toStdout(): TeeOutput {
	growPipe(stdout);
	if (fstatSync(stdout).isFIFO()) {
		try {
			const own = native.openat(AT_FDCWD, `/proc/self/fd/${stdout}`, O_WRONLY | O_NONBLOCK, 0, -1);
			return new DescriptorOutput('-', own, Number.POSITIVE_INFINITY);
		} catch (error) {
			if (!hasCode(error, 'EACCES', 'EPERM', 'ENXIO', 'ENOENT')) throw error;
		}
	}
	return new DescriptorOutput('-', stdout, PIPE_BUF);
}

interface FanOutSettings {
	policy: SlowPolicy;
	/** Maximum unsent bytes of one output. */
	most: number;
	/** How records are separated; without it, any byte may be the last before a gap. */
	boundaries: Boundaries | undefined;
	timeoutMs: number;
	progress: Progress | undefined;
}

/** stdin to many outputs, each at its own speed. */
class FanOut {
	private buffer = Buffer.allocUnsafe(readBytes);
	private filled = 0;
	private isOver = false;
	private passed = 0;

	constructor(
		private readonly subscribers: readonly TeeOutput[],
		private readonly settings: FanOutSettings,
	) {}

	run(): Outcome {
		const {subscribers, settings} = this;
		const poll = new PollSet<TeeOutput | 'input'>();
		for (;;) {
			this.takeNews();
			if (this.isOver && subscribers.every(({waiting}) => waiting === 0)) break;
			if (!subscribers.some(({isConnected}) => isConnected)) return this.allLeft();
			const wantsInput = !this.isOver && this.hasRoom();
			poll.watch('input', wantsInput ? stdin : -1, POLLIN);
			for (const one of subscribers)
				poll.watch(one, one.isConnected ? one.descriptor : -1, one.waiting > 0 ? one.progressEvent : 0);
			if (!poll.wait(wantsInput ? -1 : settings.timeoutMs)) {
				const slowest = this.slowest();
				tell(`gave up: the buffer of ${quoted(slowest.name)} is full, ${slowest.waiting} bytes not sent`);
				return timedOut;
			}
			for (const one of subscribers) {
				const events = poll.eventsOf(one);
				if (isBroken(events)) this.lost(one);
				else if (events & POLLOUT) one.flush();
			}
			if (poll.eventsOf('input') !== 0) this.readInput();
		}
		for (const one of subscribers) {
			if (one.finish(settings.timeoutMs)) continue;
			tell(`gave up: ${quoted(one.name)} is full`);
			return timedOut;
		}
		return subscribers.some(({hasFailed}) => hasFailed) ? failed : done;
	}

	/** Outputs on a cluster may share a descriptor: what one of them reads there may be the news of another. */
	private takeNews(): void {
		const far = this.subscribers.filter(({progressEvent}) => progressEvent === POLLIN);
		for (const one of far) one.settle();
		for (const one of far) one.flush();
	}

	/** An empty buffer always takes a piece, so that data moves however small the buffer is. */
	private hasRoom(): boolean {
		const {policy, most} = this.settings;
		return policy !== 'block' || this.subscribers.every(({waiting}) => waiting === 0 || waiting < most);
	}

	private slowest(): TeeOutput {
		return this.subscribers.reduce((slowest, one) => (one.waiting > slowest.waiting ? one : slowest));
	}

	private readInput(): void {
		if (this.filled === this.buffer.length) this.growBuffer();
		const count = readInputNow(this.buffer, this.filled);
		if (count < 0) return;
		this.isOver = count === 0;
		this.filled += count;
		const {boundaries} = this.settings;
		const end = this.isOver || !boundaries ? this.filled : boundaries.lastEnd(this.buffer, 0, this.filled);
		if (end === 0) return;
		this.pass(this.buffer.subarray(0, end));
		this.buffer.copyWithin(0, end, this.filled);
		this.filled -= end;
	}

	/** A record that does not fit has to be held as a whole before anything may be dropped. */
	private growBuffer(): void {
		if (this.buffer.length >= mostRecordBytes)
			throw new SystemError(
				`a record of stdin is longer than ${formatSize(mostRecordBytes)}, too long to be held in memory`,
			);
		const larger = Buffer.allocUnsafe(2 * this.buffer.length);
		this.buffer.copy(larger);
		this.buffer = larger;
	}

	private pass(bytes: Buffer): void {
		this.passed += bytes.length;
		this.settings.progress?.add(bytes.length);
		for (const one of this.subscribers) {
			if (one.isConnected) this.giveTo(one, bytes);
			else one.miss(bytes.length);
		}
	}

	private giveTo(one: TeeOutput, bytes: Buffer): void {
		const {policy, most, boundaries} = this.settings;
		if (policy === 'drop') {
			// The pipe itself takes what it can; only data that would have to wait counts against the buffer.
			one.flush();
			const room = one.waiting === 0 ? bytes.length : Math.max(0, most - one.waiting);
			const fitting =
				boundaries && room < bytes.length ? boundaries.lastEnd(bytes, 0, room) : Math.min(room, bytes.length);
			if (fitting > 0) one.give(bytes.subarray(0, fitting));
			if (fitting < bytes.length) one.miss(bytes.length - fitting, boundaries?.count(bytes, fitting, bytes.length));
			return;
		}
		one.give(bytes);
		if (policy === 'disconnect' && one.waiting > most) {
			one.end('disconnected');
			tell(`disconnected '${one.name}': more than ${formatSize(most)} unread`);
		}
		if (one.state === 'left') this.lost(one);
	}

	private lost(one: TeeOutput): void {
		one.end('left');
		tellVerbose(`the reader of '${one.name}' has left`);
	}

	private allLeft(): Outcome {
		if (this.subscribers.some(({hasFailed}) => hasFailed)) return failed;
		if (this.isOver) return done;
		if (this.subscribers.every(({name}) => name === '-')) throw new EndBySignal(SIGPIPE);
		throw new SystemError(`no reader is left after ${this.passed} bytes`);
	}
}

function report(subscribers: readonly TeeOutput[], json: boolean, stdoutHasData: boolean): void {
	for (const one of subscribers) {
		const what = one.report();
		// stdout is for the data if it is one of the outputs.
		if (json && stdoutHasData) tellRaw(`${JSON.stringify(what)}\n`);
		else if (json) printJson(what);
		else if (verbose()) {
			const missed = what.missedRecords
				? `${what.missedRecords} records, ${what.missedBytes} bytes`
				: `${what.missedBytes} bytes`;
			tell(`'${what.name}' received ${what.bytes} bytes, missed ${missed}, ${what.state}`);
		}
	}
}
