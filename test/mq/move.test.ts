import assert from 'node:assert/strict';
import test from 'node:test';
import {QueueWorld} from '../support/queues.js';
import {until} from '../support/until.js';
import {assertDone, assertFails} from '../support/world.js';

async function filled(world: QueueWorld): Promise<string> {
	const name = await world.queue();
	for (const priority of ['5', '9', '1']) assertDone(await world.mq('send', name, `m${priority}`, '-p', priority), '');
	return name;
}

const json = (...priorities: number[]) =>
	priorities.map((priority) => `{"data":"m${priority}","priority":${priority}}\n`).join('');

test('move moves what is there, priorities included', async (t) => {
	const world = new QueueWorld(t);
	const [a, b] = [await filled(world), await world.queue()];
	assertDone(await world.mq('move', a, b), '');
	assert.equal(await world.level(a), 0);
	assertDone(await world.mq('recv', b, '--all', '--json'), json(9, 5, 1));
	assertDone(await world.mq('move', a, b, '--json'), '{"moved":0}\n');
});

test('copy is the same verb, and takes --move for granted', async (t) => {
	const world = new QueueWorld(t);
	const [a, b] = [await filled(world), await world.queue()];
	assertDone(await world.mq('copy', a, b, '--move', '--json'), '{"moved":3}\n');
	assertDone(await world.mq('recv', b, '--all', '--json'), json(9, 5, 1));
	assert.doesNotMatch((await world.perform('ipc-mq', 'copy', '--help')).stdout.toString(), /--move\b/);
});

test('move --count moves N, and waits for them', async (t) => {
	const world = new QueueWorld(t);
	const [a, b] = [await filled(world), await world.queue()];
	assertDone(await world.mq('move', a, b, '--count', '2', '--json'), '{"moved":2}\n');
	assertDone(await world.mq('recv', b, '--all', '--json'), json(9, 5));
	assertDone(await world.mq('recv', a, '--all', '--json'), json(1));
	assert.equal((await world.mq('move', a, b, '--count', '1', '-n')).status, 3);
	assert.equal((await world.mq('move', a, b, '--count', '1', '-t', '50ms')).status, 124);
	const copier = world.start('ipc-mq', ['move', a, b, '--count', '1']);
	await world.mq('send', a, 'x');
	assertDone(await copier.end(), '');
	assertDone(await world.mq('recv', b), 'x\n');
});

test('move --create makes the destination like the source, or as it is told', async (t) => {
	const world = new QueueWorld(t);
	const [a, b, c] = [await filled(world), world.name(), world.name()];
	assertFails(
		await world.mq('move', a, b),
		1,
		`ipc-mq: cannot open '${b}': no such queue (make it with: ipc-mq create ${b})\n`,
	);
	assertDone(await world.mq('move', a, b, '--create'), '');
	assert.equal(await world.stranger('attributes', b), '10 256 3\n');
	assertDone(await world.mq('move', b, c, '--create', '--maxmsg', '4', '--msgsize', '8'), '');
	assert.equal(await world.stranger('attributes', c), '4 8 3\n');
});

test('move to itself is refused, however the name is written', async (t) => {
	const world = new QueueWorld(t);
	const a = await filled(world);
	assertFails(await world.mq('move', a, `/${a}`), 1, `ipc-mq: cannot move '${a}' to itself\n`);
	assert.equal(await world.level(a), 3);
});

test('move --follow goes on until it is told to stop', async (t) => {
	const world = new QueueWorld(t);
	const [a, b] = [await filled(world), await world.queue()];
	const copier = world.start('ipc-mq', ['move', a, b, '--follow']);
	await world.mq('send', a, 'm0');
	assertDone(await world.mq('recv', b, '--count', '3', '--json'), json(9, 5, 1));
	assertDone(await world.mq('recv', b, '--json'), json(0));
	copier.kill();
	const {signal, stderr} = await copier.end();
	assert.deepEqual({signal, stderr}, {signal: 'SIGTERM', stderr: ''});
});

for (const [words, status] of [
	[['-n'], 3],
	[['-t', '50ms'], 124],
] as const) {
	test(`a full destination: ${status} with ${words[0]}, and the message stays in the source`, async (t) => {
		const world = new QueueWorld(t);
		const [a, b] = [await filled(world), await world.queue('--maxmsg', '2')];
		const ended = await world.mq('move', a, b, '--json', ...words);
		assert.deepEqual([ended.status, ended.stdout.toString()], [status, '{"moved":2}\n']);
		assertDone(await world.mq('recv', a, '--all', '--json'), json(1));
		assertDone(await world.mq('recv', b, '--all', '--json'), json(9, 5));
	});
}

test('SIGTERM while the destination is full: the message in hand goes back', async (t) => {
	const world = new QueueWorld(t);
	const [a, b] = [await filled(world), await world.queue('--maxmsg', '2')];
	const copier = world.start('ipc-mq', ['move', a, b]);
	await until('it holds the last one', async () => (await world.level(b)) === 2 && (await world.level(a)) === 0);
	copier.kill();
	const {signal, stderr} = await copier.end();
	assert.deepEqual({signal, stderr}, {signal: 'SIGTERM', stderr: ''});
	assertDone(await world.mq('recv', a, '--all', '--json'), json(1));
});

test('a message that the destination does not take goes back, and what was sent is reported', async (t) => {
	const world = new QueueWorld(t);
	const [a, b] = [await world.queue(), await world.queue('--msgsize', '50')];
	await world.mq('send', a, 'x', 'y', 'z'.repeat(51));
	assertFails(
		await world.mq('move', a, b),
		1,
		new RegExp(`^ipc-mq: cannot send to '${b}': the message has 51 bytes and the queue takes 50 .*2 messages`),
	);
	assertDone(await world.mq('recv', a, '--all'), `${'z'.repeat(51)}\n`);
	assertDone(await world.mq('recv', b, '--all'), 'x\ny\n');
});
