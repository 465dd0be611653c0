import {keepConnected} from '../common/cluster.js';
import {Deadline} from '../common/deadline.js';
import {SystemError, UsageError} from '../common/errors.js';
import type {Outcome} from '../common/exit.js';
import {type ClusterAddress, looksLikeCluster} from '../common/formats/cluster-address.js';
import {parseSignal, signalFormat, signalName} from '../common/formats/signal-name.js';
import {refuse, type TextFormat} from '../common/formats/text-format.js';
import * as common from '../common/options.js';
import {expectInput, isTerminal, stdin} from '../common/output.js';
import {any, verb} from '../common/verb.js';
import {parseReceiverAddress} from '../objects/signals/receivers.js';
import {Delivery} from './delivery.js';
import {escalation, type Step} from './escalation.js';
import {namedTargets, type Target, target, wordsOfInput} from './target.js';

/** The value that sigqueue(3) carries. */
const queuedValue: TextFormat<number> = {
	placeholder: 'N',
	parse(text) {
		if (!/^[-+]?[0-9]+$/.test(text)) refuse(text, 'a value', 'a whole number is expected');
		const value = Number(text);
		if (value < -(2 ** 31) || value > 2 ** 31 - 1)
			refuse(text, 'a valid value', 'it is an integer of 32 bits, -2147483648 to 2147483647');
		return value;
	},
};

/** As it was written, or already read. */
type Word = string | ClusterAddress;

/** The signal, if no option has named it, then targets: the form of each word tells which it is. */
const word: TextFormat<Word> = {placeholder: 'TARGET', candidates: namedTargets, parse: wordOrAddress};
const signalWord: TextFormat<Word> = {
	placeholder: 'SIGNAL',
	candidates: ({options}) =>
		options.has('signal') || options.has('escalate') ? namedTargets() : (signalFormat().words ?? []),
	parse: wordOrAddress,
};

/** Only words that are read before anything is done can name a cluster. */
function wordOrAddress(text: string): Word {
	return looksLikeCluster(text) ? parseReceiverAddress(text) : text;
}

/** A lower-case word must be a signal name; otherwise it is a group of short options. */
function isDashedName(first: string): boolean {
	if (!/^-[a-z]{2}/i.test(first)) return false;
	try {
		parseSignal(first.slice(1));
		return true;
	} catch {
		return false;
	}
}

export const send = verb({
	summary: 'Send a signal to processes, given as PIDs or @NAMEs or listed on stdin',
	operands: {first: {format: signalWord, how: 'optional'}, rest: any(word)},
	options: {
		signal: {
			short: 's',
			value: signalFormat({zero: true}),
			help: 'the signal (or: -9, -HUP); 0 only checks the target',
		},
		value: {value: queuedValue, help: 'queue integer N with the signal'},
		group: {help: 'send to the process group of each target'},
		tree: {help: 'send to each target and all its descendants'},
		wait: {help: 'wait until all targets have exited'},
		escalate: {value: escalation, help: 'TERM:5s,KILL: send the next signal to targets still running'},
		timeout: {...common.timeout, help: 'give up waiting after DURATION (status 124)'},
		timeoutStatus: common.timeoutStatus,
		nonblock: {...common.nonblock, help: 'if a signal queue is full, exit with status 3'},
		dryRun: {help: 'print what would be sent; send nothing'},
		json: {help: 'print the result for each process as a JSON object'},
	},
	cluster: true,
	shorthand: (first) =>
		/^-([0-9]+|[A-Z][A-Z0-9]+([-+][0-9]+)?)$/.test(first) || isDashedName(first)
			? ['--signal', first.slice(1)]
			: undefined,
	examples: [
		{
			purpose: 'show which of your workers would get HUP',
			line: 'pgrep -u $USER -x worker | ipc-signal send HUP --dry-run',
		},
		{purpose: 'send a number to a named receiver', line: 'ipc-signal send RTMIN @events --value 42'},
		{purpose: 'stop a process, if necessary with KILL', line: 'ipc-signal send --escalate TERM:5s,INT:2s,KILL $pid'},
	],
	run({first, rest}, options): Outcome {
		const given = first === undefined ? [] : [first, ...rest];
		if (options.group && options.tree) throw new UsageError('--group and --tree cannot be combined');
		const {steps, words} = stepsAndTargets(given, options);
		const targets = words.map((one) =>
			typeof one === 'string' ? target.parse(one) : {shown: one.shown, address: one},
		);
		const distant = targets.find((one) => 'address' in one);
		const [local] = (['group', 'tree', 'wait', 'escalate'] as const).filter((key) => options[key]);
		if (distant && local)
			throw new UsageError(`'${distant.shown}' is on a cluster, and --${local} works on this machine only`);
		if (options.value !== undefined && steps.some(({signal}) => signal === 0))
			throw new UsageError('signal 0 is not sent and carries no --value');
		const waits = options.wait || options.escalate !== undefined;
		const delivery = new Delivery({
			steps,
			value: options.value,
			scope: options.group ? 'group' : options.tree ? 'tree' : 'process',
			waits,
			escalates: options.escalate !== undefined,
			deadline: new Deadline(options.timeout),
			timeoutMs: options.timeout,
			nonblock: options.nonblock,
			dryRun: options.dryRun,
			json: options.json,
		});
		using _ = keepConnected(words);
		if (words.length > 0)
			for (const one of targets)
				if ('address' in one) delivery.sendFar(one);
				else delivery.send(one);
		else sendToInput(delivery);
		return delivery.finish();
	},
});

function stepsAndTargets(
	given: readonly Word[],
	{signal, escalate}: {signal: number | undefined; escalate: Step[] | undefined},
): {steps: readonly Step[]; words: readonly Word[]} {
	const [first, ...rest] = given;
	if (escalate === undefined) {
		if (signal !== undefined) return {steps: [{signal, waitMs: undefined}], words: given};
		if (typeof first !== 'string') throw new UsageError('SIGNAL is missing');
		return {steps: [{signal: signalFormat({zero: true}).parse(first), waitMs: undefined}], words: rest};
	}
	const begin = (escalate[0] as Step).signal;
	if (signal !== undefined && signal !== begin)
		throw new UsageError(`--escalate begins with ${signalName(begin)}, not with ${signalName(signal)}`);
	if (typeof first !== 'string' || first.startsWith('@') || /^-?[0-9]+$/.test(first)) {
		if (rest.length > 0 && Number(first) === begin)
			throw new UsageError(`'${first}' could be a signal or a process: --escalate names the signals, so leave it out`);
		return {steps: escalate, words: given};
	}
	if (parseSignal(first) !== begin)
		throw new UsageError(`--escalate begins with ${signalName(begin)}, not with ${signalName(parseSignal(first))}`);
	return {steps: escalate, words: rest};
}

function sendToInput(delivery: Delivery): void {
	if (isTerminal(stdin)) throw new UsageError('TARGET is missing');
	expectInput();
	let count = 0;
	for (const text of wordsOfInput()) {
		count++;
		let found: Target;
		try {
			found = target.parse(text);
		} catch (error) {
			if (!(error instanceof UsageError)) throw error;
			delivery.refuse(text, error);
			continue;
		}
		delivery.send(found);
	}
	if (count === 0) throw new SystemError('nothing was sent: no TARGET is given, and stdin is empty');
}
