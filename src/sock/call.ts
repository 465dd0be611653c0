import {Deadline} from '../common/deadline.js';
import {hasCode, printable, quoted, SystemError, UsageError} from '../common/errors.js';
import {done, failed, type Outcome, timedOut} from '../common/exit.js';
import {withoutOddBytes} from '../common/formats/odd-bytes.js';
import {anyText, choice, type TextFormat, wholeNumber} from '../common/formats/text-format.js';
import {mostRecordBytes} from '../common/framing/framing.js';
import {readInput} from '../common/input.js';
import * as common from '../common/options.js';
import {
	expectInput,
	expectOutput,
	isStdoutTerminal,
	print,
	printJson,
	printLine,
	tellError,
	tellRaw,
	tellVerbose,
} from '../common/output.js';
import {any, one, optional, optionName, verb} from '../common/verb.js';
import {type CallSocket, callAddress, clusterCalls} from '../objects/socket/call-places.js';
import {openConnection} from '../objects/socket/endpoint.js';
import {formatSocketAddress, isSecure} from '../objects/socket/socket-address.js';
import {checkCredentials, credentials, insecure, messageSize, reachedByNode} from './options.js';
import {BatchCaller} from './rpc/batch-caller.js';
import {CallChannel, TimedOut} from './rpc/call-channel.js';
import {type Dialect, dialects} from './rpc/dialect.js';
import {type CallError, type CallResult, jsonText, methodNotFound, type Request} from './rpc/json-rpc.js';
import {usualLimits} from './rpc/json-splitter.js';
import {compact, elementsOf, kindOf, membersOf, pretty} from './rpc/json-text.js';
import {encodeMessage} from './rpc/message-framing.js';
import {methodNames} from './rpc/method-names.js';
import {parametersOf} from './rpc/parameters.js';
import {connectSecurely} from './stream/secure-endpoint.js';

const usualInFlight = 256;
const onlyId = '1';

const methodName: TextFormat<string> = {
	...anyText('METHOD'),
	candidates: ({operands: [address = '']}) => methodNames(address),
};

export const call = verb({
	summary: 'Call a method and print the result',
	operands: {address: one(callAddress), method: optional(methodName), params: any(anyText('PARAM'))},
	options: {
		rawOutput: {short: 'r', also: ['--raw'], help: 'print a string result without quotes'},
		json: {...common.json, help: 'print the whole answer: one object with "result" or "error"'},
		named: {short: 'N', help: 'pass named parameters: NAME=VALUE'},
		string: {also: ['-s'], help: 'pass parameters as strings, even if valid JSON'},
		params: {also: ['-p'], value: anyText('JSON'), help: 'all parameters as an array or object; - reads stdin'},
		notify: {help: 'do not wait for an answer'},
		list: {help: 'print the names of the methods'},
		batch: {help: 'read a call per line and print an answer per line'},
		inFlight: {value: wholeNumber(1, 65_536), help: 'with --batch: maximum unanswered calls (default 256)'},
		preset: {
			only: 'local',
			value: choice('PRESET', 'qmp', 'mpv'),
			help: 'use the protocol of QEMU (qmp) or mpv (mpv)',
		},
		framing: {
			only: 'local',
			value: choice('FRAMING', 'lines', 'null', 'headers'),
			help: 'request framing: lines (default), null or headers',
		},
		maxSize: {value: messageSize, help: 'maximum answer size (default and maximum 256M)'},
		insecure,
		...credentials,
		timeout: common.timeout,
		timeoutStatus: common.timeoutStatus,
	},
	cluster: true,
	examples: [
		{purpose: 'print the result of a call', line: 'ipc-sock call calc add 2 40'},
		{purpose: 'store a result in a shell variable', line: 'name=$(ipc-sock call -r users name 1000) || exit'},
		{purpose: 'ask QEMU for its status', line: 'ipc-sock call /run/vm.qmp query-status --preset qmp'},
	],
	// Many calls at once pay for the start of a quicker engine.
	needsNode: ({address}, {batch}) => batch || (address.kind !== 'cluster' && reachedByNode(address)),
	waitsFor({address}, {batch}) {
		if (batch) return undefined;
		return `the answer of ${quoted(address.kind === 'cluster' ? address.shown : formatSocketAddress(address))}`;
	},
	run({address, method, params: words}, options) {
		const {preset, framing = 'lines'} = options;
		checkWishes(method, words, options);
		if (address.kind !== 'cluster') checkCredentials(options, undefined, address);
		const isNamed = options.named || preset === 'qmp';
		const given = options.params === '-' ? readAllInput() : options.params;
		const wishes = {named: isNamed, string: options.string, params: given};
		const params = options.batch ? undefined : parametersOf(words, wishes);
		expectOutput();
		if (options.batch) expectInput();

		const deadline = new Deadline(options.timeout ?? -1);
		const dialect = dialects[preset ?? 'jsonRpc'];
		const encode = (request: Request) => encodeMessage(dialect.format(request), framing);
		const talk = (socket: CallSocket): Outcome => {
			using _ = socket;
			const limits = {...usualLimits, mostBytes: options.maxSize ?? mostRecordBytes};
			const channel = new CallChannel(socket, limits, !options.notify);
			dialect.greet?.(channel, deadline);
			if (options.batch) {
				const {inFlight = usualInFlight, notify} = options;
				const passesLines = preset === undefined && framing === 'lines' && !notify;
				const timeoutMs = options.timeout ?? -1;
				return new BatchCaller(channel, dialect, {encode, passesLines, inFlight, notify, timeoutMs}).run();
			}
			if (options.notify) {
				channel.send(encode({id: undefined, method: method as string, params}));
				channel.flush(deadline);
				channel.confirm(deadline);
				return done;
			}
			const {listing} = dialect;
			const request = options.list
				? {id: onlyId, method: listing.method, params: listing.params}
				: {id: onlyId, method: method as string, params};
			channel.send(encode(request));
			const outcome = receiveAnswer(channel, dialect, request.method, deadline);
			if (options.list) return printList(channel, dialect, outcome, options);
			return printOutcome(request.method, outcome, options);
		};
		try {
			if (address.kind === 'cluster')
				return talk(clusterCalls.objects.connect(address, {asksForSigns: options.timeout === undefined}));
			if (isSecure(address)) return connectSecurely(address, options, deadline.waitMs()).then(talk).catch(onLate);
			const opened = openConnection(address, {insecure: options.insecure, timeoutMs: deadline.waitMs()});
			return opened instanceof Promise ? opened.then(talk).catch(onLate) : talk(opened);
		} catch (error) {
			return onLate(error);
		}
	},
});

