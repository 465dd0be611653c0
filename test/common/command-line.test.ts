import assert from 'node:assert/strict';
import test from 'node:test';
import {optionsOf, readLine, valuesOf} from '../../src/common/command-line/command-line.js';
import {addHint} from '../../src/common/command-line/did-you-mean.js';
import {UsageError} from '../../src/common/errors.js';
import {done} from '../../src/common/exit.js';
import {anyText, wholeNumber} from '../../src/common/formats/text-format.js';
import {any, type Command, one, optional, optionName, type Verb, verb} from '../../src/common/verb.js';
import {fc} from '../support/property.js';
import {rounds} from '../support/rounds.js';

const text = anyText('TEXT');
const command: Command = {
	name: 'ipc-test',
	summary: '',
	examples: [],
	verbs: {
		send: verb({
			summary: 'plain operands and options',
			aliases: ['give'],
			operands: {name: one(text), rest: any(text)},
			options: {
				timeout: {short: 't', value: text, help: ''},
				timeoutStatus: {short: 'E', value: wholeNumber(0, 255), help: ''},
				nonblock: {short: 'n', help: ''},
				tee: {help: ''},
			},
			run: () => done,
		}),
		recv: verb({
			summary: 'a digit for a letter',
			operands: {name: optional(text)},
			options: {timeout: {short: 't', value: text, help: ''}, null: {short: '0', help: ''}},
			run: () => done,
		}),
		hold: verb({
			summary: 'operands, then a command',
			operands: {name: one(text)},
			options: {value: {short: 'k', value: text, help: ''}, word: {short: 'w', value: text, many: true, help: ''}},
			takesCommand: true,
			run: () => done,
		}),
		work: verb({
			summary: 'operands, and a command only behind dashes',
			operands: {name: one(text)},
			options: {infinite: {short: 'i', help: ''}, value: {short: 'k', value: text, help: ''}},
			takesCommand: 'optional',
			run: () => done,
		}),
		write: verb({
			summary: 'an option whose value may be left out',
			operands: {names: any(text)},
			options: {lock: {value: text, optionalValue: true, help: ''}},
			run: () => done,
		}),
		kill: verb({
			summary: 'a first word that is short for others',
			operands: {names: any(text)},
			options: {number: {short: 'k', value: text, help: ''}},
			shorthand: (first) => (/^-[0-9]+$/.test(first) ? ['--number', first.slice(1)] : undefined),
			run: () => done,
		}),
	},
};

const asLine = (words: readonly string[]): string => words.map((word) => (word === '' ? "''" : word)).join(' ');

interface Expected {
	verb?: string;
	operands?: string[];
	options?: Record<string, string | true | string[]>;
	command?: string[];
}

const reads = (
	words: string[],
	{verb: name = words[0] as string, operands = [], options = {}, command: run = []}: Expected,
) =>
	test(`'${asLine(words)}' is read`, () => {
		const line = readLine(command, words);
		assert.equal(line.kind, 'verb');
		if (line.kind !== 'verb') return;
		const {reading} = line;
		assert.deepEqual(
			{
				verb: reading.name,
				operands: reading.operands,
				options: Object.fromEntries(reading.options),
				command: reading.command,
			},
			{verb: name, operands, options, command: run},
		);
	});

