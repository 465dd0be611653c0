import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'node:test';
import {candidates, candidatesForLine} from '../../src/common/command-line/candidates.js';
import {quotedForBash, typedWords} from '../../src/common/command-line/shell-words.js';
import {done} from '../../src/common/exit.js';
import {anyText, choice, filePath, type TextFormat} from '../../src/common/formats/text-format.js';
import {any, type Command, one, verb} from '../../src/common/verb.js';
import {CallWorld} from '../support/calls.js';
import {needs} from '../support/needs.js';
import {fc} from '../support/property.js';
import {launcher, peer, root} from '../support/run.js';
import {World} from '../support/world.js';

const name: TextFormat<string> = {...anyText('NAME'), completes: 'objects and paths'};
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
				output: {short: 'o', value: anyText('TEXT'), help: ''},
				lock: {value: choice('TYPE', 'i32'), optionalValue: true, help: ''},
				columns: {value: {...choice('COLUMNS', 'name', 'size', 'mode'), isList: true}, help: ''},
				from: {value: filePath(), help: ''},
			},
			run: () => done,
		}),
		run: verb({summary: '', operands: {name: one(name)}, takesCommand: true, run: () => done}),
		call: verb({
			summary: '',
			operands: {
				name: one(name),
				method: one({...anyText('METHOD'), candidates: async ({operands}) => [`of ${operands.join(', ')}`]}),
			},
			run: () => done,
		}),
		speak: verb({summary: '', operands: {language: one(choice('LANGUAGE', 'en', 'de'))}, run: () => done}),
	},
	examples: [],
	names: () => ['a b', 'a*', '-n', 'new\nline', 'broken\ufffd', 'jobs', "it's", '@x:y', 'say "hi!"', 'both\'"'],
};
const names = ['a b', 'a*', 'jobs', "it's", '@x:y', 'say "hi!"', 'both\'"'];

const offers = (words: string[], expected: string[], otherwise?: 'files' | 'command') =>
	test(`behind '${words.join(' ')}' comes ${expected.join(', ') || (otherwise ?? 'nothing')}`, async () => {
		const found = await candidates(command, ['ipc-test', ...words]);
		assert.deepEqual([found.words, found.otherwise], [expected, otherwise]);
	});
offers([''], ['stat', 'run', 'call', 'speak']);
offers(['s'], ['stat', 'speak']);
offers(['help', 'r'], ['run']);
offers(['-q', '--color', ''], ['auto', 'always', 'never']);
offers(['-v', '--color', 'auto', 'r'], ['run']);
offers(['-v', 'speak', ''], ['en', 'de']);
offers(['--columns', 'name', 'stat', '--j'], ['--json']);
offers(['-q', '--'], ['--verbose', '--color', '--help', '--version']);
offers(['other', ''], []);
offers(['stat', ''], names);
offers(['st', 'a'], ['a b', 'a*']);
offers(['stat', '--', ''], ['a b', 'a*', '-n', ...names.slice(2)]);
offers(['stat', '--', '-'], ['-n']);
offers(['stat', '--j'], ['--json']);
offers(
	['stat', '-'],
	['--json', '--output', '--lock', '--columns', '--from', '--quiet', '--verbose', '--color', '--help'],
);
offers(['stat', '--color', ''], ['auto', 'always', 'never']);
offers(['stat', '-o', ''], []);
offers(['stat', '--lock', 'j'], ['jobs']);
offers(['run', 'j'], ['jobs']);
offers(['run', 'jobs', '--', 'j'], [], 'command');
offers(['run', 'jobs', '--', 'ls', 'j'], [], 'files');
offers(['run', 'jobs', 'l'], [], 'command');
offers(['run', 'jobs', 'ls', '-'], [], 'files');
offers(['speak', ''], ['en', 'de']);
offers(['speak', 'en', ''], ['--quiet', '--verbose', '--color', '--help']);
offers(['speak', '--color=a'], ['--color=auto', '--color=always']);
offers(['speak', '-qv', '--color', 'auto', '-'], ['--help']);
offers(['stat', 'jobs', '-qo', 'name', 'a'], ['a b', 'a*']);
offers(['stat', 'jobs', 'a b', 'j'], []);
offers(['stat', '--lock=', ''], names);
offers(['stat', '--lock='], ['--lock=i32']);
offers(['stat', '--columns', ''], ['name', 'size', 'mode']);
offers(['stat', '--columns', 'size,m'], ['size,mode']);
offers(['stat', '--columns=size,'], ['--columns=size,name', '--columns=size,mode']);
offers(['stat', '--from', 'x'], [], 'files');
offers(['stat', '--from=x'], [], 'files');
offers(['stat', './x'], [], 'files');
offers(['call', 'calc', ''], ['of calc']);
offers(['call', 'calc', 'x', ''], ['--quiet', '--verbose', '--color', '--help']);
offers(['-'], ['--help', '--version']);
offers(['help', 'stat', ''], []);

