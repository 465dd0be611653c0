import {POLLIN} from '../../native/index.js';
import type {ReceivedSignal} from '../signals/received-signal.js';
import {Signals as BlockingSignals} from '../signals/signals.js';
import {readiness} from './readiness.js';
import {WaitLine, type WaitSettings} from './wait-line.js';

/**
 * Receives signals with all their data, where waits are promises: the event loop watches a signalfd(2), and no thread
 * waits. From construction on the signals are blocked in every thread of this process: see the blocking class. signal(7)
 *
 * @example
 * ```ts
 * import {Signals} from 'ipc-tools/promises';
 *
 * using signals = Signals.receive('USR1', 'RTMIN+3');
 * const received = signals.take({timeoutMs: 10_000});
 * Signals.send(process.pid, 'RTMIN+3', {value: 17});
 * console.log((await received)?.value); // 17
 * Signals.send(process.pid, 'USR1');
 * for await (const {signal, value} of signals) {
 * 	console.log(signal, value); // USR1 null
 * 	break;
 * }
 * ```
 */
export class Signals implements Disposable {
	static readonly send = BlockingSignals.send;
	private readonly line: WaitLine;

	/** @param blocking the same receiver, whose methods block. */
	constructor(readonly blocking: BlockingSignals) {
		this.line = new WaitLine(readiness(blocking.pollDescriptor, POLLIN));
	}

	/**
	 * Signals by name (`'USR1'`, `'SIGUSR1'`, `'RTMIN+3'`) or number.
	 *
	 * @throws UsageError for a value that is not a signal, or a signal that cannot be received (KILL, STOP).
	 * @throws SystemError when a thread of this process cannot be made to block them.
	 */
	static receive(...signals: readonly (string | number)[]): Signals {
		return new Signals(BlockingSignals.receive(...signals));
	}

	/** The next one; undefined when there was none in time. A signal that is not returned stays in the kernel's queue. */
	take(settings?: WaitSettings): Promise<ReceivedSignal | undefined> {
		return this.line.until(() => this.blocking.tryTake(), settings);
	}

	/** Signals as they arrive, without end; rejected once this is closed. */
	async *[Symbol.asyncIterator](): AsyncGenerator<ReceivedSignal> {
		for (;;) yield (await this.take()) as ReceivedSignal;
	}

	/** Ends receiving; what is pending is rejected. The signals stay blocked. */
	[Symbol.dispose](): void {
		this.line.close('cannot receive signals');
		this.blocking.close();
	}

	close(): void {
		this[Symbol.dispose]();
	}
}
