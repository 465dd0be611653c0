import assert from 'node:assert/strict';
import {readdirSync, readFileSync} from 'node:fs';
import {dirname, join, normalize, relative} from 'node:path';
import test from 'node:test';
import {root} from './support/run.js';

const source = join(root, 'src');
const files = readdirSync(source, {recursive: true, encoding: 'utf8'}).filter(
	(path) => path.endsWith('.ts') && !path.startsWith('build'),
);
const textOf = (path: string) => readFileSync(join(source, path), 'utf8');
/** From left to right; a folder that is not named here is a command. */
const layers = ['library', 'command', 'engine', 'cluster', 'objects', 'common', 'native'];
const commands = new Set(
	files.map((path) => path.split('/')[0] as string).filter((part) => !part.endsWith('.ts') && !layers.includes(part)),
);

/** What a file imports: paths within src, and packages by name. */
function importsOf(path: string): {files: string[]; packages: string[]} {
	const names = [...textOf(path).matchAll(/(?:from|import\() ?'([^']+)'/g)].map(([, name]) => name as string);
	return {
		files: names
			.filter((name) => name.startsWith('.'))
			.map((name) => relative('.', normalize(join(dirname(path), name)))),
		packages: names.filter((name) => !name.startsWith('.') && !name.startsWith('node:')),
	};
}

const partOf = (path: string): string => (path.includes('/') ? (path.split('/')[0] as string) : 'library');
const rankOf = (part: string): number => layers.indexOf(commands.has(part) ? 'command' : part);

test('imports go to the right: library or command, engine, objects, common, native', () => {
	assert.ok(files.length > 40 && commands.has('pipe'));
	for (const path of files) {
		const from = partOf(path);
		for (const imported of importsOf(path).files) {
			if (imported.endsWith('package.json')) continue;
			const to = partOf(imported);
			assert.ok(from === to || rankOf(from) < rankOf(to), `src/${path} must not import src/${imported}`);
		}
	}
});

test('the small runtime stands in for Node: no other folder knows it, and a list names what it has of Node', () => {
	for (const path of files.filter((name) => partOf(name) !== 'engine'))
		assert.deepEqual(
			importsOf(path).files.filter((imported) => partOf(imported) === 'engine'),
			[],
			path,
		);
	const {standIns, nodeOnly} = JSON.parse(textOf('engine/modules.json'));
	// What is for a cluster runs on Node only.
	const imported = files
		.filter((path) => partOf(path) !== 'cluster')
		.flatMap((path) =>
			[...textOf(path).matchAll(/(?:from|import\() ?'(node:[^']+|execa)'/g)].map(([, name]) => name as string),
		);
	assert.deepEqual([...new Set(imported)].sort(), [...Object.keys(standIns), ...nodeOnly].sort());
});

test('a folder holds 25 files at most, a source file 500 lines', () => {
	const sources = readdirSync(source, {recursive: true, encoding: 'utf8'}).filter((path) => /\.(ts|c|h)$/.test(path));
	const folders = new Map<string, number>();
	for (const path of sources) folders.set(dirname(path), (folders.get(dirname(path)) ?? 0) + 1);
	assert.deepEqual(
		[...folders].filter(([, count]) => count > 25),
		[],
	);
	assert.deepEqual(
		sources.filter((path) => textOf(path).trimEnd().split('\n').length > 500),
		[],
	);
});

const onlyIn = (what: string, pattern: RegExp, ...places: string[]) =>
	test(`${what}: only in ${places.join(', ')}`, () => {
		const found = files.filter((path) => pattern.test(textOf(path)));
		assert.deepEqual(
			found.filter((path) => !places.includes(path)),
			[],
		);
		assert.ok(found.length > 0, 'nowhere at all: the rule has lost its object');
	});
onlyIn('process.argv and the exit status', /process\.(argv|exitCode|exit\b)/, 'common/program.ts', 'engine/front.ts');
onlyIn('execa', /'execa'/, 'common/process/run-command.ts');
onlyIn('chalk', /'chalk'/, 'common/terminal/table.ts', 'common/output.ts');
onlyIn('making an error of the kernel', /\bsyscall\b[^;]*\}\)/, 'common/errors.ts', 'engine/node/system-errors.ts');
onlyIn('loading the addon', /dlopen/, 'native/addon.ts');

test('objects know no command and no option: a command says what to type', () => {
	// What marks a file as ours is not there to be typed.
	const formats = new Set(["'ipc-sem\\x01'", "'ipc-mq rescued message 1\\n'"]);
	const saidOfFormats = /it was not written by ipc-mq|an ipc-sem that was stopped/;
	for (const path of files.filter((name) => partOf(name) === 'objects')) {
		const code = textOf(path).replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$|\s\/\/ .*$/gm, '');
		for (const [string] of code.matchAll(/'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`/g)) {
			if (formats.has(string) || saidOfFormats.test(string)) continue;
			assert.doesNotMatch(string, /ipc-(pipe|signal|sem|mq|shm|sock)\b|(^|[^\w-])--[a-z]/, `src/${path}`);
		}
	}
});

test('no process writes to the standard streams but output.ts, through the addon', () => {
	// An example in a comment may print.
	for (const path of files)
		assert.doesNotMatch(
			textOf(path).replace(/\/\*\*[\s\S]*?\*\//g, ''),
			/console\.|process\.std(out|err)/,
			`src/${path}`,
		);
});

test('the addon exports what index.ts declares, with its manual page or its RFC, and no more', () => {
	const declared = new Set([...textOf('native/index.ts').matchAll(/^\t(\w+)\(/gm)].map(([, name]) => name as string));
	const exported = new Set(
		readdirSync(join(source, 'native'), {recursive: true, encoding: 'utf8'})
			.filter((name) => name.endsWith('.c'))
			.flatMap((name) =>
				[...textOf(join('native', name)).matchAll(/^\t\{"(\w+)", js_/gm)].map(([, found]) => found as string),
			),
	);
	assert.deepEqual([...exported].sort(), [...declared].sort());
	const documented = [
		...textOf('native/index.ts').matchAll(
			/\/\*\*(?:(?!\*\/)[\s\S])*(?:\([0-9]\)|RFC [0-9])(?:(?!\*\/)[\s\S])*\*\/\n\t(\w+)\(/g,
		),
	].map(([, name]) => name);
	assert.deepEqual(
		[...declared].filter((name) => !documented.includes(name)),
		[],
	);
});

test('no file holds a path of the machine it was written on, or a registry', () => {
	const all = [
		'README.md',
		'CHANGELOG.md',
		'package-lock.json',
		'man/ipc-pipe.1',
		'man/ipc-tools.7',
		...files.map((path) => `src/${path}`),
	];
	for (const path of all) {
		const text = readFileSync(join(root, path), 'utf8');
		assert.doesNotMatch(text, /\/(work|root|home)\/|registry\./, path);
	}
});
