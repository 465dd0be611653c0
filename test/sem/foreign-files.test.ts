import assert from 'node:assert/strict';
import {lstatSync, mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync} from 'node:fs';
import test from 'node:test';
import {sleepsIn} from '../support/proc.js';
import {randomBelow, randomBytes} from '../support/random.js';
import {peer} from '../support/run.js';
import {fileOf, SemaphoreWorld} from '../support/semaphores.js';
import {until} from '../support/until.js';
import {assertFails} from '../support/world.js';

// What lies where semaphores live and is none: libc would end us with SIGBUS, wait without end or change another program's data.

interface Foreign {
	title: string;
	make: (path: string, world: SemaphoreWorld) => unknown;
	why: (path: string) => string;
	/** Bytes that have to be as they were. */
	isFile?: boolean;
}

const wrongSize =
	(size: number) =>
	(path: string): string =>
		`it is not a semaphore: ${path} has ${size} bytes, a semaphore has 32`;
const otherLibc = (path: string) =>
	`it is not a semaphore of this C library: ${path} has other contents, or a program with another C library created it`;

/** 32 bytes of which the third word is not what libc writes there. */
function randomWords(): Buffer {
	const bytes = randomBytes(32);
	bytes[9] = 1 + randomBelow(255);
	return bytes;
}

const magic = Buffer.from('ipc-sem\x01', 'latin1');

const foreign: Foreign[] = [
	{title: 'an empty file', make: (path) => writeFileSync(path, ''), why: wrongSize(0), isFile: true},
	{
		title: 'a file that is too short',
		make: (path) => writeFileSync(path, 'x'.repeat(31)),
		why: wrongSize(31),
		isFile: true,
	},
	{
		title: 'a file that is too long',
		make: (path) => writeFileSync(path, 'x'.repeat(33)),
		why: wrongSize(33),
		isFile: true,
	},
	{
		title: 'a file as long as one with holders',
		make: (path) => writeFileSync(path, 'x'.repeat(256)),
		why: wrongSize(256),
		isFile: true,
	},
	{
		title: 'a file with a list of holders and no semaphore before it',
		make: (path) =>
			writeFileSync(path, Buffer.concat([randomWords(), Buffer.alloc(32), magic, Buffer.alloc(56 + 128)])),
		why: otherLibc,
		isFile: true,
	},
	{
		title: '32 bytes of something else',
		make: (path) => writeFileSync(path, randomWords()),
		why: otherLibc,
		isFile: true,
	},
	{title: '32 letters', make: (path) => writeFileSync(path, 'y'.repeat(32)), why: otherLibc, isFile: true},
	{title: 'a folder', make: (path) => mkdirSync(path), why: (path) => `it is not a semaphore: ${path} is a folder`},
	{
		title: 'a symbolic link',
		make: (path, world) => {
			writeFileSync(world.file('target'), 'z'.repeat(32));
			symlinkSync(world.file('target'), path);
		},
		why: (path) => `it is not a semaphore: ${path} is a symbolic link`,
	},
	{
		title: 'a FIFO',
		make: (path, world) => world.shell(`mkfifo ${path}`),
		why: (path) => `it is not a semaphore: ${path} is not a regular file`,
	},
	{
		title: 'a socket',
		make: (path, world) => world.startOther(peer('sock-peer'), ['hold', path, 'stream']).printed('ready'),
		why: (path) => `it is not a semaphore: ${path} is a socket or a device`,
	},
];

const lines = [
	['wait', 1],
	['wait --create', 1],
	['wait -n', 1],
	['post', 1],
	['value', 1],
	['stat', 1],
	['stat --json', 1],
	['watch', 1],
	['reap', 1],
	['run', 125],
	['run --create', 125],
] as const;

