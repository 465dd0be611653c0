import {Deadline} from '../common/deadline.js';
import {countOf, hasCode, UsageError} from '../common/errors.js';
import {done, EndBySignal, notNow, timedOut} from '../common/exit.js';
import {signalFormat, signalName} from '../common/formats/signal-name.js';
import {wholeNumber} from '../common/formats/text-format.js';
import * as common from '../common/options.js';
import {announceReady, expectOutput, stdout, tell} from '../common/output.js';
import {SIGPIPE, stopOnSignals} from '../common/process/signals.js';
import {many, verb} from '../common/verb.js';
import {fieldsPerSignal} from '../objects/signals/received-signal.js';
import {claimName, receiverName} from '../objects/signals/receivers.js';
import {Signals} from '../objects/signals/signals.js';
import {SignalPrinter} from './signal-printer.js';

/** This many are received and printed at once. */
const batch = 1024;

export const wait = verb({
	summary: 'Wait for a signal and print it: SIGNAL pid uid value',
	operands: {signals: many(signalFormat({receivable: true}))},
	options: {
		count: {...common.count, help: 'receive N signals (default 1)'},
		follow: {...common.follow, help: 'keep running; do not stop after the first signal'},
		from: {value: wholeNumber(1, 2 ** 22), help: 'only signals sent by process N'},
		name: {value: receiverName, help: 'let senders use @NAME for this process'},
		timeout: common.timeout,
		timeoutStatus: common.timeoutStatus,
		nonblock: {...common.nonblock, help: 'receive pending signals only; status 3 if too few'},
		json: {help: 'print each signal as a JSON object, with how it was sent'},
		readyFd: common.readyFd,
	},
	cluster: true,
	examples: [
		{purpose: 'print the sender and the value of one USR1', line: 'ipc-signal wait USR1'},
		{
			purpose: 'receive signals sent to @events, without end',
			line: 'ipc-signal wait RTMIN RTMIN+1 --follow --name events',
		},
		{purpose: 'send to that receiver', line: 'ipc-signal send RTMIN @events --value 42'},
	],
	waitsFor: ({signals}) => signals.map(signalName).join(', '),
	run({signals: numbers}, options) {
		if (options.follow && options.count !== undefined) throw new UsageError('--count and --follow cannot be combined');
		expectOutput();
		// First of all, so that a sender that knows our name, or that we are ready, is never too early.
		Signals.block(numbers);
		stopOnSignals(numbers);
		using signals = Signals.ofBlocked(numbers);
		using name = options.name === undefined ? undefined : claimName(options.name, numbers);
		announceReady(options.readyFd);

		const most = options.follow ? Number.POSITIVE_INFINITY : (options.count ?? 1);
		const timeoutMs = options.nonblock ? 0 : options.timeout;
		let deadline = new Deadline(timeoutMs);
		const fields = new Int32Array(batch * fieldsPerSignal);
		const printer = new SignalPrinter(options.json, batch, (mark) => name?.hostOf(mark));
		let printed = 0;
		let passedOver = 0;
		try {
			while (printed < most) {
				const limits = {timeoutMs: deadline.waitMs(), most: Math.min(batch, most - printed)};
				const count = takeBatch(signals, fields, limits, printer);
				if (count === 0) {
					if (printed > 0 && !options.follow) tell(`gave up: ${countOf(printed, 'signal')} received`);
					return options.nonblock ? notNow : timedOut;
				}
				const wanted = options.from === undefined ? count : keepFrom(options.from, fields, count);
				passedOver += count - wanted;
				if (wanted === 0) continue;
				printer.print(fields, wanted);
				printed += wanted;
				if (printed < most) printer.heedStop();
				deadline = new Deadline(timeoutMs);
			}
			return done;
		} finally {
			if (passedOver > 0) tell(`ignored ${countOf(passedOver, 'signal')} of other senders`);
		}
	},
});

function takeBatch(
	signals: Signals,
	fields: Int32Array,
	limits: {timeoutMs: number; most: number},
	printer: SignalPrinter,
): number {
	try {
		return signals.takeInto(fields, {...limits, watched: stdout});
	} catch (error) {
		if (!hasCode(error, 'EPIPE')) throw error;
		printer.readerLeft();
		throw new EndBySignal(SIGPIPE);
	}
}

/** Moves the signals of one sender to the front of a batch; returns how many there are. */
function keepFrom(pid: number, fields: Int32Array, count: number): number {
	let kept = 0;
	for (let at = 0; at < count; at++) {
		const start = at * fieldsPerSignal;
		if (fields[start + 2] === pid) fields.copyWithin(kept++ * fieldsPerSignal, start, start + fieldsPerSignal);
	}
	return kept;
}
