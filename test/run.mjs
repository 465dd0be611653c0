// Builds what has changed, runs the tests, and says in one line what was skipped: `npm test [-- PART…]`, where each PART is part
// of a test's path. The environment: IPC_TEST_JOBS, how many files at a time (one more than processors, since tests also wait);
// IPC_TEST_SEED, the seed of what is random (another one each time; it is printed when a test has failed); IPC_TEST_LONG=1, tests that
// prove something by repetition alone repeat it more often (npm run test:long); IPC_TEST_EVERY_START=1, nothing is read in the tests'
// own process instead of starting a command. --runtime node: the commands run on Node. --sanitize: the C is compiled with
// sanitizers, see support/runner/sanitized.mjs.
import {spawn, spawnSync} from 'node:child_process';
import {createHash, randomInt} from 'node:crypto';
import {once} from 'node:events';
import {existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync} from 'node:fs';
import {SourceMap} from 'node:module';
import {availableParallelism} from 'node:os';
import {basename, delimiter, dirname, join, relative, resolve} from 'node:path';
import {run as runTests} from 'node:test';
import {spec as Spec} from 'node:test/reporters';
import {fileURLToPath, pathToFileURL} from 'node:url';
import {parseArgs} from 'node:util';
import {build} from 'esbuild';
import {buildEngine} from '../src/build/engine.mjs';
import {linkCommands} from '../src/build/link-commands.mjs';
import {defaultParts, makeSanitized, sanitizedEnvironment} from './support/runner/sanitized.mjs';
import {summaryOfSkipped} from './support/runner/skipped-summary.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const {
	values: {sanitize: isSanitized, runtime},
	positionals: parts,
} = parseArgs({
	options: {sanitize: {type: 'boolean', default: false}, runtime: {type: 'string', default: 'small'}},
	allowPositionals: true,
});
/** What the tests take for the package. */
const home = isSanitized ? join(root, 'dist', 'sanitized') : root;
const output = join(home, 'dist', 'test');
const peers = join(output, 'peers');
/** How long each test file took in its last run, in milliseconds. */
const durations = join(peers, '.durations.json');
const compiler = process.env.CC || 'cc';
const maps = new Map();
const jobs = numberFrom('IPC_TEST_JOBS', availableParallelism() + 1);
const seed = numberFrom('IPC_TEST_SEED', randomInt(2 ** 31));

const environment = {...process.env, IPC_TEST_SEED: String(seed)};
if (runtime === 'node') environment.IPC_RUNTIME = 'node';
else delete environment.IPC_RUNTIME;
// With it every start of Node reads certificates for longer than it takes otherwise.
delete environment.NODE_EXTRA_CA_CERTS;

const wanted = isSanitized && parts.length === 0 ? defaultParts : parts;
const tests = filesIn(join(root, 'test'))
	.filter((path) => path.endsWith('.test.ts'))
	.filter((path) => wanted.length === 0 || wanted.some((part) => path.slice(root.length).includes(part)));
if (tests.length === 0) {
	console.error(`no test matches: ${wanted.join(' ')}`);
	process.exit(2);
}

mkdirSync(peers, {recursive: true});
// The tests are bundled afresh: only this run's must be there.
for (const name of readdirSync(output)) if (name !== 'peers') rmSync(join(output, name), {recursive: true});
const prepared = await Promise.allSettled([buildProduct(), ...peerSources().map(compilePeer), bundleTests()]);
for (const {status, reason} of prepared) if (status === 'rejected') throw reason;
if (tests.some((path) => path.includes('/engine/'))) await buildCases();
// On Node the small scripts start the commands, as on a system for which there is no executable.
const hasExecutable = existsSync(join(root, 'dist', 'ipc'));
if (runtime === 'node') {
	linkCommands(root, {toExecutable: false});
	process.on('exit', () => linkCommands(root, {toExecutable: hasExecutable}));
}
if (isSanitized) {
	await makeSanitized({root, home, compiler, run});
	Object.assign(environment, sanitizedEnvironment(compiler));
}

