import assert from 'node:assert/strict';
import test from 'node:test';
import {needs} from '../support/needs.js';
import {rounds} from '../support/rounds.js';
import {SemaphoreWorld, untilWaiting, waitersOf} from '../support/semaphores.js';
import {assertDone, assertFails} from '../support/world.js';

test('wait takes a unit that is there, as a C program sees it; acquire is the same', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(3);
	assertDone(await world.sem('wait', name), '');
	assert.equal(await world.value(name), 2);
	assertDone(await world.sem('acquire', name, '-n'), '');
	await world.assertAtRest(name, 1);
});

test('post adds units; release and notify are the same', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(0);
	assertDone(await world.sem('post', name), '');
	assertDone(await world.sem('release', name, '-c', '2'), '');
	assertDone(await world.sem('notify', name), '');
	await world.assertAtRest(name, 4);
	assertFails(await world.sem('post', name, '--count', '0'), 2, /the minimum is 1/);
});

test('a C program waits, we post: it has the unit', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(0);
	const stranger = world.startStranger(['wait', name]);
	await untilWaiting(name);
	assertDone(await world.sem('post', name), '');
	assertDone(await stranger.end(), 'waits\ntook\n');
	await world.assertAtRest(name, 0);
});

test('we wait, a C program posts: we have the unit', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(0);
	const waiter = await world.startSem('wait', name, '--ready-fd', '3').ready();
	await untilWaiting(name);
	await world.stranger('post', name);
	assertDone(await waiter.end(), '');
	await world.assertAtRest(name, 0);
});

test('three of ours and three of theirs wait, six units come: each gets one', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(0);
	const waiters = [1, 2, 3].flatMap(() => [world.startSem('wait', name), world.startStranger(['wait', name])]);
	await untilWaiting(name, 6);
	assertDone(await world.sem('post', name, '--count', '6'), '');
	for (const waiter of waiters) assert.equal((await waiter.end()).status, 0);
	await world.assertAtRest(name, 0);
});

test('none there: 3 with -n, 124 with -t, another status with -E', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(0);
	assertFails(await world.sem('wait', name, '-n'), 3, '');
	assertFails(await world.sem('wait', name, '-t', '50ms'), 124, '');
	assertFails(await world.sem('wait', name, '-t', '0'), 124, '');
	assertFails(await world.sem('wait', name, '-t', '50ms', '-E', '7'), 7, '');
	await world.assertAtRest(name, 0);
});

test('a wait of more than one look takes the unit that comes after that', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(0);
	const start = performance.now();
	assertFails(await world.sem('wait', name, '-t', '1.2s'), 124, '');
	assert.ok(performance.now() - start >= 1200);
	await world.assertAtRest(name, 0);
});

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
	test(`${signal} ends a wait by that signal, and no process stays counted as waiting`, async (t) => {
		const world = new SemaphoreWorld(t);
		const name = await world.semaphore(0);
		const waiter = world.startSem('wait', name);
		await untilWaiting(name);
		waiter.kill(signal);
		const ended = await waiter.end();
		assert.deepEqual({signal: ended.signal, stderr: ended.stderr}, {signal, stderr: ''});
		assert.equal(waitersOf(name), 0);
		await world.stranger('post', name);
		await world.assertAtRest(name, 1);
	});

test('one that is killed while it waits takes nothing from those who wait too', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(0);
	const [killed, other] = [world.startSem('wait', name), world.startSem('wait', name)];
	await untilWaiting(name, 2);
	killed.kill('SIGKILL');
	await killed.end();
	await world.stranger('post', name);
	assertDone(await other.end(), '');
	assert.equal(await world.value(name), 0);
});