reads(['send', 'a', 'b', '-'], {operands: ['a', 'b', '-']});
reads(['give', 'a'], {verb: 'send', operands: ['a']});
reads(['send', '', ''], {operands: ['', '']});
reads(['send', '--timeout', '5s', 'a'], {operands: ['a'], options: {timeout: '5s'}});
reads(['send', '--timeout=a=b', 'a'], {operands: ['a'], options: {timeout: 'a=b'}});
reads(['send', '--timeout=', 'a'], {operands: ['a'], options: {timeout: ''}});
reads(['send', '--timeout', '', 'a'], {operands: ['a'], options: {timeout: ''}});
reads(['send', '--timeout=--tee', 'a'], {operands: ['a'], options: {timeout: '--tee'}});
reads(['send', '--timeout-status', '3', 'a'], {operands: ['a'], options: {timeoutStatus: '3'}});
reads(['send', '-t', '5s', '-n', 'a'], {operands: ['a'], options: {timeout: '5s', nonblock: true}});
reads(['send', '-t5s', 'a'], {operands: ['a'], options: {timeout: '5s'}});
reads(['send', '-t=5s', 'a'], {operands: ['a'], options: {timeout: '5s'}});
reads(['send', '-t=', 'a'], {operands: ['a'], options: {timeout: ''}});
reads(['send', '-t-n', 'a'], {operands: ['a'], options: {timeout: '-n'}});
reads(['send', '-nqv', 'a'], {operands: ['a'], options: {nonblock: true, quiet: true, verbose: true}});
reads(['send', '-nqt5s', 'a'], {operands: ['a'], options: {nonblock: true, quiet: true, timeout: '5s'}});
reads(['send', '-nt', '5s', 'a'], {operands: ['a'], options: {nonblock: true, timeout: '5s'}});
reads(['send', '-tn', 'a'], {operands: ['a'], options: {timeout: 'n'}});
reads(['send', '-n', 'true', '--tee', 'false'], {operands: ['true', 'false'], options: {nonblock: true, tee: true}});
reads(['send', '-t', '5', '--timeout', '6', '-n', '-n', 'a'], {
	operands: ['a'],
	options: {timeout: '6', nonblock: true},
});
reads(['send', '-t', '-', 'a'], {operands: ['a'], options: {timeout: '-'}});
reads(['send', '-t', '--', 'a'], {operands: ['a'], options: {timeout: '--'}});
reads(['send', 'a', '--', '-n', '--', '--help'], {operands: ['a', '-n', '--', '--help']});
reads(['send', '-5', '-1.5', '-.5', '-0x10', '-inf', '-INFINITY'], {
	operands: ['-5', '-1.5', '-.5', '-0x10', '-inf', '-INFINITY'],
});
reads(['send', '-t', '-5', '-E', '-.5', 'a'], {operands: ['a'], options: {timeout: '-5', timeoutStatus: '-.5'}});
reads(['recv', '-0'], {options: {null: true}});
reads(['recv', '-0q'], {options: {null: true, quiet: true}});
reads(['recv', '-5'], {operands: ['-5']});
reads(['recv', '-t', '-0'], {options: {timeout: '-0'}});
reads(['recv', '-t', '-15'], {options: {timeout: '-15'}});
reads(['work', '-i', 'a', '-5', '-k', '-inf'], {operands: ['a', '-5'], options: {infinite: true, value: '-inf'}});
reads(['hold', 'a', '--', 'ls', '-l'], {operands: ['a'], command: ['ls', '-l']});
reads(['hold', 'a', 'ls', '-l', '--help', '--'], {operands: ['a'], command: ['ls', '-l', '--help', '--']});
reads(['hold', '-k', '5', 'a', '-5', '-k'], {operands: ['a'], options: {value: '5'}, command: ['-5', '-k']});
reads(['hold', 'a', '-k', '5', '-', '-k'], {operands: ['a'], options: {value: '5'}, command: ['-', '-k']});
reads(['hold', 'a', '--', '--', 'ls'], {operands: ['a'], command: ['--', 'ls']});
reads(['hold', '-w', 'x', '--word=', '-wy', 'a', 'ls'], {
	operands: ['a'],
	options: {word: ['x', '', 'y']},
	command: ['ls'],
});
reads(['work', 'a', 'b', '-k', '5'], {operands: ['a', 'b'], options: {value: '5'}});
reads(['work', 'a', '--', 'b', '-k', '5'], {operands: ['a'], command: ['b', '-k', '5']});
reads(['write', '--lock', 'a'], {operands: ['a'], options: {lock: true}});
reads(['write', '--lock=s', 'a'], {operands: ['a'], options: {lock: 's'}});
reads(['write', '--lock=s', '--lock'], {options: {lock: true}});
reads(['write', '--lock', '--lock=s=t'], {options: {lock: 's=t'}});
reads(['kill', '-9', 'a'], {operands: ['a'], options: {number: '9'}});
reads(['kill', 'a', '-9'], {operands: ['a', '-9']});
reads(['-q', 'send', 'a', '-n'], {verb: 'send', operands: ['a'], options: {quiet: true, nonblock: true}});
reads(['-t', '5', '--timeout-status=3', 'give', 'a'], {
	verb: 'send',
	operands: ['a'],
	options: {timeout: '5', timeoutStatus: '3'},
});
reads(['-t', '5', 'send', 'recv', '-t', '6'], {verb: 'send', operands: ['recv'], options: {timeout: '6'}});
reads(['-k5', 'hold', 'a', 'ls', '-q'], {verb: 'hold', operands: ['a'], options: {value: '5'}, command: ['ls', '-q']});
reads(['--lock', 'write', 'a'], {verb: 'write', operands: ['a'], options: {lock: true}});
reads(['-9', 'kill', 'a'], {verb: 'kill', operands: ['a'], options: {number: '9'}});