findPython();
const {failed, reasons} = await runFiles(longestFirst(tests).map(compiledFrom));
const summary = summaryOfSkipped(reasons);
if (summary) console.log(summary);
if (failed) console.log(`what was random came from the seed ${seed}; the same again: IPC_TEST_SEED=${seed}`);
process.exitCode = failed ? 1 : 0;

function compiledFrom(path) {
	return join(output, relative(join(root, 'test'), path).replace(/\.ts$/, '.mjs'));
}

/** A python3 that is a script (pyenv) takes three times as long to find Python as Python takes to start. */
function findPython() {
	const {status, stdout} = spawnSync('python3', ['-c', 'import os; print(os.readlink("/proc/self/exe"))'], {
		encoding: 'utf8',
	});
	if (status !== 0) return;
	const folder = join(peers, 'bin');
	mkdirSync(folder, {recursive: true});
	rmSync(join(folder, 'python3'), {force: true});
	symlinkSync(stdout.trim(), join(folder, 'python3'));
	environment.PATH = [folder, environment.PATH].join(delimiter);
}

/** The longest at the end would leave processors without work. For a file that has not run yet, a byte stands for a millisecond. */
function longestFirst(paths) {
	const known = lastDurations();
	const weight = (path) => known[titleOf(path)] ?? statSync(path).size;
	return [...paths].sort((a, b) => weight(b) - weight(a));
}

/** The same for the source of a test and for what it was compiled to. */
function titleOf(path) {
	return relative(path.startsWith(output) ? output : join(root, 'test'), path).replace(/\.\w+$/, '');
}

function lastDurations() {
	return JSON.parse(readIfThere(durations) ?? '{}');
}

/** Each file in a process of its own. */
async function runFiles(files) {
	// The runner gives its own environment and folder to these processes.
	process.chdir(home);
	for (const name of Object.keys(process.env)) delete process.env[name];
	Object.assign(process.env, environment);
	const took = {};
	const reasons = [];
	let failed = false;
	const stream = runTests({files, concurrency: jobs});
	const note = ({file, nesting, skip, details}) => {
		if (skip !== undefined && skip !== false) reasons.push(skip === true ? '' : String(skip));
		if (nesting > 0 || !file) return;
		const title = titleOf(file);
		took[title] = (took[title] ?? 0) + Math.round(details.duration_ms);
	};
	stream.on('test:pass', note);
	stream.on('test:fail', (data) => {
		failed = true;
		note(data);
	});
	const report = stream.compose(new Spec()).compose(inSources);
	report.pipe(process.stdout);
	await once(report, 'end');
	writeFileSync(durations, JSON.stringify({...lastDurations(), ...took}));
	return {failed, reasons};
}

/**
 * A report that names places in the sources, not in what they were bundled to. Node could do that itself, but reads all the maps
 * for it, also where nothing has failed: that is a third of the start of a test file, and the larger a process is, the longer it
 * takes to start another.
 */
async function* inSources(report) {
	const place = /(?:file:\/\/)?([^\s():]*dist\/test\/[^\s():]+\.mjs):(\d+):(\d+)/g;
	for await (const text of report)
		yield String(text).replace(place, (found, path, line, column) => {
			const map = mapOf(resolve(home, path));
			const {originalSource, originalLine, originalColumn} = map?.findEntry(line - 1, column - 1) ?? {};
			if (originalSource === undefined) return found;
			const source = relative(root, resolve(dirname(resolve(home, path)), originalSource));
			return `${source}:${originalLine + 1}:${originalColumn + 1}`;
		});
}

/** The source map of a bundle; undefined where it has none. */
function mapOf(path) {
	if (!maps.has(path)) {
		const text = readIfThere(`${path}.map`);
		maps.set(path, text && new SourceMap(JSON.parse(text)));
	}
	return maps.get(path);
}

/** The commands, the library and the addon; nothing is done where neither their sources nor they themselves have changed. */
async function buildProduct() {
	const stamp = join(root, 'dist', 'test', 'peers', '.product');
	const inputs = [
		...filesIn(join(root, 'src')),
		...['package.json', 'package-lock.json'].map((name) => join(root, name)),
	];
	const source = digest([process.version, compiler], inputs);
	const product = () =>
		filesIn(join(root, 'dist')).filter(
			(path) => !['test', 'sanitized', 'commands'].some((folder) => path.startsWith(join(root, 'dist', folder, '/'))),
		);
	if (readIfThere(stamp) === digest([source], product())) return;
	await run(process.execPath, ['src/build/build.mjs']);
	mkdirSync(dirname(stamp), {recursive: true});
	writeFileSync(stamp, digest([source], product()));
}

