import {Deadline} from '../../common/deadline.js';
import {quoted} from '../../common/errors.js';
import type {Address} from '../../common/formats/object-name.js';
import type {Holding, HoldSettings} from '../semaphore/holding.js';
import {Semaphore as BlockingSemaphore, type SemaphoreSettings} from '../semaphore/semaphore.js';
import {byClock, WaitLine, type WaitSettings} from './wait-line.js';

/** A waiting process looks at this interval whether a holder has died without releasing its unit. */
const reapMs = 500;

/**
 * A POSIX named semaphore whose waits are promises: the event loop goes on meanwhile, and no thread waits. sem_overview(7)
 *
 * The word that a semaphore is has no descriptor to watch, so it is looked at every 10 ms. Processes that block in
 * sem_wait(3) are woken at once, and go first.
 *
 * @example
 * ```ts
 * import {Semaphore} from 'ipc-tools/promises';
 *
 * using jobs = Semaphore.open('example', {value: 1});
 * const first = await jobs.hold();
 * const second = jobs.hold({timeoutMs: 10_000}); // pending: another holder has the only unit
 * first?.letGo();
 * console.log((await second) !== undefined); // true
 * console.log(await jobs.wait({timeoutMs: 20})); // false
 * Semaphore.remove('example');
 * ```
 */
export class Semaphore implements Disposable {
	static readonly create = BlockingSemaphore.create;
	static readonly remove = BlockingSemaphore.remove;
	private readonly line = new WaitLine(byClock);
	private nextReap = new Deadline(0);

	/** @param blocking the same open semaphore, whose methods answer at once or block: its value, its holders, `post`. */
	constructor(readonly blocking: BlockingSemaphore) {}

	/**
	 * Opens a semaphore; with `create` makes it first if it is missing. Does not wait. sem_open(3)
	 *
	 * @throws SystemError with the reason `no-semaphore` when there is none, or when the name belongs to something else.
	 */
	static open(name: string | Address, create?: SemaphoreSettings): Semaphore {
		return new Semaphore(BlockingSemaphore.open(name, create));
	}

	/**
	 * Takes a unit: false when there was none in time. Meanwhile releases the units of dead holders. The unit is lost when
	 * this process is killed: see `hold`. sem_wait(3)
	 */
	async wait(settings?: WaitSettings): Promise<boolean> {
		return (
			(await this.line.until(() => (this.mayHaveUnit() && this.blocking.tryWait()) || undefined, settings)) ?? false
		);
	}

	/**
	 * Takes a unit that is released however this process ends; undefined when there was none in time. `onWait` is called
	 * once, before the first wait.
	 */
	hold({timeoutMs = -1, signal, onWait, ...settings}: HoldSettings & WaitSettings = {}): Promise<Holding | undefined> {
		let isFirst = true;
		const attempt = () => {
			const holding = this.mayHaveUnit() ? this.blocking.hold({...settings, timeoutMs: 0}) : undefined;
			if (!holding && isFirst && timeoutMs !== 0) onWait?.();
			isFirst = false;
			return holding;
		};
		return this.line.until(attempt, {timeoutMs, signal});
	}

	/** Adds units, all or none, and wakes as many waiting processes. Does not wait. sem_post(3) */
	post(count = 1): void {
		this.blocking.post(count);
	}

	private mayHaveUnit(): boolean {
		if (this.nextReap.hasPassed) {
			this.nextReap = new Deadline(reapMs);
			this.blocking.reap();
		}
		return this.blocking.value > 0;
	}

	/** Closes the semaphore; what is pending is rejected. Units that are held stay held. */
	[Symbol.dispose](): void {
		this.line.close(`cannot take a unit of ${quoted(this.blocking.shownName)}`);
		this.blocking.close();
	}

	close(): void {
		this[Symbol.dispose]();
	}
}
