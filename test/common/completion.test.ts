import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {mkdirSync, readdirSync} from 'node:fs';
import test from 'node:test';
import {candidates, candidatesForLine} from '../../src/common/command-line/candidates.js';
import {quotedForBash, typedWords} from '../../src/common/command-line/shell-words.js';
import {done} from '../../src/common/exit.js';
import {anyText, choice} from '../../src/common/formats/text-format.js';
import {any, type Command, one, verb} from '../../src/common/verb.js';
import {needs} from '../support/needs.js';
import {fc} from '../support/property.js';
import {peer} from '../support/run.js';
import {World} from '../support/world.js';

const name = anyText('NAME');
const command: Command = {
	name: 'ipc-test',
	summary: '',
	verbs: {
		stat: verb({
			summary: '',
			aliases: ['st'],
			operands: {names: any(name)},
			options: {
				json: {help: ''},
				output: {short: 'o', value: name, help: ''},
				lock: {value: choice('TYPE', 'i32'), optionalValue: true, help: ''},
			},
			run: () => done,
		}),
		run: verb({summary: '', operands: {name: one(name)}, takesCommand: true, run: () => done}),
		speak: verb({summary: '', operands: {language: one(choice('LANGUAGE', 'en', 'de'))}, run: () => done}),
	},
	examples: [],
	names: () => ['a b', 'a*', '-n', 'new\nline', 'broken\ufffd', 'jobs', "it's", '@x:y', 'say "hi!"', 'both\'"'],
};
const names = ['a b', 'a*', 'jobs', "it's", '@x:y', 'say "hi!"', 'both\'"'];

const offers = (words: string[], expected: string[]) =>
	test(`behind '${words.join(' ')}' comes ${expected.join(', ') || 'nothing of ours'}`, () =>
		assert.deepEqual(candidates(command, ['ipc-test', ...words]), expected));
offers([''], ['stat', 'run', 'speak']);
offers(['s'], ['stat', 'speak']);
offers(['help', 'r'], ['run']);
offers(['stat', ''], names);
offers(['st', 'a'], ['a b', 'a*']);
offers(['stat', '--', ''], ['a b', 'a*', '-n', ...names.slice(2)]);
offers(['stat', '--', '-'], ['-n']);
offers(['stat', '--j'], ['--json']);
offers(['stat', '-'], ['--json', '--output', '--lock', '--quiet', '--verbose', '--color', '--help']);
offers(['stat', '--color', ''], ['auto', 'always', 'never']);
offers(['stat', '-o', ''], []);
offers(['stat', '--lock', 'j'], ['jobs']);
offers(['run', 'j'], ['jobs']);
offers(['run', 'jobs', '--', 'j'], []);
offers(['speak', ''], ['en', 'de']);

const inserts = (line: string, text: string, expected: string[]) =>
	test(`bash puts ${expected.join(', ') || 'nothing'} in the place of '${text}' at the end of '${line}'`, () =>
		assert.deepEqual(candidatesForLine(command, line, text), expected));
inserts('ipc-test st', 'st', ['stat']);
inserts('ipc-test stat a', 'a', ['a\\ b', 'a\\*']);
inserts('ipc-test stat a\\ ', 'a\\ ', ['a\\ b']);
inserts('ipc-test stat "a" \'a', 'a', ['a b', 'a*']);
inserts('ipc-test stat "a ', 'a ', ['a b']);
inserts('ipc-test stat a" ', ' ', [' b']);
inserts("ipc-test stat 'a'\\", '\\', ['\\ b', '\\*']);
inserts('ipc-test stat @', '', ['x:y']);
inserts('ipc-test stat @x:', '', ['y']);
inserts('ipc-test stat i', 'i', ["it\\'s"]);
inserts("ipc-test stat 'i", 'i', ["it'\\''s"]);
inserts("ipc-test stat $'i", 'i', ["it\\'s"]);
inserts('ipc-test stat sa', 'sa', ['say\\ \\"hi\\!\\"']);
inserts("ipc-test stat 'sa", 'sa', ['say "hi!"']);
inserts('ipc-test stat "sa', 'sa', []);
inserts("ipc-test stat 'b", 'b', ["both'\\''\""]);
inserts('ipc-test stat a', 'z', []);

