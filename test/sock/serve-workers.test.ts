import assert from 'node:assert/strict';
import {existsSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import test from 'node:test';
import {CallWorld, errorOf, longSleep, request} from '../support/calls.js';
import {needs} from '../support/needs.js';
import {isAlive} from '../support/proc.js';
import {rounds} from '../support/rounds.js';
import {peer, root, run} from '../support/run.js';
import {until} from '../support/until.js';
import {assertDone, assertFails} from '../support/world.js';

const worker = ['--', 'python3', join(root, 'test', 'peers', 'rpc-worker.py')];

test('a command as all methods: which one is in its environment, status 127 is no such method', async (t) => {
	const world = new CallWorld(t);
	const path = world.script(
		'dispatch',
		'#!/bin/sh',
		'case $IPC_METHOD in',
		'add) echo $(($1 + $2));;',
		'*) exit 127;;',
		'esac',
	);
	await world.serve('calc', ['--', path]);
	assertDone(await world.call('calc', 'add', '2', '40'), '42\n');
	assertFails(await world.call('calc', '../x'), 1, 'ipc-sock: ../x: method not found (-32601)\n');
	rmSync(path);
	assertFails(await world.call('calc', 'rpc.x'), 1, 'ipc-sock: rpc.x: method not found (-32601)\n');
	const gone = `ipc-sock: add: '${path}' cannot be run: it, or the interpreter it names, was not found (-32000)\n`;
	assertFails(await world.call('calc', 'add'), 1, gone);
	assertFails(
		await world.call('calc', '--list'),
		1,
		"ipc-sock: cannot list the methods of 'calc': it has no 'rpc.discover'\n",
	);
});

test('workers stay, and answer as they like', needs('python3'), async (t) => {
	const world = new CallWorld(t);
	await world.serve('calc', ['--worker', '--jobs', '1', ...worker]);
	assertDone(await world.call('calc', 'echo', '1', 'a b', '12345678901234567890'), '[1,"a b",12345678901234567890]\n');
	assertDone(await world.call('calc', 'text'), '"no JSON at all"\n');
	assertFails(await world.call('calc', 'fail', 'x'), 1, 'ipc-sock: fail: as you wish (5): ["x"]\n');
	const pid = (await world.call('calc', 'pid')).stdout.toString();
	assertDone(await world.call('calc', 'pid'), pid);
	const {stdout} = await world.call('calc', 'peer');
	assert.equal(JSON.parse(stdout.toString()).uid, process.getuid?.());
	// It dies: the next call gets another.
	assertFails(
		await world.call('calc', 'die'),
		1,
		/^ipc-sock: die: 'python3' exited with status 7 before it answered \(-32000\)\n/,
	);
	const second = (await world.call('calc', 'pid')).stdout.toString();
	assert.notEqual(second, pid);
});

test('a worker that takes too long is ended, and the next call gets another', needs('python3'), async (t) => {
	const world = new CallWorld(t);
	await world.serve('calc', ['--worker', '--jobs', '1', '--timeout', '1', ...worker]);
	let pid = '';
	// On a busy machine a second may be too short for the start of Python.
	const hasAnswered = async () => {
		const {status, stdout} = await world.call('calc', 'pid');
		pid = stdout.toString();
		return status === 0;
	};
	await until('a worker answers', hasAnswered);
	const late = pid;
	assertFails(await world.call('calc', 'sleep', '60'), 1, "ipc-sock: sleep: 'sleep' timed out after 1.0s (-32001)\n");
	await until('the next worker answers', hasAnswered);
	assert.notEqual(pid, late);
	await until('the late one has ended', () => !existsSync(`/proc/${late.trim()}`) || !isAlive(Number(late)));
});

for (const [stream, closing] of [
	['stdout', 'exec >&-'],
	['stdin', 'exec <&-'],
] as const)
	test(`a worker that closes its ${stream} and lives is replaced`, async (t) => {
		const world = new CallWorld(t);
		const path = world.script(
			'worker',
			'#!/bin/sh',
			'while read -r line; do',
			`case $line in *close*) ${closing}; sleep ${longSleep()};; *leave*) echo 1; ${closing}; sleep ${longSleep()};; esac`,
			'echo $$; done',
		);
		await world.serve('calc', ['--worker', '--jobs', '1', '--timeout', '250', '--', path]);
		const {stdout: first} = await world.call('calc', 'pid');
		if (stream === 'stdout') {
			const message = `ipc-sock: close: '${path}' closed its stdout before it answered (-32000)\n`;
			assertFails(await world.call('calc', 'close'), 1, message);
		} else {
			// It has got the call, and only the next one fails.
			assertDone(await world.call('calc', 'leave'), '1\n');
			const gone = `ipc-sock: pid: '${path}' closed its stdin before it answered (-32000)\n`;
			const {stdout, stderr} = await world.call('calc', 'pid');
			assert.ok(stdout.length > 0 || stderr.toString() === gone, stderr.toString());
		}
		const {stdout: second} = await world.call('calc', 'pid');
		assert.match(second.toString(), /^[0-9]+\n$/);
		assert.notEqual(second.toString(), first.toString());
	});

for (const kind of ['folder', 'command', 'worker'] as const)
	test(`a real-time signal that ends a method is its failure (${kind})`, async (t) => {
		const world = new CallWorld(t);
		world.method('bad', 'echo 1; kill -40 $$');
		const command = ['--', world.file('methods/bad')];
		const words = {folder: ['--methods', 'methods'], command, worker: ['--worker', ...command]}[kind];
		if (kind === 'worker') world.method('bad', 'read -r line; kill -40 $$');
		await world.serve('calc', words);
		const {code, message, data} = errorOf(await (await world.client('calc')).say(request('bad', [], 1)).rest());
		assert.equal(code, -32000);
		assert.match(message, /was killed by SIGRTMIN\+6( before it answered)?$/);
		assert.deepEqual(data, {status: 168, stderr: ''});
	});

test('workers end with the server', needs('python3'), async (t) => {
	const world = new CallWorld(t);
	const server = await world.serve('calc', ['--worker', '--jobs', '2', ...worker]);
	const pid = Number((await world.call('calc', 'pid')).stdout.toString());
	assert.ok(existsSync(`/proc/${pid}`));
	server.kill();
	assert.equal((await server.end()).signal, 'SIGTERM');
	assert.ok(!existsSync(`/proc/${pid}`));
});

test('a worker that cannot be run is an error of each call', async (t) => {
	const world = new CallWorld(t);
	const worker = world.script('worker', '#!/no/such/interpreter');
	await world.serve('calc', ['--worker', '--', worker]);
	for (let i = 0; i < 2; i++)
		assertFails(await world.call('calc', 'x'), 1, /^ipc-sock: x: '.*worker' cannot be run: .*not found \(-32000\)\n$/);
});

test('many clients at once, each with many calls: every answer is the right one', needs('python3'), async (t) => {
	const world = new CallWorld(t);
	await world.serve('calc', ['--worker', ...worker]);
	const [clients, calls] = [rounds(300, 1000), 20];
	const {status, stdout, stderr} = await run(peer('rpc-clients'), [world.path('calc'), `${clients}`, `${calls}`]);
	assert.deepEqual([status, stdout.toString(), stderr], [0, `${clients * calls}\n`, '']);
});