test('--ready-fd says that waiting has begun, also where there is nothing to wait for', needs('python3'), async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	assertDone(await world.shell(`ipc-sem wait ${name} --ready-fd 1`), '\n');
	// A pipe that we have twice, in one direction or in both.
	assertDone(await world.shell(`ipc-sem post ${name}; { ipc-sem wait ${name} --ready-fd 4 4>&3; } 3>&1 | cat`), '\n');
	const both = `import os, subprocess
r, w = os.pipe()
subprocess.run(["ipc-sem", "post", "${name}"])
print(subprocess.run(["ipc-sem", "wait", "${name}", "--ready-fd", str(w)], pass_fds=(r, w)).returncode, os.read(r, 9))`;
	assertDone(await world.shell(`python3 -c '${both}'`), "0 b'\\n'\n");
	assertFails(
		await world.sem('wait', name, '--ready-fd', '77', '-t', '1'),
		1,
		'ipc-sem: cannot write to descriptor 77 (--ready-fd): it is not open, or not for writing\n',
	);
	await world.assertAtRest(name, 0);
});

test('a unit is not taken by one that cannot say that it is ready', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	assert.equal((await world.sem('wait', name, '--ready-fd', '77')).status, 1);
	assert.equal(await world.value(name), 1);
});

test('--create makes it first when it is missing: none to wait for, and one that post has added', async (t) => {
	const world = new SemaphoreWorld(t);
	const [a, b, c] = [world.name(), world.name(), world.name()];
	assertFails(await world.sem('wait', a, '--create', '-n'), 3, '');
	assert.equal(await world.value(a), 0);
	assertDone(await world.sem('post', b, '--create', '-m', '640'), '');
	assert.equal(await world.value(b), 1);
	assert.match((await world.sem('stat', b)).stdout.toString(), /^mode: +0640$/m);
	assertDone(await world.sem('wait', c, '--create', '--value', '2'), '');
	assert.equal(await world.value(c), 1);
	// What is there already stays as it is.
	assertDone(await world.sem('wait', c, '--create', '--value', '9'), '');
	assert.equal(await world.value(c), 0);
});

for (const words of [
	['--value', '2'],
	['--value', '0'],
	['-m', '640'],
])
	for (const verb of ['wait', 'post', 'run'])
		test(`${verb} ${words.join(' ')} without --create is used wrongly`, async (t) => {
			const world = new SemaphoreWorld(t);
			const name = await world.semaphore(1);
			assertFails(
				await world.sem(verb, name, ...words, ...(verb === 'run' ? ['--', 'true'] : [])),
				2,
				`ipc-sem: --value and --mode need --create\nTry 'ipc-sem ${verb} --help'.\n`,
			);
			await world.assertAtRest(name, 1);
		});

test('many who make it at once all use the same one', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = world.name();
	const posts = Array.from({length: 8}, () => world.sem('post', name, '--create'));
	for (const ended of await Promise.all(posts)) assertDone(ended, '');
	assert.equal(await world.value(name), 8);
});

test('a semaphore that is removed and made again while one waits: that one has the old, which no other process reaches', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(0);
	const waiter = world.startSem('wait', name, '-t', '1.5s');
	await untilWaiting(name);
	assertDone(await world.sem('rm', name), '');
	assertDone(await world.sem('create', name, '--value', '1'), '');
	assertFails(await waiter.end(), 124, '');
	await world.assertAtRest(name, 1);
});

test('thousands of takes by C programs, by us and by a `run` between them: as many units at the end as at first', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(2);
	const pairs = rounds(4000, 20_000);
	const input = `wait ${name}\npost ${name}\n`.repeat(pairs);
	const strangers = [1, 2].map(() => world.startStranger(['pairs', name, String(pairs)]));
	const ours = [1, 2].map(() => world.run('ipc-sem', ['batch'], {input}));
	const runs = await world.shell(`for i in {1..5}; do ipc-sem run ${name} -- true || exit; done`);
	assertDone(runs, '');
	for (const ended of await Promise.all(ours)) assertDone(ended, 'ok\n'.repeat(2 * pairs));
	for (const stranger of strangers) assertDone(await stranger.end(), 'ready\n');
	await world.assertAtRest(name, 2);
});