/** A timeout is a result, not an error. */
function onLate(error: unknown): Outcome {
	if (error instanceof TimedOut || hasCode(error, 'ETIMEDOUT')) return timedOut;
	// With --timeout 0: no room in the listener's queue.
	if (hasCode(error, 'EAGAIN')) return timedOut;
	throw error;
}

function checkWishes(
	method: string | undefined,
	words: readonly string[],
	options: {[Key in 'batch' | 'json' | 'list' | 'notify' | 'named' | 'rawOutput' | 'string']: boolean} & {
		params: string | undefined;
		inFlight: number | undefined;
	},
): void {
	const {batch, list, notify} = options;
	if (batch && list) throw new UsageError('--batch and --list cannot be combined');
	if (list && notify) throw new UsageError('--list and --notify cannot be combined');
	if ((batch || list) && method !== undefined) throw new UsageError(`${batch ? '--batch' : '--list'} takes no METHOD`);
	if (!batch && !list && method === undefined) throw new UsageError('METHOD is missing');
	if (method === '') throw new UsageError('METHOD is empty');
	if (batch && options.params !== undefined)
		throw new UsageError('--params and --batch cannot be combined: the parameters are on stdin');
	const against = (['batch', 'notify', 'rawOutput'] as const).find((key) => options[key]);
	if (options.json && against) throw new UsageError(`--json and --${optionName(against)} cannot be combined`);
	if (!batch && options.inFlight !== undefined) throw new UsageError('--in-flight needs --batch');
	if (options.params !== undefined && (options.named || options.string))
		throw new UsageError('--params cannot be combined with --named or --string');
	if (options.named && words.length === 0) throw new UsageError('--named needs parameters: NAME=VALUE');
}

function readAllInput(): string {
	expectInput();
	const pieces: Buffer[] = [];
	for (;;) {
		const buffer = Buffer.allocUnsafe(65_536);
		const count = readInput(buffer, 0);
		if (count === 0) return Buffer.concat(pieces).toString();
		pieces.push(buffer.subarray(0, count));
	}
}

