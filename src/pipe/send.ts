import {countOf, quoted} from '../common/errors.js';
import {done, notNow, type Outcome, timedOut} from '../common/exit.js';
import {size} from '../common/formats/size.js';
import {chosenFraming, framingOptions} from '../common/framing/framing.js';
import * as common from '../common/options.js';
import {announceReady, expectInput, stdin, stdout, tell} from '../common/output.js';
import {stopOnSignals} from '../common/process/signals.js';
import {explainMove, growPipe, moveBytes, progressOf, setPipeSize} from '../common/transfer.js';
import {optional, verb} from '../common/verb.js';
import {Fifo, fifoName} from '../objects/fifo/fifo.js';
import {lockSenders, sendRecords} from '../objects/fifo/record-sender.js';
import {defaultName} from './default-name.js';

export const send = verb({
	summary: 'Copy standard input to a FIFO, created if missing, once the FIFO has a reader',
	operands: {name: optional(fifoName)},
	options: {
		timeout: common.timeout,
		timeoutStatus: common.timeoutStatus,
		nonblock: common.nonblock,
		...framingOptions,
		json: {help: 'read JSON objects, as recv --json prints them'},
		tee: {help: 'also copy to stdout'},
		size: {value: size, help: 'capacity of the pipe (default 1M if allowed)'},
		mode: common.mode,
		progress: common.progress,
		readyFd: common.readyFd,
	},
	examples: [
		{purpose: 'send the list of processes to ipc-pipe recv', line: 'ps -ef | ipc-pipe send'},
		{
			purpose: 'keep lines of any length whole when several senders write',
			line: 'journalctl -f | ipc-pipe send log --framing lines',
		},
		{purpose: 'give up if there is no reader within two seconds', line: 'date | ipc-pipe send -t 2 clock'},
	],
	run({name = defaultName}, options) {
		const framing = chosenFraming(options);
		using fifo = Fifo.open(name, {mode: options.mode, temporary: true, beforeTemporary: stopOnSignals});
		expectInput();
		announceReady(options.readyFd);
		const timeoutMs = options.nonblock ? 0 : (options.timeout ?? -1);
		const writer = options.nonblock ? fifo.tryOpenWriter() : fifo.openWriter(timeoutMs);
		if (writer === undefined) return options.nonblock ? notNow : timedOut;
		const shown = quoted(fifo.shownName);
		if (options.size === undefined) growPipe(writer);
		else setPipeSize(writer, options.size, shown);
		growPipe(stdin);

		const gaveUp = (what: string, missing: 'lock' | 'room' = 'room'): Outcome => {
			const why = missing === 'lock' ? `another sender uses ${shown}` : `${shown} is full`;
			tell(`gave up: ${why}, ${what} sent`);
			return options.nonblock ? notNow : timedOut;
		};
		const copyTo = options.tee ? stdout : -1;
		if (framing === undefined || framing === 'raw') {
			// All of stdin as one record is a stream: records of other senders must not be mixed into it.
			if (framing && !lockSenders(writer, timeoutMs)) return gaveUp('nothing', 'lock');
			const progress = progressOf(options.progress, 'bytes', stdin);
			try {
				const {bytes, ended} = moveBytes({input: stdin, output: writer, copyTo, outputTimeoutMs: timeoutMs, progress});
				progress?.finish();
				return ended ? done : gaveUp(`${bytes} bytes`);
			} catch (error) {
				throw explainMove(error, {to: shown});
			}
		}
		const progress = progressOf(options.progress, 'records');
		const {records, missing} = sendRecords({writer, shown, framing, timeoutMs, copyTo, progress});
		progress?.finish();
		return missing ? gaveUp(countOf(records, 'record'), missing) : done;
	},
});
