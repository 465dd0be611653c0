import {Deadline} from '../common/deadline.js';
import {countOf, printable, quoted, SystemError} from '../common/errors.js';
import {status} from '../common/exit.js';
import {formatDuration} from '../common/formats/duration.js';
import {type Address, formatAddress} from '../common/formats/object-name.js';
import {tell, tellError, tellVerbose} from '../common/output.js';
import {describeEnd} from '../common/process/child-end.js';
import {checkCommand, startCommand} from '../common/process/run-command.js';
import {Shutdown} from '../common/process/shutdown.js';
import {
	full,
	putBackTimeoutMs,
	reasonNotSent,
	receiptsOf,
	reportKept,
	reportRemoved,
} from '../objects/queue/put-back.js';
import type {Message, Queue} from '../objects/queue/queue.js';
import {queuesAt} from '../objects/queue/queues.js';
import {type KeptMessage, RescuedMessages, rescuedOf} from '../objects/queue/rescued-messages.js';
import {longestBackoffMs} from './options.js';

/** The interval at which a worker looks for messages that others could not put back. */
const sliceMs = 50;

export interface Work {
	command: readonly string[];
	/** The worker ends after this many messages. */
	most: number;
	/** How long to wait for a message, each time; negative: without limit. */
	timeoutMs: number;
	/** Maximum number of parallel commands. */
	jobs: number;
	/** How often a failed message is retried. */
	retries: number;
	/** How long to wait before the first retry; twice as long before each next one. */
	backoffMs: number;
	/** The first SIGTERM lets the running commands finish. */
	drains: boolean;
	/**
	 * The queue for messages that failed for good; without it, such a message is returned to its own queue and the worker
	 * stops.
	 */
	deadLetter: Address | undefined;
}

/** Why a message was not done, and the status that goes with it. */
export interface Failure {
	status: number;
	why: string;
}

/** What became of all messages: see `Worker.run`. */
export type WorkEnd = 'complete' | 'empty' | Failure;

/** Opens a queue and works on its messages; a command that cannot be run is refused before. */
export async function work(open: () => Queue, settings: Work, onReady: () => void): Promise<WorkEnd> {
	checkCommand(settings.command);
	const queue = open();
	try {
		return await new Worker(queue, settings).run(onReady);
	} finally {
		queue.close();
	}
}

/**
 * Runs a command per message. A message is done when its command exited with status 0; until then the worker keeps it.
 */
class Worker {
	private failure: Failure | undefined;
	/** An unexpected error: thrown again once all messages are done or returned. */
	private defect: unknown;
	/** With those that are still waited for. */
	private taken = 0;
	private received = 0;
	/** Commands. */
	private running = 0;
	/** What could not go back at once. */
	private readonly held: Held[] = [];
	private readonly rescued: RescuedMessages | undefined;
	/** Resolves once no hand takes another message. */
	private readonly ending: Promise<void>;
	private end: () => void = () => {};

	constructor(
		private readonly queue: Queue,
		private readonly work: Work,
	) {
		this.rescued = rescuedOf(queue);
		this.ending = new Promise((resolve) => {
			this.end = resolve;
		});
	}

	/**
	 * 'complete' when the wanted number of messages was done; 'empty' when there was none in time; a failure once one was
	 * not done. `onReady` is called once a signal does what it is to do.
	 */
	async run(onReady: () => void): Promise<WorkEnd> {
		using stop = new Shutdown({drains: this.work.drains});
		using _ = this.rescued;
		void stop.stopped.then(() => {
			if (this.running > 0 && this.isDraining(stop))
				tell(`waiting for ${countOf(this.running, 'running command')} (another signal ends that)`);
			this.end();
		});
		onReady();
		const hands = Array.from({length: this.work.jobs}, () => this.useHand(stop));
		const ends = await Promise.all(hands);
		await this.placeHeld(stop);
		if (this.defect !== undefined) throw this.defect;
		stop.finish();
		if (this.failure !== undefined) {
			tellError(this.failure.why);
			return this.failure;
		}
		return ends.every((isComplete) => isComplete) ? 'complete' : 'empty';
	}

