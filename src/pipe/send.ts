import {countOf, quoted} from '../common/errors.js';
import {done, notNow, type Outcome, timedOut} from '../common/exit.js';
import {formatAddress} from '../common/formats/object-name.js';
import {size} from '../common/formats/size.js';
import {chosenFraming, framingOptions} from '../common/framing/framing.js';
import * as common from '../common/options.js';
import {announceReady, expectInput, stdin, stdout, tell, waitIsOver} from '../common/output.js';
import {stopOnSignals} from '../common/process/signals.js';
import {progressOf} from '../common/transfer.js';
import {optional, verb} from '../common/verb.js';
import type {Missing} from '../objects/fifo/pipe.js';
import {pipeName, pipesAt} from '../objects/fifo/pipes.js';
import {replicas} from './attributes.js';
import {defaultName} from './default-name.js';

export const send = verb({
	summary: 'Copy standard input to a FIFO, created if missing, once the FIFO has a reader',
	operands: {name: optional(pipeName)},
	options: {
		timeout: common.timeout,
		timeoutStatus: common.timeoutStatus,
		nonblock: common.nonblock,
		...framingOptions,
		json: {help: 'read JSON objects, as recv --json prints them'},
		tee: {help: 'also copy to stdout'},
		size: {value: size, help: 'capacity of the pipe (default 1M if allowed; 8M on a cluster)'},
		mode: common.mode,
		replicas,
		progress: common.progress,
		readyFd: common.readyFd,
	},
	cluster: true,
	examples: [
		{purpose: 'send the list of processes to ipc-pipe recv', line: 'ps -ef | ipc-pipe send'},
		{
			purpose: 'keep lines of any length whole when several senders write',
			line: 'journalctl -f | ipc-pipe send log --framing lines',
		},
		{purpose: 'give up if there is no reader within two seconds', line: 'date | ipc-pipe send -t 2 clock'},
	],
	waitsFor: ({name = defaultName}) => `a reader of ${quoted(formatAddress(name))}`,
	run({name = defaultName}, options) {
		const framing = chosenFraming(options);
		const timeoutMs = options.nonblock ? 0 : (options.timeout ?? -1);
		using pipe = pipesAt(name).openToSend(name, options);
		if (pipe.cleansUp) stopOnSignals();
		expectInput();
		announceReady(options.readyFd);
		if (!pipe.connect(timeoutMs)) return options.nonblock ? notNow : timedOut;
		waitIsOver();

		const gaveUp = (what: string, missing: Missing): Outcome => {
			const shown = quoted(pipe.shownName);
			const why = missing === 'lock' ? `another sender uses ${shown}` : `${shown} is full`;
			tell(`gave up: ${why}, ${what} sent`);
			return options.nonblock ? notNow : timedOut;
		};
		const copyTo = options.tee ? stdout : -1;
		if (framing === undefined || framing === 'raw') {
			const progress = progressOf(options.progress, 'bytes', stdin);
			const {bytes, missing} = pipe.sendBytes({isRecord: framing === 'raw', copyTo, timeoutMs, progress});
			progress?.finish();
			return missing ? gaveUp(missing === 'lock' ? 'nothing' : `${bytes} bytes`, missing) : done;
		}
		const progress = progressOf(options.progress, 'records');
		const {records, missing} = pipe.sendRecords({framing, copyTo, timeoutMs, progress});
		progress?.finish();
		return missing ? gaveUp(countOf(records, 'record'), missing) : done;
	},
});
