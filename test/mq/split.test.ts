import assert from 'node:assert/strict';
import test from 'node:test';
import {MessageQueue} from '../../src/objects/queue/message-queue.js';
import {headerBytes, Joiner, split} from '../../src/objects/queue/split.js';
import {fc} from '../support/property.js';
import {QueueWorld} from '../support/queues.js';
import {randomBytes} from '../support/random.js';
import {assertDone, assertFails} from '../support/world.js';

const frame = (record: Uint8Array) => {
	const header = Buffer.alloc(4);
	header.writeUInt32BE(record.length);
	return Buffer.concat([header, record]);
};

const record = fc.uint8Array({maxLength: 400}).map((bytes) => Buffer.from(bytes));
const msgsize = fc.integer({min: headerBytes + 1, max: 300});

test('what is split joins again, however the parts of several records are mixed', () => {
	fc.assert(
		fc.property(fc.array(record, {maxLength: 5}), msgsize, fc.infiniteStream(fc.nat()), (records, size, choices) => {
			const streams = records.map((bytes) => [...split(bytes, size)]);
			const joiner = new Joiner();
			const joined: Buffer[] = [];
			while (streams.some((parts) => parts.length > 0)) {
				const open = streams.filter((parts) => parts.length > 0);
				const parts = open[choices.next().value % open.length] as Buffer[];
				const data = parts.shift() as Buffer;
				assert.ok(data.length <= size);
				const whole = joiner.add({data, priority: 3});
				if (!whole) continue;
				assert.equal(whole.priority, 3);
				joined.push(whole.record);
			}
			assert.deepEqual(joiner.pending, []);
			assert.deepEqual(joined.sort(Buffer.compare), [...records].sort(Buffer.compare));
		}),
	);
});

test('any message that is not a part is refused, or waits for more: never a wrong record', () => {
	fc.assert(
		fc.property(fc.array(record), (messages) => {
			const joiner = new Joiner();
			for (const data of messages) {
				try {
					joiner.add({data, priority: 0});
				} catch (error) {
					assert.match(String(error), /part/);
				}
			}
			assert.ok(joiner.pending.length <= messages.length);
		}),
	);
});

const sizes = [0, 1, 239, 240, 241, 480, 10_000, 1_048_576];

test('records of up to 1 MB go through messages of 256 bytes', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	const input = Buffer.concat(sizes.map((size) => frame(randomBytes(size))));
	const receiver = world.start('ipc-mq', [
		...['recv', name, '--join', '--framing', 'length', '--count', String(sizes.length)],
	]);
	assertDone(await world.run('ipc-mq', ['send', name, '--split', '--framing', 'length'], {input}), '');
	assertDone(await receiver.end(), input);
	assert.equal(await world.level(name), 0);
});

test('two senders at once: their parts mix, their records do not', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	const line = (letter: string, i: number) => letter.repeat(1000 + 700 * i);
	const numbers = Array.from({length: 50}, (_, i) => i);
	const receiver = world.start('ipc-mq', ['recv', name, '--join', '--count', '100']);
	const senders = ['a', 'b'].map((letter) =>
		world.run('ipc-mq', ['send', name, '--split'], {input: numbers.map((i) => `${line(letter, i)}\n`).join('')}),
	);
	for (const ended of await Promise.all(senders)) assertDone(ended, '');
	const ended = await receiver.end();
	assertDone(ended);
	const lines = ended.stdout.toString().trimEnd().split('\n');
	for (const letter of ['a', 'b'])
		assert.deepEqual(
			lines.filter((text) => text.startsWith(letter)),
			numbers.map((i) => line(letter, i)),
		);
	assert.equal(lines.length, 100);
});

test('priorities and JSON go through --split and --join', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	const long = 'l'.repeat(600);
	assertDone(await world.mq('send', name, '--split', 'low'), '');
	assertDone(await world.mq('send', name, '--split', '-p', '9', long), '');
	assertDone(
		await world.mq('recv', name, '--join', '--all', '--json'),
		`{"data":"${long}","priority":9}\n{"data":"low","priority":0}\n`,
	);
});

const partOf = (size: number) => [...split(Buffer.alloc(size, 'x'), 256)] as Buffer[];

test('records whose rest never comes are given up when there are too many, the one first that waited longest', () => {
	const joiner = new Joiner({records: 2, bytes: 1_000_000});
	const [a, b, c] = [partOf(700), partOf(700), partOf(700)] as [Buffer[], Buffer[], Buffer[]];
	const add = (data: Buffer | undefined) => joiner.add({data: data as Buffer, priority: 0});
	for (const part of [a[0], b[0], a[1], c[0]]) assert.equal(add(part), undefined);
	// b had got no part for longest.
	assert.deepEqual(joiner.dropped, {records: 1, parts: 1, bytes: 256});
	assert.equal(add(a[2])?.record.length, 700);
	// What still comes of it cannot be put together, and counts as thrown away.
	assert.equal(add(b[1]), undefined);
	assert.deepEqual(joiner.dropped, {records: 1, parts: 2, bytes: 512});
	assert.deepEqual(
		joiner.pending.map(({data}) => data),
		[c[0]],
	);
	assert.equal(
		joiner.describeDropped(),
		'threw away 2 parts (512) of 1 record whose rest did not come: at most 2 records and 977K are kept until they are whole',
	);
});

