import {Deadline} from '../common/deadline.js';
import {quoted, SystemError} from '../common/errors.js';
import {status} from '../common/exit.js';
import {type Address, formatAddress} from '../common/formats/object-name.js';
import {tell, tellError} from '../common/output.js';
import {describeEnd} from '../common/process/child-end.js';
import {startCommand} from '../common/process/run-command.js';
import {Shutdown} from '../common/process/shutdown.js';
import {type Message, MessageQueue} from '../objects/queue/message-queue.js';
import {putBack} from '../objects/queue/stdout-delivery.js';

/** A wait in libuv's pool has to end now and then, to look whether we were told to stop. */
const sliceMs = 50;

export interface Work {
	command: readonly string[];
	/** After so many messages it is done. */
	most: number;
	/** How long to wait for a message, each time; negative: for ever. */
	timeoutMs: number;
	/** Commands at a time. */
	jobs: number;
	/** How often a failed message is tried again. */
	retries: number;
	/** Where a message goes that failed for good; without, back into its own queue, and the worker stops. */
	deadLetter: Address | undefined;
}

/** Why a message was not done, and the status that goes with it. */
export interface Failure {
	status: number;
	why: string;
}

/** Runs a command per message. A message is done when its command ended with status 0; until then it is not let go. */
export class Worker {
	private failure: Failure | undefined;
	/** What no hand expected: thrown again once all have let go. */
	private defect: unknown;
	private taken = 0;

	constructor(
		private readonly queue: MessageQueue,
		private readonly work: Work,
	) {}

	/** 'complete' when as many messages as wanted were done; 'empty' when none came in time; a failure once one was not done. */
	async run(): Promise<'complete' | 'empty' | Failure> {
		using stop = new Shutdown();
		const hands = Array.from({length: this.work.jobs}, () => this.useHand(stop));
		const ends = await Promise.all(hands);
		if (this.defect !== undefined) throw this.defect;
		stop.finish();
		if (this.failure !== undefined) {
			tellError(this.failure.why);
			return this.failure;
		}
		return ends.every((isComplete) => isComplete) ? 'complete' : 'empty';
	}

	/** Never rejects: as long as another hand holds a message, the queue has to stay open. */
	private async useHand(stop: Shutdown): Promise<boolean> {
		while (this.taken < this.work.most) {
			this.taken++;
			const message = await this.next(stop);
			if (!message) return this.isEnding(stop);
			try {
				if (this.isEnding(stop)) putBack(this.queue, [message]);
				else await this.handle(message, stop);
			} catch (error) {
				putBack(this.queue, [message]);
				this.defect ??= error;
			}
			if (this.isEnding(stop)) return true;
		}
		return true;
	}

	private isEnding(stop: Shutdown): boolean {
		return stop.signal !== undefined || this.failure !== undefined || this.defect !== undefined;
	}

	private async next(stop: Shutdown): Promise<Message | undefined> {
		const deadline = new Deadline(this.work.timeoutMs);
		for (;;) {
			if (this.isEnding(stop)) return undefined;
			const message = this.queue.tryReceive();
			if (message) return message;
			if (deadline.hasPassed) return undefined;
			await this.queue.waitInBackground(deadline.waitMs(sliceMs));
		}
	}

	private async handle(message: Message, stop: Shutdown): Promise<void> {
		const {retries} = this.work;
		for (let attempt = 0; ; attempt++) {
			const failure = await this.runOnce(message, stop);
			if (failure === undefined) return;
			if (this.isEnding(stop)) {
				putBack(this.queue, [message]);
				return;
			}
			// What cannot be run at all will not be the next time, and it is not the message's fault.
			const canRun = ![status.notFound, status.notRunnable, status.failedToRun].some((code) => code === failure.status);
			if (canRun && attempt < retries) continue;
			this.giveUp(message, failure, canRun);
			return;
		}
	}

	/** Why the command failed; undefined when it did not. */
	private async runOnce({data, priority}: Message, stop: Shutdown): Promise<Failure | undefined> {
		const {command} = this.work;
		const environment = {IPC_PRIORITY: String(priority), IPC_QUEUE: this.queue.shownName};
		const running = await startCommand(command, {stdin: data, stdout: 'inherit'}, environment);
		stop.passOnTo(running);
		const {status: code, problem} = await running.ended;
		if (code === 0) return undefined;
		if (problem) return {status: code, why: problem};
		return {status: status.systemError, why: `${quoted(command[0] as string)} ${describeEnd({status: code})}`};
	}

	private giveUp(message: Message, {status, why}: Failure, canRun: boolean): void {
		const {deadLetter} = this.work;
		if (deadLetter && canRun) {
			const shown = quoted(formatAddress(deadLetter));
			try {
				using queue = MessageQueue.open(deadLetter, 'send', {maxmsg: this.queue.maxmsg, msgsize: this.queue.msgsize});
				if (queue.trySend(message.data, message.priority)) {
					tell(`${why}: the message went to ${shown}`);
					return;
				}
				tellError(`cannot send to ${shown}: it is full`);
			} catch (error) {
				if (!(error instanceof SystemError)) throw error;
				tellError(error.message);
			}
		}
		const isBack = putBack(this.queue, [message]);
		this.failure ??= {status, why: isBack ? `${why}: the message went back to ${quoted(this.queue.shownName)}` : why};
	}
}