const asks = (words: string[], kind: 'help' | 'version', topic?: string) =>
	test(`'${asLine(words)}' asks for ${kind === 'help' ? `the help of ${topic ?? 'the command'}` : 'the version'}`, () => {
		const line = readLine(command, words);
		assert.deepEqual([line.kind, line.kind === 'help' ? line.topic?.name : undefined], [kind, topic]);
	});

asks(['--help'], 'help');
asks(['-h'], 'help');
asks(['help'], 'help');
asks(['help', '-h'], 'help');
asks(['-q', 'help', 'give'], 'help', 'send');
asks(['help', 'send'], 'help', 'send');
asks(['send', '--help'], 'help', 'send');
asks(['send', '-h'], 'help', 'send');
asks(['--help', 'send'], 'help', 'send');
asks(['frobnicate', '--help'], 'help');
asks(['send', 'a', '-t', '-h'], 'help', 'send');
asks(['send', '--nope', '-nZ', '-V', '--help'], 'help', 'send');
asks(['hold', 'a', '--help'], 'help', 'hold');
asks(['hold', '--help', 'a', 'ls'], 'help', 'hold');
asks(['work', 'a', 'b', '--help', '--', 'ls'], 'help', 'work');
asks(['--version'], 'version');
asks(['-V'], 'version');
asks(['send', '--nope', '--version'], 'version');
asks(['-V', 'send'], 'version');
asks(['version'], 'version');
asks(['version', '-v'], 'version');
asks(['-q', 'send', '-h'], 'help', 'send');
asks(['-t', '-h', 'send'], 'help', 'send');

/** The message with its hint, and the verb whose help it points to. */
function refusalOf(words: readonly string[]): {message: string; verb: string | undefined} {
	try {
		const line = readLine(command, words);
		if (line.kind === 'verb') valuesOf(line.reading);
	} catch (error) {
		assert.ok(error instanceof UsageError, String(error));
		addHint(error);
		return {message: error.message, verb: error.verb};
	}
	return assert.fail('it was read');
}

const refuses = (words: string[], message: string, name?: string) =>
	test(`'${asLine(words)}' is refused: ${message}`, () => assert.deepEqual(refusalOf(words), {message, verb: name}));

const verbs = 'send, recv, hold, work, write, kill';
refuses([], `a verb is missing: ${verbs}`);
refuses(['frobnicate'], `unknown verb 'frobnicate' (verbs: ${verbs})`);
refuses(['help', 'frobnicate'], `unknown verb 'frobnicate' (verbs: ${verbs})`);
refuses([''], `unknown verb '' (verbs: ${verbs})`);
refuses(['rxxv'], `unknown verb 'rxxv' (verbs: ${verbs})`);
refuses(['read'], "unknown verb 'read'; did you mean 'recv'?");
refuses(['hlep'], "unknown verb 'hlep'; did you mean 'help'?");
refuses(['recvv'], "unknown verb 'recvv'; did you mean 'recv'?");
refuses(['sned'], "unknown verb 'sned'; did you mean 'send'?");
refuses(['giv'], "unknown verb 'giv'; did you mean 'give'?");
refuses(['--quiet', 'frobnicate'], "a verb is expected before '--quiet': ipc-test VERB [OPERANDS] [OPTIONS]");
refuses(['--', 'send', '--help'], "a verb is expected before '--': ipc-test VERB [OPERANDS] [OPTIONS]");
refuses(['version', 'send'], "'send' is one operand too many (expected: none)");
refuses(['-q', 'send'], 'TEXT is missing');
refuses(['--tiemout', '5', 'send', 'a'], "unknown option '--tiemout'; did you mean '--timeout'?", 'send');
const unclear =
	"the words before 'send' are not all options with their values; write: ipc-test send [OPTIONS] TEXT [TEXT...]";
