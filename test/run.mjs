// Builds everything, compiles the peers and runs the tests: `npm test [-- PART…]`, where each PART is part of a test's path.
import {spawnSync} from 'node:child_process';
import {mkdirSync, readdirSync, rmSync} from 'node:fs';
import {basename, dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {build} from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const output = join(root, 'dist', 'test');

run(process.execPath, ['src/build/build.mjs']);
rmSync(output, {recursive: true, force: true});
mkdirSync(join(output, 'peers'), {recursive: true});

for (const file of readdirSync(join(root, 'test', 'peers')).filter((name) => name.endsWith('.c'))) {
	const program = join(output, 'peers', basename(file, '.c'));
	run(process.env.CC || 'cc', [
		'-std=c11',
		'-D_GNU_SOURCE',
		'-O1',
		'-Wall',
		'-Wextra',
		'-Werror',
		'-o',
		program,
		join('test', 'peers', file),
	]);
}

const wanted = process.argv.slice(2);
const tests = findTests(join(root, 'test')).filter(
	(path) => wanted.length === 0 || wanted.some((part) => path.includes(part)),
);
if (tests.length === 0) {
	console.error(`no test matches: ${wanted.join(' ')}`);
	process.exit(2);
}
await build({
	absWorkingDir: root,
	entryPoints: tests,
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
	define: {__dirname: JSON.stringify(join(root, 'dist'))},
});

const compiled = tests.map((path) => join(output, path.slice(join(root, 'test').length).replace(/\.ts$/, '.mjs')));
run(process.execPath, ['--enable-source-maps', '--test', '--test-reporter=spec', '--test-concurrency=2', ...compiled]);

function findTests(folder) {
	return readdirSync(folder, {withFileTypes: true}).flatMap((entry) => {
		const path = join(folder, entry.name);
		if (entry.isDirectory()) return findTests(path);
		return entry.name.endsWith('.test.ts') ? [path] : [];
	});
}

function run(program, words) {
	const environment = {...process.env};
	// With it every start of Node reads certificates for longer than it takes otherwise.
	delete environment.NODE_EXTRA_CA_CERTS;
	const {status, error} = spawnSync(program, words, {cwd: root, stdio: 'inherit', env: environment});
	if (error) throw error;
	if (status !== 0) process.exit(status ?? 1);
}
