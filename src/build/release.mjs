// Makes all that is published, of dist/ as the build has left it: `release.mjs [--output FOLDER] [TARGET…]`. The package for npm, with
// executables and addons for all targets, and for each target an archive that is unpacked into a prefix: /usr/local, ~/.local. The
// same sources, compilers and Node make the same bytes. SOURCE_DATE_EPOCH is the date of the files, otherwise that of the last commit.
import {spawnSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {
	chmodSync,
	copyFileSync,
	existsSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	rmSync,
	statSync,
	symlinkSync,
	writeFileSync,
} from 'node:fs';
import {basename, dirname, join, relative} from 'node:path';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';
import {gzipSync} from 'node:zlib';
import {linkCommands} from './link-commands.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const {values, positionals} = parseArgs({options: {output: {type: 'string'}}, allowPositionals: true});
const output = values.output ?? join(root, 'release');
const packageJson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const {name, version, bin, files} = packageJson;
const commands = Object.keys(bin).filter((command) => command !== name);
/** The archives hold the commands only. */
const ofLibrary = ['index.js', 'promises.js'];
const mostBytes = 8 * 2 ** 20;
const line = `\n${'-'.repeat(72)}\n\n`;

process.umask(0o022);
rmSync(output, {recursive: true, force: true});
mkdirSync(output, {recursive: true});
const staging = join(output, 'package');
const prebuilds = join(staging, 'prebuilds');
const prebuilt = spawnSync(
	process.execPath,
	[join(root, 'src', 'build', 'prebuild.mjs'), '--output', prebuilds, ...positionals],
	{cwd: root, stdio: 'inherit'},
);
const targets = existsSync(prebuilds) ? readdirSync(prebuilds).sort() : [];
if (prebuilt.status !== 0 || targets.length === 0) end('nothing was packed, since an executable could not be made');

fillPackage();
const archives = [packForNpm(), ...targets.map(packForPrefix)];
rmSync(staging, {recursive: true});
const sums = archives.map(
	(path) => `${createHash('sha256').update(readFileSync(path)).digest('hex')}  ${basename(path)}\n`,
);
writeFileSync(join(output, 'SHA256SUMS'), sums.join(''));
for (const path of archives) console.log(`${relative(process.cwd(), path)}: ${mebibytes(path)} MiB`);
if (statSync(archives[0]).size > mostBytes) end(`the package for npm is larger than ${mostBytes} bytes`);

/** What package.json lists, and what is made for it. */
function fillPackage() {
	const made = ['prebuilds', 'share', 'dist/commands'];
	for (const entry of [...files, 'README.md', 'LICENSE']) {
		if (made.includes(entry)) continue;
		// `dist/*.js`, `src/native/**/*.[ch]`: the folder, and what a name in it ends with.
		const [, folder, end] = /^([^*]*)\/(?:\*\*\/)?\*(.*)$/.exec(entry) ?? [];
		if (folder === undefined) copy(join(root, entry), join(staging, entry));
		else
			copy(join(root, folder), join(staging, folder), {
				end: new RegExp(`${end.replaceAll('.', '\\.')}$`),
				isDeep: entry.includes('**'),
			});
	}
	const {devDependencies: _, ...published} = packageJson;
	// npm asks the user about scripts: it gets to know of no other than this.
	published.scripts = {install: published.scripts.install};
	writeFileSync(join(staging, 'package.json'), `${JSON.stringify(published, undefined, '\t')}\n`);
	linkCommands(staging, {toExecutable: false});
	writeCompletions();
	writeFileSync(
		join(staging, 'dist', 'LICENSES.txt'),
		[read('dist/LICENSES.txt'), ...licensesOfLibraries()].join(line),
	);
}

/** A file, or a folder with what is in it, whatever the umask was when it was made. */
function copy(source, to, {end, isDeep = true} = {}) {
	const status = statSync(source);
	if (status.isDirectory()) {
		mkdirSync(to, {recursive: true});
		for (const entry of readdirSync(source, {withFileTypes: true}))
			if (entry.isDirectory() ? isDeep : !end || end.test(entry.name))
				copy(join(source, entry.name), join(to, entry.name), {end, isDeep});
		return;
	}
	mkdirSync(dirname(to), {recursive: true});
	copyFileSync(source, to);
	chmodSync(to, status.mode & 0o100 ? 0o755 : 0o644);
}

/** Where the shells look for them, below a prefix: bash and its package bash-completion, zsh, fish. */
function writeCompletions() {
	const places = {
		bash: (command) => join('bash-completion', 'completions', command),
		zsh: (command) => join('zsh', 'site-functions', `_${command}`),
		fish: (command) => join('fish', 'vendor_completions.d', `${command}.fish`),
	};
	for (const command of commands)
		for (const [shell, place] of Object.entries(places)) {
			const start = join(root, 'dist', 'start.js');
			const {status, stdout} = spawnSync(process.execPath, [start, command, 'completion', shell]);
			if (status !== 0) end(`${command} completion ${shell} failed`);
			const path = join(staging, 'share', place(command));
			mkdirSync(dirname(path), {recursive: true});
			writeFileSync(path, stdout);
		}
}

/** The executables hold parts of the C libraries. */
function licensesOfLibraries() {
	return ['libc6-dev', 'musl-dev']
		.map((library) => join('/usr/share/doc', library, 'copyright'))
		.filter((path) => existsSync(path))
		.map((path) => readFileSync(path, 'utf8').trimEnd().concat('\n'));
}

/** npm itself leaves out owners, and gives all files one date. */
function packForNpm() {
	const {status, stdout} = spawnSync('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', output], {
		cwd: staging,
		encoding: 'utf8',
		stdio: ['ignore', 'pipe', 'inherit'],
	});
	if (status !== 0) end('npm pack failed');
	return join(output, JSON.parse(stdout)[0].filename);
}

