// A copy of the package in which the C is compiled with AddressSanitizer and UndefinedBehaviorSanitizer, for `npm run test:sanitize`.
import {execFileSync} from 'node:child_process';
import {cpSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {join} from 'node:path';
import {loadCommands} from '../../../src/build/commands.mjs';
import {buildEngine} from '../../../src/build/engine.mjs';

/** The tests that run where no others are named: all of the native layer and the library, and some data through each command. */
export const defaultParts = [
	'/native/',
	'/library.',
	'/common/framing',
	'/mq/recv',
	'/mq/split',
	'/pipe/records',
	'/sem/wait-post',
	'/shm/ring',
	'/shm/words',
	'/signal/send',
	'/signal/wait',
	'/sock/descriptors',
	'/sock/records',
];

/**
 * What a Node needs that loads such an addon. The runtime comes first, since Node itself is not compiled so. V8 uses SIGSEGV and the
 * addon SIGBUS for their own purposes. What Node has not freed when it exits is not ours to report.
 *
 * @param {string} compiler
 * @returns {Record<string, string>}
 */
export function sanitizedEnvironment(compiler) {
	const library = execFileSync(compiler, ['-print-file-name=libasan.so'], {encoding: 'utf8'}).trim();
	if (!library.startsWith('/')) throw new Error(`${compiler} has no libasan.so`);
	return {
		LD_PRELOAD: library,
		ASAN_OPTIONS: 'detect_leaks=0:handle_segv=0:handle_sigbus=0:abort_on_error=1',
		UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1:abort_on_error=1',
	};
}

/**
 * @param {{root: string, home: string, compiler: string, run: (program: string, words: string[]) => Promise<void>}} settings
 * @returns {Promise<void>}
 */
export async function makeSanitized({root, home, compiler, run}) {
	for (const name of ['man', 'src', 'test', 'package.json', 'README.md', 'CHANGELOG.md', 'package-lock.json'])
		if (!existsSync(join(home, name))) symlinkSync(join(root, name), join(home, name));
	for (const name of readdirSync(join(root, 'dist')))
		if (!['test', 'sanitized', 'native.node', 'ipc', 'commands'].includes(name))
			cpSync(join(root, 'dist', name), join(home, 'dist', name), {recursive: true});

	const native = join(root, 'src', 'native');
	const headers = createRequire(import.meta.url)('node-api-headers').include_dir;
	await run(compiler, [
		...['-std=c11', '-D_GNU_SOURCE', '-D_FILE_OFFSET_BITS=64', '-fPIC', '-shared', '-fvisibility=hidden'],
		...['-O1', '-g', '-fno-omit-frame-pointer', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'],
		...['-isystem', headers, '-I', native],
		...readdirSync(native, {recursive: true, encoding: 'utf8'})
			.filter((name) => name.endsWith('.c'))
			.map((name) => join(native, name)),
		...['-o', join(home, 'dist', 'native.node')],
	]);

	const {commands} = await loadCommands(root);
	const executable = join(home, 'dist', 'ipc');
	if (!(await buildEngine({root, commands, executable, sanitize: true})))
		throw new Error('the executable could not be made');

	// The runtime's settings are for ours alone: what a command starts must not see LD_PRELOAD.
	const {LD_PRELOAD, ...options} = sanitizedEnvironment(compiler);
	const exports = Object.entries(options)
		.map(([name, value]) => `export ${name}='${value}'`)
		.join('; ');
	rmSync(join(home, 'bin'), {recursive: true, force: true});
	mkdirSync(join(home, 'bin', 'node'), {recursive: true});
	const writeScript = (path, text) => writeFileSync(path, `#!/bin/bash\n${text}\n`, {mode: 0o755});
	// For uses that become Node.
	writeScript(join(home, 'bin', 'node', 'node'), `export LD_PRELOAD='${LD_PRELOAD}'; exec '${process.execPath}' "$@"`);
	for (const command of readdirSync(join(root, 'bin')))
		writeScript(
			join(home, 'bin', command),
			`unset LD_PRELOAD; ${exports}; PATH="${join(home, 'bin', 'node')}:$PATH" exec -a '${command}' '${executable}' "$@"`,
		);
}
