// Makes dist/ipc: the six commands on the small runtime, in one executable. Without the engine's sources or a C compiler
// that can link statically the commands run on Node.
import {execFileSync, spawnSync} from 'node:child_process';
import {existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync} from 'node:fs';
import {constants} from 'node:os';
import {basename, dirname, join, relative} from 'node:path';
import {getSystemErrorMap} from 'node:util';
import {build} from 'esbuild';
import {nodeApiHeaders} from './compile-native.mjs';
import {inspect} from './elf.mjs';
import {compileEngine, engineVersion} from './engine-sources.mjs';

const warnings = ['-Wall', '-Wextra', '-Werror', '-Wno-cast-function-type'];
const hardening = ['-O2', '-fPIE', '-fstack-protector-strong', '-D_FORTIFY_SOURCE=2'];
const sanitizers = [
	'-O1',
	'-g',
	'-fPIE',
	'-fno-omit-frame-pointer',
	'-fsanitize=address,undefined',
	'-fno-sanitize-recover=all',
];
const sections = ['-ffunction-sections', '-fdata-sections', '-fvisibility=hidden'];

/** What src/engine/host/snapshot.c begins with, and the most and the least room for it. */
const snapshotMark = Buffer.from('ipc-tools heap\n\0');
const mostSnapshotBytes = 2 ** 21;
const leastSnapshotBytes = 4096;
const pageBytes = 4096;
/** How many of the some ninety verbs and commands import a module that is in the snapshot. */
const usesOfShared = 12;

/** Parts of the native layer for which src/engine/host has its own. */
const ofNode = ['user-database.c', 'node-process.c', 'node-readiness.c', 'export.c'];

/**
 * One entry for each verb, and one for each command: its front, which knows the verbs' names only, and answers what is no
 * verb: help, mistakes, completion of a verb's name.
 */
function entriesOf(commands) {
	const entries = new Map([
		['globals', `import './engine/node/globals.js';`],
		// For src/engine/node/crypto.ts.
		['sha256', `export {sha256} from '@noble/hashes/sha2.js';`],
	]);
	for (const {folder, command, verbs} of commands) {
		for (const {name, file, exported} of verbs)
			entries.set(
				`${folder}_${name}`,
				`import {about} from './${folder}/about.js';
import {${exported}} from './${file}.js';
import {main} from './common/program.js';
main({...about, verbs: {'${name}': ${exported}}});`,
			);
		const stubs = Object.entries(command.verbs).map(
			([name, {aliases = []}]) => `'${name}': named(${JSON.stringify(aliases)})`,
		);
		const loaders = verbs.flatMap(({name, verb}) =>
			[name, ...(verb.aliases ?? [])].map((word) => `'${word}': () => import('entry:${folder}_${name}')`),
		);
		entries.set(
			folder,
			`import {about} from './${folder}/about.js';
import {named, start} from './engine/front.js';
start(about, {${stubs.join(', ')}}, {${loaders.join(', ')}});`,
		);
	}
	return entries;
}

/** A function that answers the table. Few starts need one: as a text it costs them nothing. */
const lateTable = (table) => `(() => {
	let parsed;
	return () => (parsed ??= JSON.parse(${JSON.stringify(JSON.stringify(table))}));
})()`;

/** Modules that only the small runtime has: its native layer, and what it needs of this Node's own tables. */
const virtualModules = (arch) => ({
	'ipc-tools:native': 'export const addon = globalThis.engineNative;',
	'ipc-tools:system-errors': `export const systemErrors = ${lateTable(
		Object.fromEntries([...getSystemErrorMap()].map(([number, entry]) => [-number, entry])),
	)};`,
	'ipc-tools:constants': `export const signals = ${lateTable(constants.signals)};
export const errno = ${lateTable(constants.errno)};`,
	'ipc-tools:target': `export const arch = '${arch}'; export const engineVersion = '${engineVersion}';`,
});