refuses(['-t', 'send', 'recv', 'a'], unclear, 'send');
refuses(['-q', 'a', 'send', 'b'], unclear, 'send');
refuses(['-5', 'send', 'b'], unclear, 'send');
refuses(
	['-q', 'a', 'hold', 'ls'],
	"the words before 'hold' are not all options with their values; write: ipc-test hold [OPTIONS] TEXT -- CMD [ARG...]",
	'hold',
);
refuses(['send', 'a', '--tiemout', '5'], "unknown option '--tiemout'; did you mean '--timeout'?", 'send');
refuses(['give', 'a', '--tiemout=20s'], "unknown option '--tiemout'; did you mean '--timeout'?", 'send');
refuses(
	['send', 'a', '--timeoutStatus=3'],
	"unknown option '--timeoutStatus'; did you mean '--timeout-status'?",
	'send',
);
refuses(['send', 'a', '--timeo', '5'], "unknown option '--timeo'; did you mean '--timeout'?", 'send');
refuses(['send', 'a', '--time', '5'], "unknown option '--time'; did you mean '--timeout'?", 'send');
refuses(['send', 'a', '--hlep'], "unknown option '--hlep'; did you mean '--help'?", 'send');
refuses(['send', 'a', '--frobnicate'], "unknown option '--frobnicate'", 'send');
refuses(['send', 'a', '--no-tee'], "unknown option '--no-tee'", 'send');
refuses(['send', 'a', '-Z'], "unknown option '-Z'", 'send');
refuses(['send', 'a', '---'], "unknown option '---'", 'send');
refuses(['send', 'a', '-nZ'], "unknown option '-Z' in '-nZ'", 'send');
refuses(['send', 'a', '-nh'], "unknown option '-h' in '-nh'", 'send');
refuses(['send', 'a', '-n=5'], "unknown option '-=' in '-n=5'", 'send');
refuses(['recv', '-15'], "unknown option '-1' in '-15'", 'recv');
refuses(['work', '-inf', 'a'], "unknown option '-n' in '-inf'", 'work');
refuses(['send', 'a', '--tee=yes'], '--tee takes no value', 'send');
refuses(['send', 'a', '--tee='], '--tee takes no value', 'send');
refuses(['send', 'a', '--help=yes'], '--help takes no value', 'send');
refuses(['send', 'a', '--version='], '--version takes no value', 'send');
refuses(['send', 'a', '-t'], '--timeout needs a value: TEXT', 'send');
refuses(['send', 'a', '--timeout-status', '--tee'], '--timeout-status needs a value: N', 'send');
refuses(['send', 'a', '-nt', '-n'], '--timeout needs a value: TEXT', 'send');
refuses(['send', 'a', '-t', '-Z'], "unknown option '-Z'", 'send');
refuses(['hold', '--word', '--', 'a'], 'the command to run is missing');
refuses(['write', '--lock='], '--lock= needs a value: TEXT', 'write');
refuses(['send', 'a', '-nY', '--nope'], "unknown option '-Y' in '-nY'", 'send');
refuses(['send'], 'TEXT is missing');
refuses(['recv', 'a', 'b'], "'b' is one operand too many (expected: [TEXT])");
refuses(['hold', 'a'], 'the command to run is missing');
refuses(['hold', 'a', '--'], 'the command to run is missing');
refuses(['send', 'a', '-E', 'x'], "--timeout-status: 'x' is not a number: only digits are expected");
refuses(['send', 'a', '-E', '-5'], "--timeout-status: '-5' is not a number: only digits are expected");