const inserts = (line: string, text: string, expected: string[]) =>
	test(`bash puts ${expected.join(', ') || 'nothing'} in the place of '${text}' at the end of '${line}'`, async () =>
		assert.deepEqual((await candidatesForLine(command, line, text)).words, expected));
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
inserts('ipc-test stat --color=a', 'a', ['auto', 'always']);
inserts('ipc-test stat --columns=size,m', 'size,m', ['size,mode']);
inserts(
	'ipc-test stat "$(date)" ',
	'',
	names.map((each) => quotedForBash(each, '') as string),
);

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

/** Lines with a TAB behind them, and the words that they have to become. */
const completed: readonly (readonly [line: string, words: readonly string[]])[] = [
	['ipc-pipe list --output name,wr', ['list', '--output', 'name,writers']],
	['ipc-pipe send --framing=li', ['send', '--framing=lines']],
	['ipc-sock send-fd desk odd', ['send-fd', 'desk', 'odd file']],
	['ipc-sock relay a b --cert=od', ['relay', 'a', 'b', '--cert=odd file']],
	['ipc-sock call calc gre', ['call', 'calc', 'greet all']],
	['ipc-sem run jobs -- ipc-sig', ['run', 'jobs', '--', 'ipc-signal']],
];

for (const [shell, {program, begin}] of Object.entries(shells))
	test(`${shell} at a terminal completes columns, values, files, methods and commands`, needs(shell), async (t) => {
		const world = new CallWorld(t);
		world.method('greet all', 'echo');
		await world.serveMethods();
		const home = world.file('home');
		const programs = join(home, 'bin');
		mkdirSync(programs, {recursive: true});
		writeFileSync(join(home, 'odd file'), '');
		// They complete as ours do, and write down what they are called with.
		const names = ['ipc-pipe', 'ipc-sock', 'ipc-sem'];
		for (const name of names)
			writeFileSync(
				join(programs, name),
				`#!/bin/sh\ncase $1 in completion | --complete*) exec '${launcher(name)}' "$@" ;; esac\nprintf '%s\\n' "$@" . >>"$HOME/words"\n`,
				{mode: 0o755},
			);
		const terminal = world.startOther(peer('terminal-peer'), program, {
			cwd: home,
			env: {HOME: home, PATH: [programs, join(root, 'bin'), process.env.PATH].join(':')},
		});
		const scripts = names.map((name) => begin.replaceAll('ipc-pipe', name)).join('; ');
		terminal.stdin.write(`${scripts}; echo begin''-end\n`);
		await terminal.printed('begin-end\r\n');
		for (const [line] of completed) terminal.stdin.write(`${line}\t\n`);
		terminal.stdin.write('exit\n');
		await terminal.end();
		const expected = completed.flatMap(([, words]) => [...words, '.']).map((word) => `${word}\n`);
		assert.equal(readFileSync(join(home, 'words'), 'utf8'), expected.join(''), terminal.output.toString());
	});