/** Puts the stand-ins of src/engine in the place of Node's modules. */
const smallRuntime = ({source, entries, arch}) => ({
	name: 'small-runtime',
	setup({onLoad, onResolve}) {
		const {standIns, nodeOnly} = JSON.parse(readFileSync(join(source, 'engine', 'modules.json'), 'utf8'));
		const virtual = virtualModules(arch);
		onResolve({filter: /^entry:/}, ({path}) => ({path: path.slice('entry:'.length), namespace: 'entry'}));
		onLoad({filter: /.*/, namespace: 'entry'}, ({path}) => ({contents: entries.get(path), resolveDir: source}));
		onResolve({filter: /^ipc-tools:/}, ({path}) => ({path, namespace: 'virtual', sideEffects: false}));
		onLoad({filter: /.*/, namespace: 'virtual'}, ({path}) => ({contents: virtual[path]}));
		onResolve({filter: /^\.\/addon\.js$/}, () => ({
			path: 'ipc-tools:native',
			namespace: 'virtual',
			sideEffects: false,
		}));
		onResolve({filter: /\/runtime\.js$/}, () => ({path: join(source, 'engine', 'runtime.ts')}));
		onResolve({filter: /^(node:|execa$)/}, ({path}) => {
			if (standIns[path]) return {path: join(source, 'engine', 'node', standIns[path]), sideEffects: false};
			if (nodeOnly.includes(path)) return {path, namespace: 'node-only', sideEffects: false};
			return {errors: [{text: `src/engine/modules.json does not name '${path}'`}]};
		});
		onResolve({filter: /\/(cluster|secure)\/.*\.js$/}, ({path}) => ({
			path,
			namespace: 'node-only',
			sideEffects: false,
		}));
		// A verb that uses one of these becomes Node before it does (`needsNode`).
		onLoad({filter: /.*/, namespace: 'node-only'}, () => ({contents: 'module.exports = {};'}));
	},
});

/**
 * Makes the executable for this machine, or for `arch` and `compiler` where those are given. Answers the files that are in it, and
 * the engine's licence; `{why}` where it could not be made. `extra` are modules by the name that the executable is called by for
 * them, after `ipc-`. What is needed on the way stays in `output`.
 */
export async function buildEngine({
	root,
	commands,
	arch = process.env.IPC_ARCH || process.arch,
	compiler = process.env.IPC_CC || process.env.CC || 'cc',
	executable = join(root, 'dist', 'ipc'),
	sanitize = false,
	output = join(dirname(executable), 'engine'),
	extra = new Map(),
}) {
	const source = join(root, 'src');
	rmSync(output, {recursive: true, force: true});
	mkdirSync(output, {recursive: true});
	const engine = compileEngine({root, compiler, output});
	if (engine.why) return {why: engine.why};
	const link = sanitize ? {before: ['-pie'], after: []} : waysToLink(compiler, output);

	const entries = new Map([...entriesOf(commands), ...extra]);
	const {metafile} = await build({
		absWorkingDir: root,
		metafile: true,
		entryPoints: Object.fromEntries([...entries.keys()].map((name) => [name, `entry:${name}`])),
		outdir: output,
		bundle: true,
		splitting: true,
		format: 'esm',
		platform: 'neutral',
		mainFields: ['module', 'main'],
		conditions: ['default'],
		target: 'es2022',
		minifySyntax: true,
		// 90 KiB less, which leaves room for more shared modules. A trace still names file and line.
		minifyIdentifiers: true,
		logLevel: 'warning',
		define: {__dirname: '"/"', 'process.arch': JSON.stringify(arch)},
		plugins: [smallRuntime({source, entries, arch})],
	});
	writeFileSync(join(output, 'shared.js'), sharedModules(metafile));
	const modules = readdirSync(output).filter((name) => name.endsWith('.js'));
	run(engine.compile, [output, ...modules]);
	writeTable(output, 'module', tableOfModules(modules, commands, output));
	writeTable(output, 'text', tableOfTexts(join(root, 'dist')));

	const native = join(source, 'native');
	const host = join(source, 'engine', 'host');
	const cFiles = (folder) => readdirSync(folder, {recursive: true}).filter((name) => name.endsWith('.c'));
	const words = [
		...['-std=gnu11', '-D_GNU_SOURCE', '-D_FILE_OFFSET_BITS=64'],
		...[...(sanitize ? sanitizers : hardening), ...sections, ...warnings],
		...['-I', native, '-I', host, '-isystem', engine.headers, '-isystem', nodeApiHeaders()],
	];
	const compileWith = (...more) => spawnSync(compiler, more, {cwd: root, stdio: 'inherit'}).status === 0;
	const objects = join(output, 'all.o');
	const isCompiled = compileWith(
		...['-r', '-nostdlib', ...words],
		...cFiles(native)
			.filter((name) => !ofNode.includes(name))
			.map((name) => join(native, name)),
		...cFiles(host)
			.filter((name) => !['compile.c', 'snapshot.c'].includes(name))
			.map((name) => join(host, name)),
		...['module.c', 'module.S', 'text.c', 'text.S'].map((name) => join(output, name)),
		...['-o', objects],
	);
	if (!isCompiled) return {why: `'${compiler}' could not compile the executable`};
	const linked = `${executable}.new`;
	/** Links with that many bytes for the snapshot. */
	const linkWith = (snapshotBytes) =>
		compileWith(
			...[...link.before, ...words, `-DSNAPSHOT_BYTES=${snapshotBytes}`],
			...[join(host, 'snapshot.c'), objects, ...engine.objects],
			...['-Wl,--gc-sections', '-Wl,-z,relro,-z,now', '-Wl,--wrap=gettimeofday', ...(sanitize ? [] : ['-s'])],
			...['-lm', '-lpthread', '-lrt', ...link.after, '-o', linked],
		);
	const isLinked = sanitize ? linkWith(leastSnapshotBytes) : linkWithSnapshot(linked, arch, linkWith);
	if (!isLinked) return {why: `'${compiler}' could not link the executable`};
	// In one step: a command that runs meanwhile has the old one or the new one.
	renameSync(linked, executable);
	return {inputs: Object.keys(metafile.inputs), license: engine.license};
}