/** What a verb could be given, and the words that say so. */
const spoken = fc.constantFrom(...Object.keys(command.verbs)).chain((name) => {
	const {operands, takesCommand} = command.verbs[name] as Verb;
	const declared = Object.entries(optionsOf(command.verbs[name] as Verb));
	const most = Object.values(operands).some(({how}) => how === 'any') ? 4 : Object.keys(operands).length;
	const anyWord = fc.oneof(
		fc.string(),
		fc.string({unit: 'binary'}),
		fc.constantFrom('-', '--', '-n', '--help', '-5', '-.5', '-inf', '=', '--tee=', '--lock', 'true', 'send'),
	);
	const option = fc.constantFrom(...declared).chain(([key, {short, value, optionalValue}]) => {
		const long = `--${optionName(key)}`;
		if (!value)
			return fc
				.constantFrom(long, ...(short ? [`-${short}`] : []))
				.map((word) => ({key, given: true as string | true, words: [word]}));
		const ways = (given: string): string[][] => [
			[`${long}=${given}`],
			...(optionalValue || /^-./s.test(given) ? [] : [[long, given]]),
			...(short && given !== '' && !given.startsWith('=') ? [[`-${short}${given}`], [`-q${short}${given}`]] : []),
			...(short ? [[`-${short}=${given}`]] : []),
		];
		const full = anyWord
			.filter((given) => given !== '' || !optionalValue)
			.chain((given) => fc.constantFrom(...ways(given)).map((words) => ({key, given: given as string | true, words})));
		return optionalValue ? fc.oneof(full, fc.constant({key, given: true as string | true, words: [long]})) : full;
	});
	return fc.record({
		name: fc.constant(name),
		options: fc.array(option, {maxLength: 5}),
		operands: fc.array(anyWord, {maxLength: most}),
		run: takesCommand ? fc.array(anyWord, {maxLength: 3}) : fc.constant([]),
		places: fc.array(fc.nat(5), {minLength: 4, maxLength: 4}),
	});
});

test('what is written as a command line is read back as it was', () => {
	fc.assert(
		fc.property(spoken, ({name, options, operands: given, run, places}) => {
			const {takesCommand} = command.verbs[name] as Verb;
			// What looks like an option is an operand behind dashes; where a command stands there, it cannot be one.
			const looksLikeOption = (word: string) => /^-./s.test(word);
			const operands = takesCommand ? given.filter((word) => !looksLikeOption(word)) : given;
			const first = operands.findIndex(looksLikeOption);
			const early = first < 0 ? operands : operands.slice(0, first);
			const late = takesCommand ? run : operands.slice(early.length);

			const parts = options.map(({words}) => words);
			const ends = early.map((_, i) => Math.min(places[i] as number, parts.length)).sort((a, b) => b - a);
			ends.forEach((end, i) => {
				parts.splice(end, 0, [early.at(-1 - i) as string]);
			});
			const line = [name, ...parts.flat(), ...(late.length > 0 ? ['--', ...late] : [])];

			const expected: Record<string, unknown> = {};
			for (const {key, given: value, words} of options) {
				const isMany = optionsOf(command.verbs[name] as Verb)[key]?.many;
				expected[key] = isMany ? [...((expected[key] as string[] | undefined) ?? []), value] : value;
				if (words[0]?.startsWith('-q')) expected.quiet = true;
			}
			const read = readLine(command, line);
			assert.ok(read.kind === 'verb', asLine(line));
			const {declared: _, ...reading} = read.reading;
			assert.deepEqual(
				{...reading, options: Object.fromEntries(reading.options)},
				{name, verb: command.verbs[name], operands, options: expected, command: takesCommand ? run : []},
			);
		}),
		{numRuns: rounds(600, 6000)},
	);
});

test('any words at all are read or refused with a reason', () => {
	const word = fc.oneof(
		fc.string(),
		fc.constantFrom(...Object.keys(command.verbs), 'help', '--', '-', '-t', '--timeout', '-k', '--lock=', '-q5', '-E9'),
		fc.constantFrom('__proto__', 'constructor', '--constructor', '--__proto__=x', '-\u0000', '--=', '-='),
	);
	fc.assert(
		fc.property(fc.array(word, {maxLength: 8}), (words) => {
			try {
				const line = readLine(command, words);
				if (line.kind === 'verb') valuesOf(line.reading);
			} catch (error) {
				assert.ok(error instanceof UsageError, String(error));
				addHint(error);
				assert.notEqual(error.message, '');
			}
		}),
		{numRuns: rounds(600, 6000)},
	);
});
