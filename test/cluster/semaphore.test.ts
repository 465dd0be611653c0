import assert from 'node:assert/strict';
import test from 'node:test';
import {NatsWorld, needsNats, sharedServer} from '../support/nats.js';
import {uniqueName} from '../support/unique-name.js';
import {assertDone, assertFails} from '../support/world.js';

const server = sharedServer();

/** A test with a server. */
const on = (title: string, body: (world: NatsWorld) => Promise<void>) =>
	test(title, needsNats, async (t) => body(new NatsWorld(t, await server.started())));

const json = async (world: NatsWorld, ...words: string[]) => {
	const {status, stdout, stderr} = await world.run('ipc-sem', [...words, '--json']);
	assert.deepEqual({status, stderr}, {status: 0, stderr: ''});
	return JSON.parse(stdout.toString());
};

for (const [where, nameIn] of [
	['on this machine', () => uniqueName()],
	['on a cluster', (world: NatsWorld) => world.name()],
] as const)
	on(`${where}: create, wait, post, value, stat, remove`, async (world) => {
		const name = nameIn(world);
		const sem = (...words: string[]) => world.run('ipc-sem', words);
		try {
			assertFails(await sem('post', name), 1, /no such semaphore \(make it with: ipc-sem create /);
			assertFails(await sem('value', name), 1, `ipc-sem: cannot open '${name}': no such semaphore\n`);
			assertDone(await sem('create', name, '--value', '2'), '');
			assertFails(await sem('create', name), 0, `ipc-sem: '${name}' already exists with 2 free units\n`);
			assertFails(await sem('create', name, '-x'), 1, `ipc-sem: cannot create '${name}': it already exists\n`);
			assertDone(await sem('wait', name), '');
			assertDone(await sem('wait', name, '-n'), '');
			assertFails(await sem('wait', name, '-n'), 3, '');
			assertFails(await sem('wait', name, '-t', '50ms'), 124, '');
			const waiting = world.start('ipc-sem', ['wait', name, '--ready-fd', '3']);
			await waiting.ready();
			assertDone(await sem('post', name, '--count', '3'), '');
			assertDone(await waiting.end(), '');
			assertDone(await sem('value', name), '2\n');
			assert.deepEqual(await json(world, 'value', name), {name, value: 2});
			const status = await json(world, 'stat', name);
			assert.deepEqual(
				{name: status.name, value: status.value, holders: status.holders},
				{name, value: 2, holders: []},
			);
			assertFails(await sem('post', name, '-c', '2147483647'), 1, /it has 2, and the maximum is 2147483647\n$/);
			assertDone(await sem('value', name), '2\n');
		} finally {
			assertDone(await sem('remove', name), '');
		}
		assertFails(await sem('remove', name), 1, `ipc-sem: cannot remove '${name}': no such semaphore\n`);
	});

on('list shows the semaphores of the cluster by the names that other verbs take', async (world) => {
	const name = world.name();
	assertDone(await world.run('ipc-sem', ['post', name, '--create', '--value', '4']), '');
	const listed = await world.run('ipc-sem', ['list', 'nats:', '--no-headings', '-o', 'name,value']);
	assert.match(listed.stdout.toString(), new RegExp(`^${name} +5$`, 'm'));
	assertDone(await world.run('ipc-sem', ['remove', name]), '');
	assert.doesNotMatch((await world.run('ipc-sem', ['list', 'nats:'])).stdout.toString(), new RegExp(name));
});

on('a process that waits for a unit is told when the semaphore is removed', async (world) => {
	const name = world.name();
	assertDone(await world.run('ipc-sem', ['create', name, '--value', '0']), '');
	const waiting = world.start('ipc-sem', ['wait', name, '--ready-fd', '3']);
	await waiting.ready();
	assertDone(await world.run('ipc-sem', ['remove', name]), '');
	assertFails(await waiting.end(), 1, /it has been removed|no such semaphore/);
});
