// Builds what has changed, runs the tests, and says in one line what was skipped: `npm test [-- PART…]`, where each PART is part
// of a test's path. The environment: IPC_TEST_JOBS, how many files at a time (the processors); IPC_TEST_SEED, the seed of what is
// random (another one each time; it is printed when a test has failed); IPC_TEST_EVERY_START=1, nothing is read in the tests' own
// process instead of starting a command. --runtime node: the commands run on Node. --sanitize: the C is compiled with sanitizers, see support/sanitized.mjs.
import {spawn} from 'node:child_process';
import {createHash, randomInt} from 'node:crypto';
import {existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {availableParallelism} from 'node:os';
import {basename, dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';
import {build} from 'esbuild';
import {buildEngine} from '../src/build/engine.mjs';
import {defaultParts, makeSanitized, sanitizedEnvironment} from './support/sanitized.mjs';
import {summaryOfSkipped} from './support/skipped-summary.mjs';

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
const skipped = join(output, 'skipped.jsonl');
const compiler = process.env.CC || 'cc';
const jobs = numberFrom('IPC_TEST_JOBS', availableParallelism());
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
if (isSanitized) {
	await makeSanitized({root, home, compiler, run});
	Object.assign(environment, sanitizedEnvironment(compiler));
}

const compiled = tests.map((path) => join(output, path.slice(join(root, 'test').length).replace(/\.ts$/, '.mjs')));
const reporters = [
	['spec', 'stdout'],
	[join(root, 'test', 'support', 'skipped-reporter.mjs'), skipped],
].flatMap(([reporter, destination]) => [`--test-reporter=${reporter}`, `--test-reporter-destination=${destination}`]);
const status = await ended(
	process.execPath,
	['--enable-source-maps', '--test', ...reporters, `--test-concurrency=${jobs}`, ...compiled],
	home,
);
const summary = summaryOfSkipped(existsSync(skipped) ? readFileSync(skipped, 'utf8') : '');
if (summary) console.log(summary);
if (status !== 0) console.log(`what was random came from the seed ${seed}; the same again: IPC_TEST_SEED=${seed}`);
process.exitCode = status;

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
			(path) => !['test', 'sanitized'].some((folder) => path.startsWith(join(root, 'dist', folder, '/'))),
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
	if (await buildEngine({root, commands: [], executable, output: join(peers, 'engine'), extra}))
		writeFileSync(`${executable}.stamp`, expected);
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
	await build({
		absWorkingDir: root,
		entryPoints: [...tests, ...peersToBundle],
		outdir: output,
		outbase: join(root, 'test'),
		outExtension: {'.js': '.mjs'},
		bundle: true,
		platform: 'node',
		format: 'esm',
		target: 'node20',
		packages: 'external',
		sourcemap: true,
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
function ended(program, words, folder = root) {
	return new Promise((resolve, reject) => {
		const child = spawn(program, words, {cwd: folder, stdio: 'inherit', env: environment});
		child.on('error', reject);
		child.on('close', (code) => resolve(code ?? 1));
	});
}