test('parts that are not whole take a bounded number of bytes, however few each has', () => {
	const joiner = new Joiner({records: 1000, bytes: 10_000});
	for (let i = 0; i < 500; i++) joiner.add({data: partOf(241)[0] as Buffer, priority: 0});
	assert.ok(joiner.pending.length * 512 <= 10_000);
	assert.equal(joiner.dropped.parts + joiner.pending.length, 500);
	// One alone as well.
	const alone = new Joiner({records: 1000, bytes: 10_000});
	for (const data of partOf(240 * 100)) assert.equal(alone.add({data, priority: 0}), undefined);
	assert.deepEqual(alone.dropped, {records: 1, parts: 100, bytes: 25_600});
	assert.deepEqual(alone.pending, []);
});

test('a part that comes twice is one part, and never takes the place of another', () => {
	const joiner = new Joiner();
	const [first, second, third] = partOf(700) as [Buffer, Buffer, Buffer];
	for (const data of [first, first, second, second]) assert.equal(joiner.add({data, priority: 0}), undefined);
	const forged = Buffer.from(second);
	forged.write('forged', headerBytes);
	assert.throws(() => joiner.add({data: forged, priority: 0}), /one place came twice/);
	assert.equal(joiner.add({data: third, priority: 0})?.record.toString(), 'x'.repeat(700));
});

test('recv --join --follow keeps 1024 records that are not whole, and says what it throws away', async (t) => {
	const world = new QueueWorld(t);
	const name = world.name();
	MessageQueue.create(name, {maxmsg: 10, msgsize: 256});
	using queue = MessageQueue.open(name);
	const receiver = world.start('ipc-mq', ['recv', name, '--join', '--count', '1']);
	for (let i = 0; i < 1030; i++) queue.send(partOf(700)[0] as Buffer);
	const whole = partOf(700);
	for (const part of whole) queue.send(part);
	const {status, stdout, stderr} = await receiver.end();
	assert.deepEqual([status, stdout.toString()], [1, `${'x'.repeat(700)}\n`]);
	const lines = stderr.split('\n');
	assert.equal(
		lines[0],
		'ipc-mq: threw away 1 part (256) of 1 record whose rest did not come: at most 1024 records and 256M are kept until they are whole',
	);
	// All the others are in the queue, or in files where that has no room.
	const [, given = '0'] = /threw away ([0-9]+) parts[^\n]*\nipc-mq: [0-9]+ of [0-9]+ messages/.exec(stderr) ?? [];
	const inFiles = world.leftovers().filter((file) => file.startsWith('rescued-')).length;
	assert.equal(Number(given) + inFiles + (await world.level(name)), 1030);
});

test('a missing part is an error, and what was taken goes back', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	assertDone(await world.mq('send', name, '--split', 'x'.repeat(900)), '');
	await world.stranger('recv', name);
	assertFails(
		await world.mq('recv', name, '--join', '--all'),
		1,
		'ipc-mq: cannot join: 3 of 4 parts of a record arrived, and the queue is empty (returned the parts to the queue)\n',
	);
	assert.equal(await world.level(name), 3);
});

test('a broken record does not break another that is put together', async (t) => {
	const world = new QueueWorld(t);
	const name = world.name();
	MessageQueue.create(name, {maxmsg: 10, msgsize: 256});
	using queue = MessageQueue.open(name);
	const [first, second] = [...split(Buffer.alloc(400, 'g'), 256)] as [Buffer, Buffer];
	const [, broken] = [...split(Buffer.alloc(400, 'b'), 256)] as [Buffer, Buffer];
	// Out of order, as after something was put back.
	for (const part of [second, broken, first]) queue.trySend(part, 4);
	assertDone(await world.mq('recv', name, '--join'), `${'g'.repeat(400)}\n`);
	assert.deepEqual(queue.tryReceive(), {data: broken, priority: 4});
});

test('a record whose last part does not come: 3 with -n, 124 with -t, and its parts go back', async (t) => {
	const world = new QueueWorld(t);
	const name = world.name();
	MessageQueue.create(name, {maxmsg: 10, msgsize: 256});
	using queue = MessageQueue.open(name);
	const parts = [...split(Buffer.alloc(700, 'x'), 256)] as [Buffer, Buffer, Buffer];
	for (const part of parts.slice(0, 2)) queue.trySend(part, 2);
	assertFails(await world.mq('recv', name, '--join', '-n'), 3, '');
	assertFails(await world.mq('recv', name, '--join', '-t', '50ms'), 124, '');
	assert.equal(await world.level(name), 2);
	const receiver = await world.start('ipc-mq', ['recv', name, '--join', '--ready-fd', '3']).ready();
	while ((await world.level(name)) > 0);
	receiver.kill();
	assert.equal((await receiver.end()).signal, 'SIGTERM');
	assert.equal(await world.level(name), 2);
	queue.trySend(parts[2], 2);
	assertDone(await world.mq('recv', name, '--join'), `${'x'.repeat(700)}\n`);
});

test('a message that is not a part is an error, and goes back', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	await world.mq('send', name, 'plain', '-p', '3');
	assertFails(
		await world.mq('recv', name, '--join'),
		1,
		'ipc-mq: a message of 5 bytes is not a part of a record (send it with --split)\n',
	);
	assert.equal(await world.stranger('recv', name), '3 5 plain\n');
});

test('a queue without room for the header of a part is refused', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue('--msgsize', '16');
	assertFails(
		await world.mq('send', name, '--split', 'x'),
		1,
		'ipc-mq: a queue whose messages have 16 bytes has no room for --split: it needs more than 16\n',
	);
});

test('recv --join >/dev/full puts all parts back, in order', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	assertDone(await world.mq('send', name, '--split', 'x'.repeat(900)), '');
	assertFails(
		await world.shell(`ipc-mq recv ${name} --join >/dev/full`),
		1,
		'ipc-mq: cannot write to stdout: no space left on the device\n',
	);
	assertDone(await world.mq('recv', name, '--join'), `${'x'.repeat(900)}\n`);
});
