import assert from 'node:assert/strict';
import {spawnSync} from 'node:child_process';
import {join} from 'node:path';
import test from 'node:test';
import {root} from '../support/run.js';
import {SemaphoreWorld} from '../support/semaphores.js';
import {assertDone, assertFails} from '../support/world.js';

// Where there is no room, or nothing at all: with a /dev/shm of our own, in a mount name space of our own.

const mayMount =
	spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/dev/shm'], {stdio: 'ignore'}).status === 0;
const needsMount = {skip: !mayMount && 'needs the right to mount a /dev/shm of its own'};

/** Lines for the shell where /dev/shm is a new one, made with these options of mount(8). */
const inOwnFolder = (world: SemaphoreWorld, options: string, script: string) =>
	world.shell(`unshare -m bash -c 'mount -t tmpfs ${options} none /dev/shm && { ${script}; }'`);

test('no room to make one: an error, and no half of one is left', needsMount, async (t) => {
	const world = new SemaphoreWorld(t);
	assertFails(
		await inOwnFolder(
			world,
			'-o size=4k',
			'head -c 4096 /dev/zero >/dev/shm/full; ipc-sem create a; status=$?; ls /dev/shm | grep -v full; exit $status',
		),
		1,
		"ipc-sem: cannot create 'a': no space left in /dev/shm\n",
	);
});

test(
	'no room to record one more holder: an error, nothing taken, and there is room again when the others leave',
	needsMount,
	async (t) => {
		const world = new SemaphoreWorld(t);
		// One page: the list has room for 31 in it.
		const holder = `
		const {Semaphore} = require(process.env.LIBRARY);
		const semaphore = Semaphore.open("a");
		for (let i = 0; i < 31; i++) semaphore.hold();
		try { semaphore.hold() } catch (error) { console.log(error.message) }
		const {status} = require("child_process").spawnSync("ipc-sem", ["run", "a", "--", "true"], {stdio: "inherit"});
		console.log(status, semaphore.value, semaphore.listHolders().length);
	`;
		const ended = await world.shell(
			`unshare -m bash -c 'mount -t tmpfs -o size=4k none /dev/shm && ipc-sem create a --value 40 && node -e "$HOLDER" && ipc-sem value a && ipc-sem reap && ipc-sem run a -- ipc-sem value a && stat -c %s /dev/shm/sem.a'`,
			{env: {HOLDER: holder, LIBRARY: join(root, 'dist', 'index.js')}},
		);
		const message = "cannot record who holds 'a': no space left in /dev/shm";
		assert.deepEqual(
			[ended.status, ended.stdout.toString(), ended.stderr],
			[0, `${message}\n125 9 31\n9\na 31\n39\n32\n`, `ipc-sem: ${message}\n`],
		);
	},
);

test('no /dev/shm at all: nothing is there, and nothing can be made', needsMount, async (t) => {
	const world = new SemaphoreWorld(t);
	const without = (line: string) =>
		world.shell(`unshare -m bash -c 'mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && ${line}'`);
	assertDone(await without('ipc-sem list --no-headings && ipc-sem reap'), '');
	const ended = await without('ipc-sem create a');
	assert.equal(ended.status, 1);
	assert.match(ended.stderr, /^ipc-sem: cannot create 'a': .*\n$/);
});

test('a /dev/shm that may only be read: looking goes, nothing else', needsMount, async (t) => {
	const world = new SemaphoreWorld(t);
	const ended = await inOwnFolder(
		world,
		'-o size=1m',
		'ipc-sem create a --value 2 && mount -o remount,ro /dev/shm && ipc-sem value a && ipc-sem stat a --json | grep -c value && ipc-sem wait a',
	);
	assert.deepEqual(
		[ended.status, ended.stdout.toString(), ended.stderr],
		[1, '2\n1\n', "ipc-sem: cannot open 'a': the file system is read-only\n"],
	);
});

test('a limit of descriptors below the one a command gets is named, and the unit stays', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	assertFails(
		await world.shell(`ulimit -n 64; ipc-sem run ${name} -- true`),
		125,
		`ipc-sem: cannot record who holds '${name}': the command needs descriptor 100, which is over the limit (RLIMIT_NOFILE; see: ulimit -n)\n`,
	);
	await world.assertAtRest(name, 1);
});

test('a file that may not grow: an error, and the unit stays', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	assertFails(
		await world.shell(`ulimit -f 0; ipc-sem run ${name} -- true 2>&1 | cat >&2; exit \${PIPESTATUS[0]}`),
		125,
		`ipc-sem: cannot record who holds '${name}': the file would become too large (RLIMIT_FSIZE; see: ulimit -f)\n`,
	);
	await world.assertAtRest(name, 1);
});

test('more semaphores at once than there are descriptors: each that cannot be opened is an answer', async (t) => {
	const world = new SemaphoreWorld(t);
	const names = Array.from({length: 60}, () => world.name());
	assertDone(await world.sem('create', ...names), '');
	const lines = names.map((name) => `post ${name}`).join('\\n');
	const ended = await world.shell(`ulimit -n 40; printf '${lines}\\nvalue ${names[0]}\\n' | ipc-sem batch`);
	const answers = ended.stdout.toString().split('\n');
	assert.equal(ended.status, 1);
	assert.equal(answers.length, 62);
	assert.ok(answers.some((answer) => /^error .*RLIMIT_NOFILE/.test(answer)));
	assert.equal(answers[60], '2');
});

test('reap reports each file that is not a semaphore once', needsMount, async (t) => {
	const world = new SemaphoreWorld(t);
	const ended = await inOwnFolder(
		world,
		'-o size=1m',
		'echo text >/dev/shm/sem.a; ipc-sem create b c && ipc-sem reap --verbose',
	);
	assert.deepEqual(
		[ended.status, ended.stdout.toString(), ended.stderr],
		[0, '', "ipc-sem: cannot open 'a': it is not a semaphore: /dev/shm/sem.a has 5 bytes, a semaphore has 32\n"],
	);
});

test('reap into a full device fails', needsMount, async (t) => {
	const world = new SemaphoreWorld(t);
	for (const words of ['reap', 'reap a b'])
		assertFails(
			await inOwnFolder(
				world,
				'-o size=1m',
				`ipc-sem create a b
				for each in a b; do ipc-sem run $each -- sh -c "kill -9 \\$PPID"; done 2>/dev/null
				for each in a b; do until ipc-sem stat $each | grep -q dead; do sleep 0.01; done; done
				ipc-sem ${words} >/dev/full`,
			),
			1,
			'ipc-sem: cannot write to stdout: no space left on the device\n',
		);
});