/** The tests' own executable: see engine/cases.ts. */
async function buildCases() {
	const executable = join(peers, 'ipc-cases');
	const inputs = [
		...filesIn(join(root, 'src')),
		...['calls.ts', 'cases.ts'].map((name) => join(root, 'test', 'engine', name)),
	];
	const expected = digest([compiler], inputs);
	if (existsSync(executable) && readIfThere(`${executable}.stamp`) === expected) return;
	rmSync(executable, {force: true});
	const extra = new Map([['cases', `import '../test/engine/cases.js';`]]);
	const {why} = await buildEngine({root, commands: [], executable, output: join(peers, 'engine'), extra});
	if (!why) writeFileSync(`${executable}.stamp`, expected);
}

function peerSources() {
	return readdirSync(join(root, 'test', 'peers')).filter((name) => name.endsWith('.c'));
}

async function compilePeer(name) {
	const source = join('test', 'peers', name);
	const program = join(peers, basename(name, '.c'));
	const flags = ['-std=c11', '-D_GNU_SOURCE', '-O1', '-Wall', '-Wextra', '-Werror'];
	const expected = digest([compiler, ...flags], [join(root, source)]);
	if (existsSync(program) && readIfThere(`${program}.stamp`) === expected) return;
	rmSync(`${program}.stamp`, {force: true});
	await run(compiler, [...flags, '-o', program, source]);
	writeFileSync(`${program}.stamp`, expected);
}

/** The tests, and the peers that are written in TypeScript. */
async function bundleTests() {
	const peersToBundle = filesIn(join(root, 'test', 'peers')).filter((path) => path.endsWith('.ts'));
	// All six commands, which nearly every test reads: one bundle for all instead of a copy in each.
	const commands = join('support', 'reading');
	const commandsApart = {
		name: 'commands-apart',
		setup: ({onResolve}) =>
			onResolve({filter: /\/reading\.js$/}, () => ({
				path: pathToFileURL(join(output, `${commands}.mjs`)).href,
				external: true,
			})),
	};
	await build({
		absWorkingDir: root,
		entryPoints: [...tests, ...peersToBundle, join(root, 'test', `${commands}.ts`)],
		plugins: [commandsApart],
		outdir: output,
		outbase: join(root, 'test'),
		outExtension: {'.js': '.mjs'},
		bundle: true,
		platform: 'node',
		format: 'esm',
		target: 'node20',
		packages: 'external',
		sourcemap: true,
		sourcesContent: false,
		logLevel: 'warning',
		// Where the sources under test believe to be: beside the addon.
		define: {__dirname: JSON.stringify(join(home, 'dist'))},
	});
}

function digest(words, paths) {
	const hash = createHash('sha256').update(JSON.stringify(words));
	for (const path of paths) hash.update(`\n${path}\n`).update(readFileSync(path));
	return hash.digest('hex');
}

function readIfThere(path) {
	return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

function filesIn(folder) {
	return readdirSync(folder, {withFileTypes: true})
		.flatMap((entry) => {
			const path = join(folder, entry.name);
			if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : filesIn(path);
			return [path];
		})
		.sort();
}

function numberFrom(name, otherwise) {
	const text = process.env[name] ?? '';
	if (text === '') return otherwise;
	if (/^[0-9]+$/.test(text) && Number(text) > 0) return Number(text);
	console.error(`${name}=${text} is not a number above zero`);
	process.exit(2);
}

async function run(program, words) {
	const code = await ended(program, words);
	if (code !== 0) throw new Error(`${program} ${words.join(' ')}: status ${code}`);
}

/** The status a program ends with. */
function ended(program, words) {
	return new Promise((resolve, reject) => {
		const child = spawn(program, words, {cwd: root, stdio: 'inherit', env: environment});
		child.on('error', reject);
		child.on('close', (code) => resolve(code ?? 1));
	});
}
