// Compiles the addon with the C compiler alone; --unless-prebuilt: does nothing if a prebuilt one fits.
import {spawnSync} from 'node:child_process';
import {existsSync, mkdirSync, readdirSync, renameSync} from 'node:fs';
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const prebuilt = join(root, 'prebuilds', `linux-${process.arch}.node`);

function loads(path) {
	try {
		process.dlopen({exports: {}}, path);
		return true;
	} catch {
		return false;
	}
}

if (process.argv.includes('--unless-prebuilt') && existsSync(prebuilt) && loads(prebuilt)) process.exit(0);

let headers;
try {
	headers = createRequire(import.meta.url)('node-api-headers').include_dir;
} catch {
	console.error('ipc-tools: the package node-api-headers is missing; run: npm ci');
	process.exit(1);
}

const compiler = process.env.CC || 'cc';
const native = join('src', 'native');
const sources = readdirSync(join(root, native), {recursive: true}).filter((name) => name.endsWith('.c'));
const output = join(root, 'dist', 'native.node');
mkdirSync(dirname(output), {recursive: true});
const flags = ['-std=c11', '-D_GNU_SOURCE', '-D_FILE_OFFSET_BITS=64', '-O2', '-fPIC', '-shared', '-fvisibility=hidden'];
const warnings = ['-Wall', '-Wextra', '-Werror'];
const {error, status} = spawnSync(
	compiler,
	[
		...flags,
		...warnings,
		'-isystem',
		headers,
		'-I',
		native,
		...sources.map((name) => join(native, name)),
		'-o',
		`${output}.new`,
	],
	{cwd: root, stdio: 'inherit'},
);
if (error) {
	const why = error.code === 'ENOENT' ? `there is no C compiler '${compiler}'` : error.message;
	console.error(
		`ipc-tools: ${why}; install one (Debian: apt install gcc libc6-dev; Alpine: apk add gcc musl-dev) and try again`,
	);
	process.exit(1);
}
if (status !== 0) process.exit(status ?? 1);
// In one step: a command that runs meanwhile has the old one or the new one.
renameSync(`${output}.new`, output);
