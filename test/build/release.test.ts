import assert from 'node:assert/strict';
import {cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {basename, dirname, join} from 'node:path';
import test, {after, type TestContext} from 'node:test';
import {localTarget} from '../../src/build/targets.mjs';
import {forward} from '../support/foreign.js';
import {needsPidNamespaces} from '../support/namespaces/needs-namespaces.js';
import {needs} from '../support/needs.js';
import {isLong} from '../support/rounds.js';
import {type Ended, root} from '../support/run.js';
import {runtime} from '../support/runtime.js';
import {uniqueName} from '../support/unique-name.js';
import {assertDone, assertFails, World} from '../support/world.js';

const skip =
	(runtime === 'node' && 'needs the executable') ||
	(!isLong && 'takes a minute (npm run test:long)') ||
	needs('npm', 'tar', 'ldd', 'unshare', 'chroot').skip ||
	needsPidNamespaces.skip;

/** What is published for this system. */
const folder = mkdtempSync(join(tmpdir(), 'ipc-tools-release-'));
after(() => rmSync(folder, {recursive: true}));

/** Packs it into a folder of that folder, and answers the checksums. */
async function pack(world: World, to: string, umask: string): Promise<string> {
	const {status, stderr} = await world.shell(
		`umask ${umask}; exec "$NODE" src/build/release.mjs --output "$OUTPUT" ${localTarget()}`,
		{
			cwd: root,
			env: {...forward('HOME', 'XDG_CACHE_HOME', 'QUICKJS_SRC'), NODE: process.execPath, OUTPUT: join(folder, to)},
		},
	);
	assert.equal(status, 0, stderr);
	return readFileSync(join(folder, to, 'SHA256SUMS'), 'utf8');
}

let packing: Promise<string> | undefined;
const packOnce = (world: World): Promise<string> => (packing ??= pack(world, 'packed', '022'));

/** A root folder with a shell and nothing else but the kernel's folders; what is published is in /packed. */
class BareSystem extends World {
	readonly top = this.file('root');

	constructor(t: TestContext) {
		super(t);
		for (const part of ['bin', 'usr/bin', 'usr/local', 'dev', 'proc', 'tmp'])
			mkdirSync(join(this.top, part), {recursive: true});
	}

	async takePacked(): Promise<void> {
		await packOnce(this);
		cpSync(join(folder, 'packed'), this.inside('packed'), {recursive: true});
	}

	inside(path: string): string {
		return join(this.top, path);
	}

	/** The path of a packed file, as the system sees it. */
	packed(end: string): string {
		return `/packed/${readdirSync(this.inside('packed')).find((name) => name.endsWith(end))}`;
	}

	/** Copies a program of this machine there, with the libraries that it needs. */
	async provide(program: string, to: string): Promise<void> {
		cpSync(realpathSync(program), this.inside(to));
		const {stdout} = await this.shell(`ldd '${program}'`);
		for (const [library] of stdout.toString().matchAll(/\/\S+/g))
			cpSync(realpathSync(library.replace(/:$/, '')), this.inside(library.replace(/:$/, '')));
	}

	async providePrograms(...names: string[]): Promise<void> {
		for (const name of names) {
			const {stdout} = await this.shell(`type -P ${name}`);
			await this.provide(stdout.toString().trim(), name === 'sh' ? 'bin/sh' : `usr/bin/${name}`);
		}
	}

	/** Node and npm, and what the scripts of packages need. */
	async provideNode(): Promise<void> {
		await this.provide(process.execPath, 'usr/bin/node');
		await this.providePrograms('sh', 'env');
		const npm = realpathSync((await this.shell('type -P npm')).stdout.toString().trim());
		cpSync(dirname(dirname(npm)), this.inside('usr/lib/npm'), {recursive: true});
		symlinkSync(`../lib/npm/bin/${basename(npm)}`, this.inside('usr/bin/npm'));
	}

	/** Runs a line there. */
	bare(line: string): Promise<Ended> {
		const enter = 'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" /bin/sh -c "$1"';
		return this.startOther('unshare', ['-rmpf', 'sh', '-c', enter, this.top, line], {
			env: {PATH: `${process.env.PATH}:/usr/local/bin`, HOME: '/tmp', IPC_RUNTIME_DIR: '/tmp/run'},
		}).end();
	}

	async npm(words: string): Promise<Ended> {
		const ended = await this.bare(`npm ${words} --offline --no-audit --no-fund --cache /tmp/npm`);
		assert.equal(ended.status, 0, ended.stderr);
		return ended;
	}

	/** All files and links in a prefix. */
	installed(): string[] {
		return readdirSync(this.inside('usr/local'), {recursive: true, withFileTypes: true})
			.filter((entry) => !entry.isDirectory())
			.map(({name}) => name);
	}

	/** Uses each command once. */
	async assertWorks(expectedRuntime: RegExp): Promise<void> {
		for (const command of ['mq', 'pipe', 'sem', 'shm', 'signal', 'sock']) {
			const {status, stdout, stderr} = await this.bare(`ipc-${command} --version --verbose`);
			assert.deepEqual([status, stderr], [0, '']);
			assert.match(stdout.toString(), expectedRuntime);
		}
		const name = uniqueName();
		const does = async (expected: string, line: string) => assertDone(await this.bare(line), expected);
		await does('0\n', `ipc-sem run ${name} --create -- ipc-sem value ${name} && ipc-sem remove ${name}`);
		await does('a\n', `ipc-mq create ${name} && ipc-mq send ${name} a && ipc-mq recv ${name} && ipc-mq remove ${name}`);
		await does('0 5\n', `ipc-shm create ${name} --size 8 && ipc-shm add ${name} 5 && ipc-shm remove ${name}`);
		await does('through\n', 'echo through | ipc-pipe send x & ipc-pipe recv x; wait');
		await does('heard\n', 'echo heard | ipc-sock listen x & ipc-sock wait x && ipc-sock connect x </dev/null; wait');
		await does('7\n', "ipc-signal run -- sh -c 'exit 7'; echo $?");
		await does('', 'ipc-tools pipe remove x 2>/dev/null; exit 0');
	}
}

test('packed twice, also with another umask, the bytes are the same', {skip}, async (t) => {
	const world = new World(t);
	assert.equal(await pack(world, 'again', '077'), await packOnce(world));
});

test('with Node and without a compiler the package is installed, runs and leaves nothing; npx runs it too', {
	skip,
}, async (t) => {
	const system = new BareSystem(t);
	await system.takePacked();
	await system.provideNode();
	const install = `install --global --prefix /usr/local ${system.packed('.tgz')}`;
	await system.npm(install);
	await system.assertWorks(/^runtime: quickjs-ng /m);
	assertDone(await system.bare("ipc-pipe run -- sh -c 'echo on Node'"), 'on Node\n');
	assert.ok(system.installed().includes('ipc-mq.1'));
	await system.npm('uninstall --global --prefix /usr/local ipc-tools');
	assert.deepEqual(system.installed(), []);

	await system.npm(`${install} --ignore-scripts`);
	await system.assertWorks(/^runtime: Node /m);
	await system.npm('uninstall --global --prefix /usr/local ipc-tools');
	assert.deepEqual(system.installed(), []);

	const {stdout} = await system.npm(`exec --yes --package ${system.packed('.tgz')} -- ipc-tools sem --version`);
	assert.match(stdout.toString(), /^ipc-sem \(ipc-tools\) /);
});

test('without an addon and a compiler a command says in one line what is missing, and no link dangles', {
	skip,
}, async (t) => {
	const system = new BareSystem(t);
	await system.takePacked();
	await system.provideNode();
	const archive = system.inside(system.packed('.tgz'));
	assertDone(
		await system.shell(
			`cd '${system.scratch}' && tar xzf '${archive}' && rm -r package/prebuilds && tar czf '${archive}' package`,
		),
	);
	await system.npm(`install --global --prefix /usr/local ${system.packed('.tgz')}`);
	assertFails(
		await system.bare('ipc-sem value x'),
		1,
		/^ipc-sem: the native part of ipc-tools cannot be loaded \(.*\); install a C compiler, then run: npm rebuild .*\n$/,
	);
	await system.npm('uninstall --global --prefix /usr/local ipc-tools');
	assert.deepEqual(system.installed(), []);
});

test('without Node the archive runs from a prefix', {skip}, async (t) => {
	const system = new BareSystem(t);
	await system.takePacked();
	await system.providePrograms('sh');
	assertDone(
		await system.shell(`tar xzf '${system.inside(system.packed('.tar.gz'))}' -C '${system.inside('usr/local')}'`),
	);
	await system.assertWorks(/^runtime: quickjs-ng /m);
	assertFails(
		await system.bare('ipc-pipe run -- true'),
		125,
		/^ipc-pipe: this use of run needs Node, but 'node' is not in PATH .*\n$/,
	);
	const installed = system.installed();
	for (const name of ['ipc-mq.1', 'ipc-tools.7', 'LICENSES.txt', '_ipc-mq', 'ipc-mq.fish'])
		assert.ok(installed.includes(name), name);
});
