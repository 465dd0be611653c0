import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import {optionsOf, readPlainLine} from '../../src/common/command-line/command-line.js';
import {readWithYargs} from '../../src/common/command-line/yargs-reading.js';
import {done} from '../../src/common/exit.js';
import {anyText} from '../../src/common/formats/text-format.js';
import {any, type Command, one, optionName, type Verb, verb} from '../../src/common/verb.js';
import {pipe} from '../../src/pipe/index.js';

const text = anyText('TEXT');
const command: Command = {
	...pipe,
	verbs: {
		...pipe.verbs,
		hold: verb({
			summary: 'operands, then a command',
			operands: {name: one(text)},
			options: {value: {short: 'k', value: text, help: ''}, word: {value: text, many: true, help: ''}},
			takesCommand: true,
			run: () => done,
		}),
		held: verb({
			summary: 'an option whose value may be left out, and numbers below zero',
			operands: {names: any(text)},
			options: {lock: {value: text, optionalValue: true, help: ''}, value: {short: 'k', value: text, help: ''}},
			run: () => done,
		}),
		many: verb({summary: '', operands: {names: any(text)}, options: {zero: {short: '0', help: ''}}, run: () => done}),
		short: verb({
			summary: 'a first word that is short for others',
			operands: {names: any(text)},
			options: {number: {short: 'k', value: text, help: ''}},
			shorthand: (first) => (/^-[0-9]+$/.test(first) ? ['--number', first.slice(1)] : undefined),
			run: () => done,
		}),
	},
};

const word = fc.oneof(
	fc.constantFrom('jobs', 'a b', '-', '5s', '|', '=', 'x=y', '0', '007', '1e3', 'true', 'ä', '@x'),
	fc.string({minLength: 1}).filter((value) => !value.startsWith('-')),
);
/** What only an option's value can be. */
const given = fc.oneof(word, fc.constantFrom('-1', '-2147483648', '-0.5'));

/** A line made of what a verb declares, in any order. */
const line = fc.constantFrom(...Object.keys(command.verbs)).chain((name) => {
	const declared = optionsOf(command.verbs[name] as Verb);
	const option = fc.constantFrom(...Object.entries(declared)).chain(([key, {short, value, optionalValue}]) => {
		const switches = [`--${optionName(key)}`, ...(short ? [`-${short}`] : [])];
		const chosen = fc.constantFrom(...switches);
		if (!value) return chosen.map((flag) => [flag]);
		if (optionalValue)
			return fc.oneof(
				chosen.map((flag) => [flag]),
				word.map((given) => [`--${optionName(key)}=${given}`]),
			);
		return fc.oneof(
			fc.tuple(chosen, given).map((pair) => [...pair]),
			given.map((text) => [`--${optionName(key)}=${text}`]),
		);
	});
	const part = fc.oneof(
		option,
		word.map((operand) => [operand]),
		fc.constantFrom('-5', '-15', '-0x10', '-1e5', '-.5').map((number) => [number]),
		fc.constant(['--']),
	);
	const first = fc.constantFrom<string[]>([], [], ...(name === 'short' ? [['-9'], ['-17']] : []));
	return fc.tuple(first, fc.array(part, {maxLength: 7})).map(([short, parts]) => [name, ...short, ...parts.flat()]);
});

test('a plain line is read alike by both readers', async () => {
	let plain = 0;
	await fc.assert(
		fc.asyncProperty(line, async (words) => {
			const quick = readPlainLine(command, words);
			if (!quick) return;
			plain++;
			const slow = await readWithYargs(command, words);
			assert.ok(slow);
			assert.deepEqual(
				{...slow, options: Object.fromEntries(slow.options)},
				{...quick, options: Object.fromEntries(quick.options)},
			);
		}),
		{numRuns: 1000},
	);
	assert.ok(plain > 100, `only ${plain} lines were plain`);
});

const readsLike = (title: string, words: string[], like: string[]) =>
	test(title, async () => {
		assert.equal(readPlainLine(command, words), undefined);
		const slow = await readWithYargs(command, words);
		const quick = readPlainLine(command, like);
		assert.deepEqual(
			{...slow, options: Object.fromEntries(slow?.options ?? [])},
			{...quick, options: Object.fromEntries(quick?.options ?? [])},
		);
	});
readsLike('letters may run together', ['send', '-nqv', 'x'], ['send', '-n', '-q', '-v', 'x']);
readsLike('a value may be glued to its letter', ['recv', '-t5s', 'x'], ['recv', '-t', '5s', 'x']);
readsLike('and both', ['recv', '-qt5s'], ['recv', '-q', '-t', '5s']);
readsLike('a digit is an option where it is declared', ['recv', '-0q'], ['recv', '-0', '-q']);

const refuses = (words: string[], why: RegExp) =>
	test(`'${words.join(' ')}' is refused: ${why.source}`, async () => {
		assert.equal(readPlainLine(command, words), undefined);
		await assert.rejects(readWithYargs(command, words), why);
	});
refuses([], /a verb is missing/);
refuses(['frobnicate'], /unknown verb 'frobnicate' \(verbs: send/);
refuses(['recvv'], /did you mean 'recv'\?/);
refuses(['sned'], /did you mean 'send'\?/);
refuses(['send', '--tiemout', '5'], /unknown option '--tiemout'; did you mean '--timeout'\?/);
refuses(['send', '-nZ'], /unknown option '-Z' in '-nZ'/);
refuses(['send', '-t'], /--timeout needs a value: DURATION/);
refuses(['send', '--tee=yes'], /--tee takes no value/);
refuses(['--quiet', 'send'], /a verb is expected before '--quiet'/);
refuses(['held', '--lock='], /--lock= needs a value: TEXT/);