/**
 * Imports the modules that enough verbs share. They are loaded when building: see src/engine/host/snapshot.c. Each of them takes
 * every start a little time, and much more time those that use it and would have to load it.
 */
function sharedModules({outputs}) {
	const uses = new Map();
	const entries = Object.keys(outputs).filter((name) => outputs[name].entryPoint);
	for (const entry of entries) {
		const reached = new Set();
		const visit = (module) => {
			if (reached.has(module)) return;
			reached.add(module);
			for (const {path, kind} of outputs[module].imports) if (kind === 'import-statement') visit(path);
		};
		visit(entry);
		for (const module of reached) if (module !== entry) uses.set(module, (uses.get(module) ?? 0) + 1);
	}
	return [...uses]
		.filter(([, count]) => count >= usesOfShared)
		.map(([module]) => `import './${basename(module)}';\n`)
		.sort()
		.join('');
}

/**
 * Links the executable, lets it make its snapshot to learn how large that is, links it again with room for just that, and stores it.
 * Without a snapshot, which an executable for another processor makes only where an emulator is installed, it starts more slowly.
 */
function linkWithSnapshot(executable, arch, linkWith) {
	if (!linkWith(mostSnapshotBytes)) return false;
	const size = makeSnapshot(executable, arch)?.readBigUInt64LE(snapshotMark.length);
	if (size === undefined) {
		console.error('ipc-tools: the executable could not make its snapshot, and will start more slowly');
		return linkWith(leastSnapshotBytes);
	}
	if (!linkWith(Math.ceil(Number(size) / pageBytes) * pageBytes)) return false;
	const snapshot = makeSnapshot(executable, arch);
	const bytes = readFileSync(executable);
	const at = bytes.indexOf(snapshotMark);
	if (!snapshot || at < 0) return false;
	snapshot.copy(bytes, at);
	writeFileSync(executable, bytes);
	return true;
}

/** What stands in the executable from `snapshotMark` on, with the snapshot in it; undefined where that failed. */
function makeSnapshot(executable, arch) {
	const emulator = {arm64: 'qemu-aarch64', x64: 'qemu-x86_64'}[arch];
	const ways =
		arch === process.arch
			? [[executable, [], 'ipc-freeze']]
			: [emulator, `${emulator}-static`].map((program) => [program, ['-0', 'ipc-freeze', executable], program]);
	for (const [program, words, argv0] of ways) {
		const {status, stdout} = spawnSync(program, words, {
			argv0,
			stdio: ['ignore', 'pipe', 'inherit'],
			maxBuffer: 2 * mostSnapshotBytes,
		});
		if (status === 0) return stdout;
	}
	return undefined;
}

