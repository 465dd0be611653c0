import assert from 'node:assert/strict';
import test from 'node:test';
import {QueueWorld} from '../support/queues.js';
import {assertFails} from '../support/world.js';

// Each of these lost a message once.

test('a dead-letter queue that can be none is refused before anything is taken', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	await world.mq('send', name, 'one');
	for (const [word, why] of [
		['a/b', "'/' is not allowed"],
		['@x', "'@' is not allowed"],
	] as const)
		assertFails(
			await world.mq('recv', name, '--dead-letter', word, '--', 'false'),
			2,
			`ipc-mq: --dead-letter: invalid queue name '${word}': ${why}\nTry 'ipc-mq recv --help'.\n`,
		);
	assert.equal(await world.level(name), 1);
});

test('a command that cannot be started for want of descriptors: 125, and the messages are back', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	await world.mq('send', name, '1', '2', '3', '4');
	const {status, stderr} = await world.shell(`ulimit -n 22; ipc-mq recv ${name} --all --jobs 3 -- cat`);
	assert.equal(status, 125);
	assert.match(
		stderr,
		/^ipc-mq: cannot run 'cat': too few descriptors or processes .* returned the message to '.*' \(message \d, priority 0: '\d'\)\n$/,
	);
	assert.equal(await world.level(name), 4);
});

test('a command that is not found in a folder that has been removed: 127, and the message stays', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	await world.mq('send', name, '1');
	const ended = await world.shell(`mkdir d; cd d; rmdir ../d; ipc-mq recv ${name} -- ./x`, {cwd: world.scratch});
	assertFails(ended, 127, `ipc-mq: cannot run './x': not found\n`);
	assert.equal(await world.level(name), 1);
});

test('a message cannot go back into a queue that has been removed, and that is reported', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	await world.mq('send', name, '1');
	const ended = await world.shell(`ipc-mq recv ${name} -- sh -c 'ipc-mq rm ${name}; exit 1'`);
	assertFails(
		ended,
		1,
		"ipc-mq: 1 message not delivered could not be put back: the queue has been removed\nipc-mq: 'sh' exited with status 1 (message 1, priority 0: '1')\n",
	);
});

test('a name that can be none is refused before anything is done with the others', async (t) => {
	const world = new QueueWorld(t);
	const name = world.name();
	assertFails(await world.mq('create', name, 'a/b'), 2, /invalid queue name 'a\/b'/);
	assertFails(await world.mq('stat', name), 1, /no such queue/);
});
