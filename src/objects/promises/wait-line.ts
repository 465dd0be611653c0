import {SystemError} from '../../common/errors.js';
import {onAbort} from './abort.js';

/** How long a promise may stay pending, and what ends it early. */
export interface WaitSettings {
	/** Milliseconds; negative (the default): without limit, 0: one attempt. */
	timeoutMs?: number | undefined;
	/**
	 * When it is aborted the promise is rejected with the reason of the signal, and the object is as if the wait had never
	 * begun.
	 */
	signal?: AbortSignal | undefined;
}

/** Begins to watch, and calls `look` whenever another attempt may succeed; returns what ends the watch. */
export type Watch = (look: () => void) => () => void;

/** For what causes no event in this process: another attempt at this interval. */
const lookAgainMs = 10;

/** Looks at regular intervals. */
export const byClock: Watch = (look) => {
	const timer = setInterval(look, lookAgainMs);
	return () => clearInterval(timer);
};

/** A longer time is without limit. setTimeout cannot count further. */
const longestTimeoutMs = 2 ** 31 - 1;

interface Waiter {
	/** Whether it has got what it waits for, or an error. */
	attempt(): boolean;
	fail(error: unknown): void;
}

/**
 * Promises that wait for the same event, in the order in which they came.
 *
 * An attempt and the end of its promise are one step: an abort or a timeout comes before it, and nothing is taken, or
 * after it, and the promise has the result. So nothing is lost in between.
 */
export class WaitLine {
	private readonly waiters = new Set<Waiter>();
	private stop: (() => void) | undefined;

	/** @param isInTurn whether a waiter whose attempt failed holds up those behind it: all of them want the same. */
	constructor(
		private readonly watch: Watch,
		private readonly isInTurn = true,
	) {}

	/** The first result of `attempt`, which never waits, that is not undefined; undefined when there was none in time. */
	until<Result>(
		attempt: () => Result | undefined,
		{timeoutMs = -1, signal}: WaitSettings = {},
	): Promise<Result | undefined> {
		// What is thrown in here rejects the promise.
		return new Promise((resolve, reject) => {
			signal?.throwIfAborted();
			if (this.waiters.size === 0 || !this.isInTurn || timeoutMs === 0) {
				const result = attempt();
				if (result !== undefined || timeoutMs === 0) return resolve(result);
			}
			this.stop ??= this.watch(() => this.look());
			const leave = () => {
				this.leave(waiter);
				clearTimeout(timer);
				ignoreAbort?.();
			};
			const waiter: Waiter = {
				attempt() {
					try {
						const result = attempt();
						if (result === undefined) return false;
						leave();
						resolve(result);
					} catch (error) {
						this.fail(error);
					}
					return true;
				},
				fail(error) {
					leave();
					reject(error);
				},
			};
			const giveUp = () => {
				leave();
				resolve(undefined);
			};
			const timer = timeoutMs < 0 || timeoutMs > longestTimeoutMs ? undefined : setTimeout(giveUp, timeoutMs);
			const ignoreAbort = signal && onAbort(signal, () => waiter.fail(signal.reason));
			this.waiters.add(waiter);
		});
	}

	private look(): void {
		for (const waiter of this.waiters) if (!waiter.attempt() && this.isInTurn) return;
	}

	private leave(waiter: Waiter): void {
		this.waiters.delete(waiter);
		if (this.waiters.size > 0) return;
		this.stop?.();
		this.stop = undefined;
	}

	/** Rejects whatever is pending, since the object is being closed. */
	close(tried: string): void {
		for (const waiter of this.waiters) waiter.fail(new SystemError(`${tried}: it has been closed`, {reason: 'closed'}));
	}
}