const printable = fc
	.string({unit: 'binary'})
	// biome-ignore lint/suspicious/noControlCharactersInRegex: they are in no candidate
	.map((text) => text.replace(/[\u0000-\u001f\u007f]/g, ''))
	.filter((text) => text !== '' && !text.startsWith('~'));

test('bash reads back what was quoted for it, and so do we', () => {
	fc.assert(
		fc.property(fc.array(printable, {minLength: 1, maxLength: 40}), (texts) => {
			const quoted = texts.map((text) => quotedForBash(text, '') as string);
			const wrapped = texts.flatMap((text) =>
				(["'", '"', "$'"] as const).flatMap((quote) => {
					const within = quotedForBash(text, quote);
					return within === undefined ? [] : [{text, word: quote + within + quote.at(-1)}];
				}),
			);
			const line = [...quoted, ...wrapped.map(({word}) => word)].join(' ');
			const expected = [...texts, ...wrapped.map(({text}) => text)];
			assert.deepEqual(
				typedWords(line).map(({text}) => text),
				expected,
			);
			const seen = execFileSync('bash', ['-c', `printf '%s\\0' ${line}`], {
				encoding: 'utf8',
				env: {...process.env, LC_ALL: 'C.UTF-8'},
			});
			assert.deepEqual(seen.split('\0').slice(0, -1), expected);
		}),
		{numRuns: 20},
	);
});

/** What is typed up to the TAB, and the name that it has to become. */
const typed: readonly (readonly [string, string])[] = [
	['a\\ ', 'a b'],
	["'c", 'c d'],
	['it', "it's"],
	['\\$', '$HOME'],
	['x', 'x?*[a-z]'],
	['\\~', '~user'],
	['\\(', '(p);|&<>'],
	['back', 'back\\slash'],
	['\\{', '{1,2}'],
	['\\#', '#1'],
	['ä', 'ä"ö'],
	['wow', 'wow!!'],
	['\\`', '`touch made`'],
];

const shells: Record<string, {program: readonly string[]; begin: string}> = {
	bash: {program: ['bash', '--norc', '--noprofile', '-i'], begin: 'source <(ipc-pipe completion bash)'},
	zsh: {
		program: ['zsh', '-f', '-i'],
		begin: 'autoload -U compinit; compinit -D; source <(ipc-pipe completion zsh)',
	},
	fish: {program: ['fish', '--no-config', '-i'], begin: 'ipc-pipe completion fish | source'},
};

for (const [shell, {program, begin}] of Object.entries(shells)) {
	test(`${shell} at a terminal completes names as they are`, needs(shell), async (t) => {
		const world = new World(t);
		const home = world.file('home');
		mkdirSync(home);
		const made = await world.pipe('create', ...typed.map(([, found]) => found));
		assert.deepEqual([made.status, made.stderr], [0, '']);
		const terminal = world.startOther(peer('terminal-peer'), program, {
			cwd: home,
			env: {HOME: home},
		});
		const enter = async (line: string, mark: string) => {
			terminal.stdin.write(`${line}\n`);
			terminal.stdin.write(`echo ${mark}''-end\n`);
			await terminal.printed(`${mark}-end\r\n`);
		};
		await enter(begin, 'begin');
		await enter(`ipc-pipe rem\t${typed.map(([start]) => `${start}\t`).join('')}`, 'end');
		terminal.stdin.write('exit\n');
		await terminal.end();
		assert.deepEqual(world.leftovers(), [], terminal.output.toString());
		assert.ok(!readdirSync(home).includes('made'), 'a name was run');
	});
}