	/** Never rejects: as long as another loop holds a message, the queue has to stay open. */
	private async useHand(stop: Shutdown): Promise<boolean> {
		while (this.taken < this.work.most) {
			this.taken++;
			const message = await this.next(stop);
			if (!message) return this.isEnding(stop);
			const number = ++this.received;
			try {
				if (this.isEnding(stop)) this.giveBack(message);
				else await this.handle(message, number, stop);
			} catch (error) {
				this.giveBack(message);
				this.defect ??= error;
				this.end();
			}
			if (this.isEnding(stop)) return true;
		}
		return true;
	}

	/** No further message is taken, and no command started. */
	private isEnding(stop: Shutdown): boolean {
		return stop.isStopped || this.failure !== undefined || this.defect !== undefined;
	}

	/** Told to take no further message, and to end well. */
	private isDraining(stop: Shutdown): boolean {
		return stop.isStopped && stop.signal === undefined && this.failure === undefined && this.defect === undefined;
	}

	private async next(stop: Shutdown): Promise<Message | undefined> {
		const deadline = new Deadline(this.work.timeoutMs);
		for (;;) {
			if (this.isEnding(stop)) return undefined;
			const message =
				this.rescued?.take() ??
				(await this.queue.receiveLater(deadline.waitMs(this.rescued ? sliceMs : undefined), this.ending));
			if (message) return message;
			if (deadline.hasPassed) return undefined;
		}
	}

	private async handle(message: Message, number: number, stop: Shutdown): Promise<void> {
		for (let attempt = 1; ; attempt++) {
			const failure = await this.runOnce(message, stop);
			if (failure === undefined) {
				this.queue.receipts?.confirm(receiptsOf([message]));
				return;
			}
			// A command that cannot be run will fail the next time too, and the message is not the cause.
			const canRun = ![status.notFound, status.notRunnable, status.failedToRun].some((code) => code === failure.status);
			const mayRetry = canRun && attempt <= this.work.retries;
			if (mayRetry && !this.isEnding(stop)) await this.waitToRetry(attempt, failure, describe(message, number));
			// What has failed for good is dealt with as ever while a worker drains.
			if (this.isEnding(stop) && (mayRetry || !this.isDraining(stop))) {
				this.giveBack(message);
				return;
			}
			if (!mayRetry) {
				this.giveUp(message, number, failure, canRun);
				return;
			}
		}
	}

	/** The wait ends early when the worker has to end. */
	private async waitToRetry(attempt: number, {why}: Failure, which: string): Promise<void> {
		const {retries, backoffMs} = this.work;
		const waitMs = Math.min(backoffMs * 2 ** (attempt - 1), longestBackoffMs);
		tellVerbose(`${why}: retry ${attempt} of ${retries}${waitMs > 0 ? ` in ${formatDuration(waitMs)}` : ''} ${which}`);
		if (waitMs === 0) return;
		let timer: NodeJS.Timeout | undefined;
		await Promise.race([
			new Promise((resolve) => {
				timer = setTimeout(resolve, waitMs);
			}),
			this.ending,
		]);
		clearTimeout(timer);
	}

	/** Why the command failed; undefined when it did not. */
	private async runOnce({data, priority}: Message, stop: Shutdown): Promise<Failure | undefined> {
		const {command} = this.work;
		const environment = {IPC_PRIORITY: String(priority), IPC_QUEUE: this.queue.shownName};
		const running = await startCommand(command, {stdin: data, stdout: 'inherit'}, environment);
		stop.passOnTo(running);
		this.running++;
		const {status: code, signal, problem} = await running.ended;
		this.running--;
		if (code === 0) return undefined;
		if (problem) return {status: code, why: problem};
		return {status: status.systemError, why: `${quoted(command[0] as string)} ${describeEnd({status: code, signal})}`};
	}

	private giveUp(message: Message, number: number, {status, why}: Failure, canRun: boolean): void {
		const {deadLetter} = this.work;
		const which = describe(message, number);
		if (deadLetter && canRun) {
			if (this.sendTo(deadLetter, message)) {
				// Sent first: one that is killed in between leaves it twice rather than never.
				this.queue.receipts?.confirm(receiptsOf([message]));
				tell(`${why}: moved the message to ${quoted(formatAddress(deadLetter))} ${which}`);
				return;
			}
		}
		const isBack = this.giveBack(message);
		this.end();
		const done = isBack ? `${why}: returned the message to ${quoted(this.queue.shownName)}` : why;
		this.failure ??= {status, why: `${done} ${which}`};
	}

