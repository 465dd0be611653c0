import assert from 'node:assert/strict';
import test from 'node:test';
import {Semaphore} from '../../src/objects/semaphore/semaphore.js';
import {SemaphoreWorld} from '../support/semaphores.js';
import {assertDone} from '../support/world.js';

// A list of holders that comes and goes while others look at it.

test('who looks while others take and give sees a list that is whole, or none', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	const loop = `for i in {1..20}; do ipc-sem run ${name} -- true || exit; done`;
	const busy = [1, 2].map(() => world.shell(loop));
	let isOver = false;
	const over = Promise.all(busy).finally(() => {
		isOver = true;
	});
	const seen = new Set<string>();
	for (let looks = 0; !isOver; looks++) {
		using semaphore = Semaphore.tryOpen(name, 'look');
		for (const {pid, command, since} of semaphore?.listHolders() ?? []) {
			assert.ok(pid > 1, `pid ${pid}`);
			assert.ok(Math.abs(Date.now() - Date.parse(since)) < 60_000, since);
			seen.add(command);
		}
		if (looks % 20 === 0) await new Promise(setImmediate);
	}
	for (const ended of await over) assertDone(ended, '');
	assert.deepEqual([...seen], ['true']);
	await world.assertAtRest(name, 1);
});

test('a file whose list comes and goes is never taken for one that is not a semaphore', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	const looks = Array.from({length: 15}, () => world.sem('list', '--json'));
	const runs = Array.from({length: 15}, () => world.sem('run', name, '--', 'true'));
	for (const ended of await Promise.all(runs)) assertDone(ended, '');
	for (const {status, stdout, stderr} of await Promise.all(looks)) {
		assert.deepEqual({status, stderr}, {status: 0, stderr: ''});
		assert.ok(stdout.includes(`"${name}"`));
	}
	await world.assertAtRest(name, 1);
});
