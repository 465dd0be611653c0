import assert from 'node:assert/strict';
import {rmSync} from 'node:fs';
import {join} from 'node:path';
import test, {type TestContext} from 'node:test';
import {buildFor, type Foreign, foreign, needsBuild} from '../support/foreign.js';
import {isInstalled} from '../support/needs.js';
import type {Running} from '../support/run.js';
import {uniqueName} from '../support/unique-name.js';
import {assertDone, World} from '../support/world.js';

const emulator = ['qemu-aarch64', 'qemu-aarch64-static'].find(isInstalled);
const targets = ['linux-arm64-glibc', 'linux-arm64-musl'].map(foreign);
const needs = (target: Foreign) =>
	process.arch === 'arm64' || emulator ? needsBuild(target) : {skip: 'needs qemu-aarch64'};

for (const target of targets) test(`the six commands for ${target.name}`, needs(target), (t) => work(t, target));

async function work(t: TestContext, target: Foreign): Promise<void> {
	const world = new World(t);
	const folder = await buildFor(target, world);
	const start = (command: string, ...words: string[]): Running =>
		emulator && process.arch !== 'arm64'
			? world.startOther(emulator, ['-0', command, join(folder, command), ...words])
			: world.startOther(join(folder, command), words);
	const does = async (expected: string, command: string, ...words: string[]) =>
		assertDone(await start(command, ...words).end(), expected);
	const [name, semaphore] = [uniqueName(), uniqueName()];
	// glibc puts `sem.` before the name of a semaphore, musl nothing.
	for (const file of [name, semaphore, `sem.${semaphore}`])
		t.after(() => rmSync(join('/dev/shm', file), {force: true}));
	t.after(() => world.run('ipc-mq', ['remove', name]));

	await does('', 'ipc-sem', 'create', semaphore, '--value', '1');
	await does('inside\n', 'ipc-sem', 'run', semaphore, '--', 'echo', 'inside');
	await does('', 'ipc-sem', 'wait', semaphore);
	await does('0\n', 'ipc-sem', 'value', semaphore);

	await does('', 'ipc-mq', 'create', name);
	await does('', 'ipc-mq', 'send', name, 'low', '-p', '1');
	await does('', 'ipc-mq', 'send', name, 'high', '-p', '2');
	await does('high\nlow\n', 'ipc-mq', 'recv', name, '--all');

	await does('', 'ipc-shm', 'create', name, '--size', '4K');
	await does('0 -5\n', 'ipc-shm', 'add', name, '-5', '--type', 'i64');
	await does('-5\n', 'ipc-shm', 'get', name, '--type', 'i64');

	const waiting = await start('ipc-signal', 'wait', 'USR1', '--ready-fd', '3').ready();
	await does('', 'ipc-signal', 'send', 'USR1', String(waiting.pid));
	assert.match((await waiting.end()).stdout.toString(), /^USR1 /);
	assert.equal((await start('ipc-signal', 'run', '--', 'sh', '-c', 'exit 7').end()).status, 7);

	const receiving = start('ipc-pipe', 'recv', 'x');
	const sending = start('ipc-pipe', 'send', 'x');
	sending.stdin.end('through it\n');
	assertDone(await sending.end(), '');
	assertDone(await receiving.end(), 'through it\n');

	const listening = await start('ipc-sock', 'listen', 'x', '--ready-fd', '3').ready();
	listening.stdin.end('from the server\n');
	await does('from the server\n', 'ipc-sock', 'connect', 'x');
	await listening.end();
}