/** `bin`, `share`, and what the commands need beside their executable: they become Node for some uses, where there is one. */
function packForPrefix(target) {
	const prefix = join(output, target);
	const lib = join('lib', name);
	const doc = join('share', 'doc', name);
	const put = (from, ...to) => copy(join(staging, from), join(prefix, ...to));
	for (const file of ['ipc', 'native.node']) put(join('prebuilds', target, file), lib, file);
	for (const file of readdirSync(join(staging, 'dist')))
		if (['help', 'packages'].includes(file) || (file.endsWith('.js') && !ofLibrary.includes(file)))
			put(join('dist', file), lib, file);
	for (const file of ['README.md', 'CHANGELOG.md', 'LICENSE']) put(file, doc, file);
	put(join('dist', 'LICENSES.txt'), doc, 'LICENSES.txt');
	put('share', 'share');
	for (const page of readdirSync(join(root, 'man'))) put(join('man', page), 'share', 'man', `man${page.at(-1)}`, page);
	mkdirSync(join(prefix, 'bin'));
	for (const command of Object.keys(bin)) symlinkSync(join('..', lib, 'ipc'), join(prefix, 'bin', command));
	const {status, stdout, stderr} = spawnSync(
		'tar',
		[
			...['--create', '--format=ustar', '--sort=name', '--owner=0', '--group=0', '--numeric-owner'],
			...['--mode=u=rwX,go=rX', `--mtime=@${date()}`, '--directory', prefix, 'bin', 'lib', 'share'],
		],
		{maxBuffer: 2 ** 28},
	);
	if (status !== 0) end(`tar failed: ${stderr}`);
	rmSync(prefix, {recursive: true});
	const path = join(output, `${name}-${version}-${target}.tar.gz`);
	writeFileSync(path, gzipSync(stdout, {level: 9}));
	return path;
}

/** Seconds since 1970. */
function date() {
	const {stdout} = spawnSync('git', ['log', '-1', '--format=%ct'], {cwd: root, encoding: 'utf8'});
	return process.env.SOURCE_DATE_EPOCH || stdout?.trim() || '0';
}

function read(path) {
	return readFileSync(join(root, path), 'utf8');
}

function mebibytes(path) {
	return (statSync(path).size / 2 ** 20).toFixed(2);
}

function end(why) {
	console.error(`release:pack: ${why}`);
	process.exit(1);
}