/** Waits for the answer to the one call; other messages are ignored. */
function receiveAnswer(channel: CallChannel, dialect: Dialect, method: string, deadline: Deadline): CallResult {
	for (;;) {
		const bytes = channel.receive(deadline);
		if (!bytes)
			throw new SystemError(
				`cannot call ${quoted(method)} on ${channel.shown}: ${channel.endReason ?? 'the connection was closed before the answer arrived'}`,
			);
		const text = jsonText(bytes);
		if (text === undefined)
			throw new SystemError(`the answer of ${channel.shown} is not JSON: ${quoted(bytes.toString('utf8', 0, 60))}`);
		for (const item of kindOf(text) === 'array' ? elementsOf(text) : [text]) {
			const response = kindOf(item) === 'object' ? dialect.read(membersOf(item)) : undefined;
			// Without an id, or with null: the server could not read the id of the call. It was ours.
			if (response && isOurs(response.id, response.outcome)) return response.outcome;
			tellVerbose(`ignored: ${compact(item)}`);
		}
	}
}

const isOurs = (id: string | undefined, outcome: CallResult): boolean =>
	id === undefined || id === 'null' ? 'error' in outcome : Number(id) === Number(onlyId);

interface OutputOptions {
	json: boolean;
	rawOutput: boolean;
}

function printOutcome(method: string, outcome: CallResult, {json, rawOutput}: OutputOptions): Outcome {
	if (json) return printAnswer(outcome);
	if ('error' in outcome) {
		tellCallError(method, outcome.error);
		return failed;
	}
	const {result} = outcome;
	const bytes = rawOutput ? rawBytes(result) : undefined;
	if (bytes) print(bytes);
	else printLine(isStdoutTerminal() ? pretty(result) : compact(result));
	return done;
}

/** Values as the text that the server wrote. */
function printAnswer(outcome: CallResult): Outcome {
	if (!('error' in outcome)) {
		printLine(`{"result":${compact(outcome.result)}}`);
		return done;
	}
	const {code, message, data} = outcome.error;
	const details = data === undefined ? '' : `,"data":${compact(data)}`;
	printLine(`{"error":{"code":${code},"message":${JSON.stringify(message)}${details}}}`);
	return failed;
}

/** A string without quotes, on a line; a result that was sent as base64 as the bytes it stands for. */
function rawBytes(result: string): Buffer | undefined {
	if (kindOf(result) === 'string') return Buffer.from(`${withoutOddBytes(JSON.parse(result) as string)}\n`);
	if (kindOf(result) !== 'object') return undefined;
	const members = membersOf(result);
	const base64 = members.get('base64');
	if (members.size !== 1 || base64 === undefined || kindOf(base64) !== 'string') return undefined;
	const text = JSON.parse(base64) as string;
	const bytes = Buffer.from(text, 'base64');
	// The object of another program may have a member of that name.
	return bytes.toString('base64') === text ? bytes : undefined;
}

function tellCallError(method: string, {code, message, data}: CallError): void {
	const members = data !== undefined && kindOf(data) === 'object' ? membersOf(data) : undefined;
	const said = members?.get('stderr');
	const stderr = said !== undefined && kindOf(said) === 'string' ? (JSON.parse(said) as string) : undefined;
	const isStandard = code <= -32600 && code > -32768;
	const shown = isStandard ? message.charAt(0).toLowerCase() + message.slice(1) : message;
	const reason = `${method}: ${shown}${code === 0 ? '' : ` (${code})`}`;
	const rest = data === undefined || data === 'null' || stderr !== undefined ? '' : `: ${shownData(data)}`;
	tellError(`${reason}${rest}`);
	if (stderr) tellRaw(`${printableLines(stderr.replace(/\n$/, ''))}\n`);
}

/** The output of another process: its lines and tabs are kept, but it must not move our cursor. */
const printableLines = (text: string): string => text.replace(/[^\n\t]+/g, printable);

const shownData = (data: string): string => (kindOf(data) === 'string' ? (JSON.parse(data) as string) : compact(data));

function printList(
	channel: CallChannel,
	{listing}: Dialect,
	outcome: CallResult,
	{json}: Pick<OutputOptions, 'json'>,
): Outcome {
	if ('error' in outcome) {
		if (json) return printAnswer(outcome);
		if (outcome.error.code === methodNotFound.code)
			throw new SystemError(`cannot list the methods of ${channel.shown}: it has no '${listing.method}'`);
		tellCallError(listing.method, outcome.error);
		return failed;
	}
	const names = listing.names(outcome.result);
	if (!names) throw new SystemError(`cannot list the methods of ${channel.shown}: its answer is not a list of names`);
	if (json) printJson(names);
	else print(names.map((name) => `${printable(name)}\n`).join(''));
	return done;
}
