// A copy of the package in which the C is compiled with AddressSanitizer and UndefinedBehaviorSanitizer, for `npm run test:sanitize`.
import {execFileSync} from 'node:child_process';
import {cpSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {join} from 'node:path';

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
		if (!['test', 'sanitized', 'native.node'].includes(name))
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

	// The runtime is for this Node alone: what a command starts must not see it.
	const settings = sanitizedEnvironment(compiler);
	const names = Object.keys(settings);
	rmSync(join(home, 'bin'), {recursive: true, force: true});
	mkdirSync(join(home, 'bin', 'start'), {recursive: true});
	for (const command of readdirSync(join(root, 'bin'))) {
		const start = join(home, 'bin', 'start', `${command}.cjs`);
		writeFileSync(
			start,
			`for (const name of ${JSON.stringify(names)}) delete process.env[name];\nrequire('../../dist/start.js').start('${command}');\n`,
		);
		const exports = names.map((name) => `${name}='${settings[name]}'`).join(' ');
		writeFileSync(join(home, 'bin', command), `#!/bin/sh\n${exports} exec '${process.execPath}' '${start}' "$@"\n`, {
			mode: 0o755,
		});
	}
}
