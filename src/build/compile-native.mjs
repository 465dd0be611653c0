// Compiles the addon with the C compiler alone, into dist/native.node.
import {spawnSync} from 'node:child_process';
import {existsSync, mkdirSync, readdirSync, renameSync} from 'node:fs';
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

const home = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const flags = ['-std=c11', '-D_GNU_SOURCE', '-D_FILE_OFFSET_BITS=64', '-O2', '-fPIC', '-shared', '-fvisibility=hidden'];
const warnings = ['-Wall', '-Wextra', '-Werror'];

/** The headers of Node-API: of the package that the build uses, or the copy of them that is published. Undefined for none. */
export function nodeApiHeaders() {
	try {
		return createRequire(import.meta.url)('node-api-headers').include_dir;
	} catch {
		const copy = join(home, 'dist', 'include');
		return existsSync(copy) ? copy : undefined;
	}
}

/** Returns why that failed, and undefined once it is made. */
export function compileNative({root, compiler = process.env.CC || 'cc', output = join(root, 'dist', 'native.node')}) {
	const headers = nodeApiHeaders();
	if (!headers) return 'the package node-api-headers is missing; run: npm ci';
	const native = join('src', 'native');
	const sources = readdirSync(join(root, native), {recursive: true}).filter((name) => name.endsWith('.c'));
	mkdirSync(dirname(output), {recursive: true});
	const {error, status} = spawnSync(
		compiler,
		[
			...flags,
			...warnings,
			...['-s', '-isystem', headers, '-I', native],
			...sources.map((name) => join(native, name)),
			...['-o', `${output}.new`],
		],
		{cwd: root, stdio: 'inherit'},
	);
	if (error) {
		const why = error.code === 'ENOENT' ? `there is no C compiler '${compiler}'` : error.message;
		return `${why}; install one (Debian: apt install gcc libc6-dev; Alpine: apk add gcc musl-dev) and try again`;
	}
	if (status !== 0) return `'${compiler}' could not compile the addon`;
	// In one step: a command that runs meanwhile has the old one or the new one.
	renameSync(`${output}.new`, output);
	return undefined;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	const why = compileNative({root: home});
	if (why) {
		console.error(`ipc-tools: ${why}`);
		process.exitCode = 1;
	}
}
