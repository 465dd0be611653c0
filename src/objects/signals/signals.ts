import {closeSync} from 'node:fs';
import {explain, UsageError} from '../../common/errors.js';
import {checkReceivable, parseSignal, signalName} from '../../common/formats/signal-name.js';
import {isReady} from '../../common/waiting.js';
import {native, POLLIN} from '../../native/index.js';
import {ProcessHandle} from './process-handle.js';
import {fieldsPerSignal, type RawSignal, type ReceivedSignal, rawSignal, receivedSignal} from './received-signal.js';

const batch = 64;

/**
 * Receives signals with all their data: the sender, the way of sending, and the value.
 *
 * From construction on the signals are blocked in every thread of this process and wait in the kernel's queue until
 * they are received: real-time signals in order, each with its value, as many as RLIMIT_SIGPENDING allows; of an
 * ordinary signal one at a time, so that equal ones merge. Closing leaves them blocked: a late signal does not end the
 * process. Processes that Node starts have them unblocked. signal(7), signalfd(2)
 *
 * @example
 * ```ts
 * import {Signals} from 'ipc-tools';
 *
 * using signals = Signals.receive('USR1', 'RTMIN+3'); // blocked from now on, in every thread
 * Signals.send(process.pid, 'RTMIN+3', {value: 17});
 * const received = signals.take({timeoutMs: 2000});
 * console.log(received?.signal, received?.value, received?.pid === process.pid); // RTMIN+3 17 true
 * ```
 */
export class Signals implements Disposable {
	private readonly fields = new Int32Array(batch * fieldsPerSignal);

	private constructor(private descriptor: number) {}

	/**
	 * Signals by name (`'USR1'`, `'SIGUSR1'`, `'RTMIN+3'`) or number.
	 *
	 * @throws UsageError for a value that is not a signal, or a signal that cannot be received (KILL, STOP).
	 * @throws SystemError when a thread of this process cannot be made to block them.
	 */
	static receive(...signals: readonly (string | number)[]): Signals {
		const numbers = signals.map(toNumber);
		for (const number of numbers) checkReceivable(number);
		if (numbers.length === 0) throw new UsageError('no signal is given');
		Signals.block(numbers);
		return Signals.ofBlocked(numbers);
	}

	/** Blocks signals in every thread; signals sent from now on wait. rt_sigprocmask(2) */
	static block(numbers: readonly number[]): void {
		try {
			native.blockSignals(Int32Array.from(numbers));
		} catch (error) {
			throw explain(`cannot receive ${numbers.map(signalName).join(', ')}`, error, {
				ESRCH: 'a thread of this process does not block these signals in time and would receive them',
				ENOENT: 'the threads of this process cannot be seen (is /proc mounted?)',
			});
		}
	}

	/** Some of the signals that are blocked already. */
	static ofBlocked(numbers: readonly number[]): Signals {
		return new Signals(native.signalfd(Int32Array.from(numbers)));
	}

	/**
	 * Sends a signal to a process, through a pidfd. A `value` is queued with it. pidfd_send_signal(2), sigqueue(3)
	 *
	 * @returns false when the receiver's queue has no room for it (RLIMIT_SIGPENDING).
	 * @throws SystemError when there is no such process, or it belongs to another user.
	 */
	static send(pid: number, signal: string | number, {value}: {value?: number} = {}): boolean {
		using target = ProcessHandle.open(pid);
		return target.trySend(toNumber(signal), value);
	}

	/**
	 * Waits for a signal and receives all that are there, into the numbers that `readSignals` of native/index.ts
	 * describes; returns how many, 0 after a timeout.
	 *
	 * @throws KernelError EPIPE when `watched` has no reader any more, EINTR when a caught signal arrived.
	 */
	takeInto(
		fields: Int32Array,
		{timeoutMs = -1, most = fields.length / fieldsPerSignal, watched = -1}: TakeSettings = {},
	): number {
		return native.readSignals(this.descriptor, fields, most, watched, timeoutMs);
	}

	/** All that are there now, up to this number. */
	*takeRaw(most = Number.MAX_SAFE_INTEGER): Generator<RawSignal> {
		for (let left = most; left > 0; ) {
			const count = this.takeInto(this.fields, {timeoutMs: 0, most: left});
			const found = Array.from({length: count}, (_, i) => rawSignal(this.fields, i));
			yield* found;
			left -= count;
			if (count < batch) return;
		}
	}

	/** The next one without waiting; undefined when there is none. */
	tryTake(): ReceivedSignal | undefined {
		return this.take({timeoutMs: 0});
	}

	/**
	 * The next one, waiting `timeoutMs` for it at most (negative: without limit), and blocking the event loop meanwhile.
	 */
	take({timeoutMs = -1} = {}): ReceivedSignal | undefined {
		// One by one: signals not received yet stay in the kernel's queue, where they are safe.
		return this.takeInto(this.fields, {timeoutMs, most: 1}) > 0 ? receivedSignal(rawSignal(this.fields, 0)) : undefined;
	}

	/** Waits until there is one, without receiving it. */
	waitForAny(): void {
		isReady(this.descriptor, POLLIN, -1);
	}

	/** The descriptors for poll(2). */
	get pollDescriptor(): number {
		return this.descriptor;
	}

	[Symbol.dispose](): void {
		const {descriptor} = this;
		this.descriptor = -1;
		if (descriptor >= 0) closeSync(descriptor);
	}

	close(): void {
		this[Symbol.dispose]();
	}
}

export interface TakeSettings {
	/** Negative: without limit. */
	timeoutMs?: number;
	most?: number;
	/** The wait ends when the reader of this descriptor leaves; -1 for none. */
	watched?: number;
}

function toNumber(signal: string | number): number {
	return parseSignal(String(signal));
}