	private sendTo(deadLetter: Address, message: Message): boolean {
		try {
			const {maxmsg, msgsize} = this.queue;
			using queue = queuesAt(deadLetter).open(deadLetter, 'send', {maxmsg, msgsize});
			if (queue.trySend(message.data, message.priority)) return true;
			tellError(`cannot send to ${quoted(formatAddress(deadLetter))}: the queue is full`);
		} catch (error) {
			if (!(error instanceof SystemError)) throw error;
			tellError(error.message);
		}
		return false;
	}

	/** Whether the message is back in its queue. One that finds no room is held, and lies in a file in case we are killed. */
	private giveBack(message: Message): boolean {
		if (this.queue.receipts) {
			this.queue.receipts.giveBack(receiptsOf([message]));
			return true;
		}
		if (reportRemoved(this.queue, 1)) return false;
		let why = full;
		try {
			if (this.queue.trySend(message.data, message.priority)) return true;
		} catch (error) {
			why = reasonNotSent(error);
		}
		this.held.push({...message, why, kept: this.tryKeep(message)});
		return false;
	}

	private tryKeep(message: Message): KeptMessage | undefined {
		try {
			return RescuedMessages.keep(this.queue.shownName, message);
		} catch (error) {
			// Reported at the end, if there is no room by then.
			if (!(error instanceof SystemError)) throw error;
			return undefined;
		}
	}

	/**
	 * Waits for room for what is held: after a signal until the next one, or as long as --timeout says, else a moment. What
	 * finds none goes to the dead-letter queue, or stays in its file.
	 */
	private async placeHeld(stop: Shutdown): Promise<void> {
		const all = this.held.length;
		const enoughSignals = stop.signals > 0 ? 2 : 1;
		const {timeoutMs, deadLetter} = this.work;
		const waitMs = stop.signals === 0 || timeoutMs === 0 ? putBackTimeoutMs : timeoutMs;
		const deadline = new Deadline(waitMs);
		let rest = this.placeAll(this.held);
		const waits = () => rest.some(({why}) => why === full) && stop.signals < enoughSignals && !deadline.hasPassed;
		if (waits() && waitMs !== putBackTimeoutMs)
			tell(
				`${quoted(this.queue.shownName)} is full: waiting for room for ${countOf(rest.length, 'message')} in hand (another signal ends that)`,
			);
		while (waits()) {
			await this.queue.waitForRoomInBackground(sliceMs);
			rest = this.placeAll(rest);
		}
		if (deadLetter && rest.length > 0) {
			const before = rest.length;
			rest = rest.filter((message) => {
				if (!this.sendTo(deadLetter, message)) return true;
				message.kept?.discard();
				return false;
			});
			const moved = before - rest.length;
			if (moved > 0) tell(`${full}: ${countOf(moved, 'message')} in hand went to ${quoted(formatAddress(deadLetter))}`);
		}
		reportKept(this.queue, all, rest[0]?.why ?? full, rest);
	}

	/** Those that have not gone back now. Sent first: one that is killed in between leaves it twice rather than never. */
	private placeAll(held: readonly Held[]): Held[] {
		if (held.length > 0 && reportRemoved(this.queue, held.length)) {
			for (const {kept} of held) kept?.discard();
			return [];
		}
		return held.filter(({data, priority, why, kept}) => {
			if (why !== full || !this.queue.trySend(data, priority)) return true;
			kept?.discard();
			return false;
		});
	}
}

const shownColumns = 40;

/** Which message it was: how many this worker had taken with it, its priority, how it begins. */
function describe({data, priority}: Message, number: number): string {
	let text = '';
	let isCut = false;
	for (const character of data.toString('utf8', 0, 4 * shownColumns + 4)) {
		const shown = printable(character);
		isCut = text.length + shown.length > shownColumns;
		if (isCut) break;
		text += shown;
	}
	return `(message ${number}, priority ${priority}: '${text}'${isCut ? ' ...' : ''})`;
}

/** A message in hand that could not go back, and its file. */
interface Held extends Message {
	why: string;
	kept: KeptMessage | undefined;
}
