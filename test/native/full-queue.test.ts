import assert from 'node:assert/strict';
import test from 'node:test';
import {SemaphoreWorld} from '../support/semaphores.js';
import {assertFails, World} from '../support/world.js';

// RLIMIT_SIGPENDING counts timers together with queued signals. A user whose queue is full has no timer left, and the
// commands have to wait, give up and stop without one: timer_create(2). With a limit of 0 every queue is full.

for (const line of [
	'ipc-pipe send "$RUN/a"',
	'ipc-pipe tee "$RUN/a"',
	'ipc-pipe send b',
	'ipc-pipe recv b',
	'ipc-signal wait USR1',
])
	test(`${line} gives up in time although no timer can be made`, async (t) => {
		const world = new World(t);
		assertFails(await world.shell(`ipc-pipe create a && ulimit -i 0 && ${line} -t 100ms`), 124, '');
	});

test('ipc-sem run and barrier give up in time although no timer can be made', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(0);
	assertFails(await world.shell(`ulimit -i 0; ipc-sem run ${name} -t 100ms -- true`), 124, '');
	assertFails(await world.shell(`ulimit -i 0; ipc-sem barrier ${name} -p 2 -t 100ms`), 124, '');
});

test('a signal ends a wait, and what is ours is removed, although no timer can be made', async (t) => {
	const world = new World(t);
	const receiver = world.startOther('bash', ['-c', 'ulimit -i 0; exec ipc-pipe recv a --ready-fd 1']);
	await receiver.printed('\n');
	assert.deepEqual(world.leftovers(), ['a']);
	receiver.kill('SIGTERM');
	assert.equal((await receiver.end()).signal, 'SIGTERM');
	world.assertNothingLeft();
});