for (const [number, {title, make, why, isFile}] of foreign.entries())
	test(`${title} is refused by every verb, and stays as it is`, async (t) => {
		const world = new SemaphoreWorld(t);
		const name = world.name();
		const path = fileOf(name);
		await make(path, world);
		assert.ok(lstatSync(path));
		const before = isFile ? readFileSync(path) : undefined;
		const message = `cannot open '${name}': ${why(path)}`;
		for (const [at, [line, status]] of lines.entries()) {
			const [verb = '', ...words] = line.split(' ');
			const all = [verb, name, ...words, ...(verb === 'run' ? ['--', 'true'] : [])];
			// The real command takes turns: of the lines above each kind of file meets two.
			const ended = at % 5 === number % 5 ? await world.sem(...all) : await world.perform('ipc-sem', ...all);
			assertFails(ended, status, `ipc-sem: ${message}\n`);
		}
		assertFails(await world.sem('create', name, '-x'), 1, `ipc-sem: cannot create '${name}': it already exists\n`);
		assertFails(await world.sem('create', name), 1, `ipc-sem: ${message}\n`);
		const batch = await world.run('ipc-sem', ['batch'], {input: `post ${name}\nvalue ${name}\n`});
		assert.deepEqual([batch.status, batch.stdout.toString(), batch.stderr], [1, `error ${message}\n`.repeat(2), '']);
		// All of them: one that is none is no reason to stop.
		for (const words of [['list'], ['list', '--json'], ['reap']]) {
			const {status, signal, stdout, stderr} = await world.sem(...words);
			assert.deepEqual({status, signal, stderr}, {status: 0, signal: null, stderr: ''});
			assert.ok(!stdout.includes(name));
		}
		if (before) assert.deepEqual(readFileSync(path), before);
	});

test('a folder cannot be removed, and the message says what it is', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = world.name();
	mkdirSync(fileOf(name));
	assertFails(
		await world.sem('rm', name),
		1,
		`ipc-sem: cannot remove '${name}': it is not a semaphore: it is a folder\n`,
	);
});

test('a damaged list of holders is reported, nothing is given back by it, and the value can still be seen', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(2);
	const list = Buffer.alloc(64 + 128, 0xff);
	magic.copy(list);
	const damaged = Buffer.concat([readFileSync(fileOf(name)), Buffer.alloc(32), list]);
	writeFileSync(fileOf(name), damaged);
	const message = `ipc-sem: the list of who holds '${name}' is damaged (remove the semaphore, and create it again)\n`;
	assertFails(await world.sem('run', name, '--', 'true'), 125, message);
	assertFails(await world.sem('stat', name), 1, message);
	assertFails(await world.sem('reap', name), 1, message);
	assert.deepEqual(readFileSync(fileOf(name)), damaged);
	assert.equal((await world.sem('value', name)).stdout.toString(), '2\n');
	assert.equal((await world.sem('wait', name)).status, 0);
	assert.equal(await world.value(name), 1);
});

test('a list that a process throws away while one holds: no crash, and the status of the command is passed on', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	const holder = await world.holding(name);
	await world.shell(`truncate -s 32 ${fileOf(name)}`);
	const {status, signal} = await holder.end();
	assert.deepEqual({status, signal}, {status: 0, signal: null});
	assert.equal((await world.sem('value', name)).status, 0);
});

test('a file that a process cuts off while it is used: an error, not SIGBUS', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(0);
	const cut = 'it is no longer a semaphore: another process truncated its file';
	const wait = await world.startSem('wait', name, '--ready-fd', '3').ready();
	await until('it sleeps', () => sleepsIn(wait.pid, /futex/));
	truncateSync(fileOf(name), 0);
	assertFails(await wait.end(), 1, `ipc-sem: cannot wait for '${name}': ${cut}\n`);

	const other = await world.semaphore(1);
	const {status, stderr} = await world.sem('run', other, '--', 'sh', '-c', `: >${fileOf(other)}; exit 7`);
	assert.deepEqual([status, stderr], [7, `ipc-sem: cannot record who holds '${other}': ${cut}\n`]);

	const third = await world.semaphore(1);
	const batch = world.startSem('batch');
	batch.stdin.write(`value ${third}\n`);
	await batch.printed('1\n');
	truncateSync(fileOf(third), 0);
	batch.stdin.end(`value ${third}\n`);
	assert.equal((await batch.end()).stdout.toString(), `1\nerror cannot look at '${third}': ${cut}\n`);
});
