// Makes dist/: the executable, for each command what runs it on Node, the help, the library and its types.
import {spawnSync} from 'node:child_process';
import {copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {build} from 'esbuild';
import {commandFolders, loadCommands} from './commands.mjs';
import {nodeApiHeaders} from './compile-native.mjs';
import {buildEngine} from './engine.mjs';
import {writeHelp} from './help.mjs';
import {linkCommands} from './link-commands.mjs';

const require = createRequire(import.meta.url);
const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const dist = join(root, 'dist');
mkdirSync(dist, {recursive: true});

const commands = commandFolders(root);

const shared = {
	absWorkingDir: root,
	bundle: true,
	platform: 'node',
	format: 'cjs',
	target: 'node20',
	charset: 'ascii',
	logLevel: 'warning',
	// Modules that are imported late are required late: start.cjs runs the bundle as a script, which has no import().
	supported: {'dynamic-import': false},
};

/** Packages slow down the start, so each has its own file, which is read when it is first needed. */
const packages = ['chalk', 'execa', 'fastest-levenshtein'];
const packagesApart = {
	name: 'packages-apart',
	setup({onResolve}) {
		const filter = new RegExp(`^(${packages.join('|')})$`);
		onResolve({filter}, ({path, kind}) =>
			kind === 'entry-point' ? undefined : {path: `./packages/${path}.js`, external: true},
		);
	},
};

/** The client of NATS, likewise. */
const clientApart = {
	name: 'client-apart',
	setup: ({onResolve}) =>
		onResolve({filter: /\/worker\/main\.js$/}, () => ({path: './cluster-worker.js', external: true})),
};

/** Node loads these when something of theirs is first used: node:net alone takes two milliseconds. */
const heavyModules = ['child_process', 'dns/promises', 'inspector', 'net', 'os', 'tls', 'util'];
const loadedLate = {
	name: 'loaded-late',
	setup({onLoad, onResolve}) {
		const filter = new RegExp(`^node:(${heavyModules.join('|')})$`);
		onResolve({filter}, ({path, namespace}) =>
			namespace === 'late' ? {path, external: true} : {path, namespace: 'late', sideEffects: false},
		);
		onLoad({filter: /.*/, namespace: 'late'}, ({path}) => {
			const names = Object.keys(require(path)).map((name) => `get ${name}() { return require('${path}').${name}; }`);
			return {contents: `module.exports = {\n${names.join(',\n')}\n};`};
		});
	},
};

const {metafile} = await build({
	...shared,
	entryPoints: packages,
	outdir: 'dist/packages',
	minifySyntax: true,
	minifyWhitespace: true,
	metafile: true,
});

await build({
	...shared,
	entryPoints: Object.fromEntries(commands.map((command) => [`ipc-${command}`, `src/${command}/main.ts`])),
	outdir: 'dist',
	minifySyntax: true,
	minifyWhitespace: true,
	plugins: [packagesApart, clientApart, loadedLate],
});
// What has a thread of its own, the client of NATS and TLS for verbs that wait in the kernel, or a process of its own.
const worker = await build({
	...shared,
	entryPoints: {
		'cluster-worker': 'src/cluster/worker/main.ts',
		'secure-worker': 'src/sock/secure/worker.ts',
		'tap-rest': 'src/sock/tap/rest.ts',
	},
	outdir: 'dist',
	minifySyntax: true,
	minifyWhitespace: true,
	metafile: true,
});
await build({...shared, entryPoints: {index: 'src/index.ts'}, outdir: 'dist', plugins: [packagesApart]});

// The commands' own declarations can only be read where the addon is.
run('node', ['src/build/compile-native.mjs']);
writePromises();
const declared = await loadCommands(root);
await writeHelp(root, declared);
const typescript = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
run('node', [typescript, '-p', 'src/build/tsconfig.types.json']);
copyFileSync(join(root, 'src', 'build', 'start.cjs'), join(dist, 'start.js'));
// On a system that no addon was made for in advance, it is compiled on installation.
cpSync(nodeApiHeaders(), join(dist, 'include'), {recursive: true});
for (const command of commands) run('node', ['src/build/code-cache.cjs', `ipc-${command}`]);
run('node', ['src/build/client-cache.cjs']);
const executable = await buildEngine({root, commands: declared.commands});
if (executable.why) {
	console.error(`ipc-tools: the commands run on Node only: ${executable.why}`);
	rmSync(join(dist, 'ipc'), {force: true});
}
// npm runs this after `prepack`, which has made the launchers: the archive cannot hold links.
const isPacking = ['pack', 'publish'].includes(process.env.npm_command);
linkCommands(root, {toExecutable: !executable.why && !isPacking});
writeLicenses(
	[
		...Object.keys(metafile.inputs),
		...Object.keys(worker.metafile.inputs),
		...(executable.inputs ?? []),
		'node_modules/node-api-headers/',
	],
	executable.license,
);

function run(program, args) {
	const {status} = spawnSync(program, args, {cwd: root, stdio: 'inherit'});
	if (status !== 0) process.exit(status ?? 1);
}

/** A part of the library's bundle under its own name: both have the same classes of errors. Node finds such names in the text. */
function writePromises() {
	const {promises} = require(join(dist, 'index.js'));
	const names = Object.keys(promises).map((name) => `exports.${name} = promises.${name};\n`);
	writeFileSync(
		join(dist, 'promises.js'),
		`'use strict';\nconst {promises} = require('./index.js');\n${names.join('')}`,
	);
}

/** The licences of the bundled packages, and of the engine. */
function writeLicenses(inputs, engineLicense) {
	const names = new Set(
		inputs.map((input) => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input)?.[1]).filter((name) => name !== undefined),
	);
	const texts = [...names].sort().map((name) => {
		const folder = join(root, 'node_modules', name);
		const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
		const {version, license} = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
		return `${name} ${version} (${license})\n\n${file ? readFileSync(join(folder, file), 'utf8').trim() : ''}\n`;
	});
	if (engineLicense) texts.push(`quickjs-ng (MIT)\n\n${engineLicense}\n`);
	rmSync(join(dist, 'LICENSES.txt'), {force: true});
	writeFileSync(join(dist, 'LICENSES.txt'), texts.join(`\n${'-'.repeat(72)}\n\n`));
}