/**
 * Static: it runs in an empty root folder, and needs no loader, which would take as long as all the rest of a start.
 *
 * The words that make a static executable which is loaded at another address each time. Debian's musl-gcc is a file of specs for
 * the compiler of glibc, and those do not know -static-pie: they link dynamically. So with it we name musl's start files ourselves,
 * as the specs of GCC do.
 */
function waysToLink(compiler, output) {
	const probe = join(output, 'probe.c');
	writeFileSync(probe, 'int main(void) { return 0; }\n');
	const usual = {before: ['-static-pie'], after: []};
	const made = spawnSync(compiler, ['-fPIE', '-static-pie', probe, '-o', `${probe}.out`], {stdio: 'ignore'});
	if (made.status === 0 && !inspect(`${probe}.out`).isDynamic) return usual;
	const {stderr} = spawnSync(compiler, ['-###', probe], {encoding: 'utf8', env: {...process.env, LC_ALL: 'C'}});
	const folder = /(\S*\/)S?crt1\.o\b/.exec(stderr)?.[1].replace(/^"/, '');
	if (!folder || !existsSync(`${folder}rcrt1.o`)) return usual;
	const ofCompiler = (name) => execFileSync(compiler, [`-print-file-name=${name}`], {encoding: 'utf8'}).trim();
	return {
		before: [
			...['-nostartfiles', '-static', '-Wl,-pie,--no-dynamic-linker,-z,text'],
			...[`${folder}rcrt1.o`, `${folder}crti.o`, ofCompiler('crtbeginS.o')],
		],
		after: [ofCompiler('crtendS.o'), `${folder}crtn.o`],
	};
}

/** The modules by the names they are looked up with: chunks by their file, verbs and aliases as `sem/post`, fronts as `sem`. */
function tableOfModules(modules, commands, output) {
	const table = new Map();
	const fileOf = (name) => join(output, `${name}.js.bc`);
	for (const file of modules) {
		const name = basename(file, '.js');
		if (name.startsWith('chunk-')) table.set(file, fileOf(name));
		else table.set(name.replace('_', '/'), fileOf(name));
		// As the modules import one another.
		table.set(file, fileOf(name));
	}
	for (const {folder, verbs} of commands)
		for (const {name, verb} of verbs)
			for (const alias of verb.aliases ?? []) table.set(`${folder}/${alias}`, fileOf(`${folder}_${name}`));
	return table;
}

/** The texts of dist/help. */
function tableOfTexts(dist) {
	const files = readdirSync(join(dist, 'help'), {recursive: true, withFileTypes: true}).filter((entry) =>
		entry.isFile(),
	);
	return new Map(
		files.map(({parentPath, path = parentPath, name}) => [relative(dist, join(path, name)), join(path, name)]),
	);
}

/** A table of `struct resource` that is sorted by name; files with the same bytes are held once. */
function writeTable(folder, kind, table) {
	const symbols = new Map();
	const assembly = [];
	const rows = [...table]
		.sort(([one], [other]) => (one < other ? -1 : 1))
		.map(([name, file]) => {
			const bytes = readFileSync(file, 'latin1');
			let symbol = symbols.get(bytes);
			if (!symbol) {
				symbol = `${kind}_${symbols.size}`;
				symbols.set(bytes, symbol);
				assembly.push(
					`\t.balign 8\n\t.globl ${symbol}\n${symbol}:\n\t.incbin "${file}"\n\t.globl ${symbol}_end\n${symbol}_end:\n`,
				);
			}
			return `\t{"${name}", ${symbol}, ${symbol}_end},\n`;
		});
	writeFileSync(
		join(folder, `${kind}.S`),
		`\t.section .rodata\n${assembly.join('')}\t.section .note.GNU-stack,"",%progbits\n`,
	);
	writeFileSync(
		join(folder, `${kind}.c`),
		`#include "engine.h"\n${[...symbols.values()].map((symbol) => `extern const uint8_t ${symbol}[], ${symbol}_end[];\n`).join('')}
static const struct resource rows[] = {\n${rows.join('')}};
const struct resource_table bundled_${kind}s = {rows, ${rows.length}};\n`,
	);
}

function run(program, words) {
	const {status, error} = spawnSync(program, words, {stdio: 'inherit'});
	if (error) throw error;
	if (status !== 0) process.exit(status ?? 1);
}
