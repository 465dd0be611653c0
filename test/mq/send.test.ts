import assert from 'node:assert/strict';
import test from 'node:test';
import {MessageQueue} from '../../src/objects/queue/message-queue.js';
import {fc} from '../support/property.js';
import {QueueWorld} from '../support/queues.js';
import {assertDone, assertFails} from '../support/world.js';

const frame = (record: Uint8Array) => {
	const header = Buffer.alloc(4);
	header.writeUInt32BE(record.length);
	return Buffer.concat([header, record]);
};

const arrives = (title: string, words: string[], input: string | Buffer, expected: string[]) =>
	test(`send: ${title}`, async (t) => {
		const world = new QueueWorld(t);
		const name = await world.queue();
		assertDone(await world.run('ipc-mq', ['send', name, ...words], {input}), '');
		for (const message of expected) assert.equal(await world.stranger('recv', name), `${message}\n`);
		assert.equal(await world.level(name), 0);
	});

arrives('each operand is a message', ['one', 'two words', '--', '-x'], 'not read\n', [
	'0 3 one',
	'0 9 two words',
	'0 2 -x',
]);
arrives('each line of stdin is a message', [], 'one\n\ntwo\n', ['0 3 one', '0 0 ', '0 3 two']);
arrives('a last line without its newline is a message', [], 'one\ntwo', ['0 3 one', '0 3 two']);
arrives('no input is not a message', [], '', []);
arrives('-0 ends records with a NUL', ['-0'], 'a\nb\0\0c', ['0 3 a\nb', '0 0 ', '0 1 c']);
arrives(
	'--framing length',
	['--framing', 'length', '-p', '4'],
	Buffer.concat([frame(Buffer.from('a\nb')), frame(Buffer.of()), frame(Buffer.from('c'))]),
	['4 3 a\nb', '4 0 ', '4 1 c'],
);
arrives('--raw makes all of stdin one message', ['--raw'], 'a\nb\n', ['0 4 a\nb\n']);
arrives('--raw makes no input an empty message', ['--raw'], '', ['0 0 ']);
arrives('an empty operand is an empty message', ['', '-p', '2'], '', ['2 0 ']);
arrives(
	'--json takes priorities along',
	['--json'],
	'{"data":"low"}\n{"data":"hïgh","priority":9}\n\n{"base64":"YQBi","priority":32767}',
	['32767 3 a\0b', '9 5 hïgh', '0 3 low'],
);
arrives('-p is stronger than the priority in the JSON', ['--json', '-p', '3'], '{"data":"x","priority":9}\n', [
	'3 1 x',
]);

test('the highest priority is received first, and the oldest of those', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	for (const [priority, message] of [
		['0', 'a'],
		['9', 'b'],
		['32767', 'c'],
		['9', 'd'],
		['1', 'e'],
	] as const)
		assertDone(await world.mq('send', name, message, '-p', priority), '');
	assertDone(await world.mq('recv', name, '--all'), 'c\nb\nd\ne\na\n');
});

test('a priority that is none is used wrongly', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	assertFails(
		await world.mq('send', name, 'x', '-p', '32768'),
		2,
		/'32768' is not a valid number: the maximum is 32767\nTry 'ipc-mq send --help'\.\n$/,
	);
	assertFails(await world.mq('send', name, 'x', '-p', 'high'), 2, /'high' is not a number: only digits are expected\n/);
	assert.equal(await world.level(name), 0);
});

test('send to a queue that is not there says how to make it, and --create makes it', async (t) => {
	const world = new QueueWorld(t);
	const name = world.name();
	assertFails(
		await world.mq('send', name, 'x'),
		1,
		`ipc-mq: cannot open '${name}': no such queue (make it with: ipc-mq create ${name})\n`,
	);
	assertDone(await world.mq('send', name, 'x', '--create', '--maxmsg', '2', '--msgsize', '5'), '');
	assert.equal(await world.stranger('attributes', name), '2 5 1\n');
});

for (const [title, words, input] of [
	['operands', ['a', 'b', 'x'.repeat(101), 'c'], ''],
	['lines', [], `a\nb\n${'x'.repeat(101)}\nc\n`],
	['a last line', [], `a\nb\n${'x'.repeat(101)}`],
	['NUL', ['-0'], `a\0b\0${'x'.repeat(101)}\0c\0`],
	[
		'length',
		['--framing', 'length'],
		Buffer.concat(['a', 'b', 'x'.repeat(101), 'c'].map((text) => frame(Buffer.from(text)))),
	],
	['JSON', ['--json'], ['a', 'b', 'x'.repeat(101), 'c'].map((data) => `${JSON.stringify({data})}\n`).join('')],
] as const) {
	test(`101 bytes on a queue for 100 are an error with both numbers, after what was sent: ${title}`, async (t) => {
		const world = new QueueWorld(t);
		const name = await world.queue('--msgsize', '100');
		assertFails(
			await world.run('ipc-mq', ['send', name, ...words], {input}),
			1,
			`ipc-mq: cannot send to '${name}': message 3 has 101 bytes and the queue takes 100 (use --split, or create it with a larger --msgsize); 2 messages sent\n`,
		);
		assertDone(await world.mq('recv', name, '--all'), 'a\nb\n');
	});
}

test('a line that never ends is an error, not memory', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	const ended = await world.shell(`(echo a; head -c 50M /dev/zero) | ipc-mq send ${name}`);
	assertFails(
		ended,
		1,
		new RegExp(
			`^ipc-mq: cannot send to '${name}': message 2 has more than [0-9]+ bytes and the queue takes 256 .*; 1 message sent\n$`,
		),
	);
});

for (const [title, words, input, message] of [
	['JSON that is none', ['--json'], '{"data":"a"}\n{oops\n', /: it is not JSON.* \(1 message sent\)\n$/],
	[
		'a priority that is none',
		['--json'],
		'{"data":"a"}\n{"data":"b","priority":32768}\n',
		/: its "priority" is not a number from 0 to 32767 \(1 message sent\)\n$/,
	],
	[
		'a priority that is text',
		['--json'],
		'{"data":"a"}\n{"data":"b","priority":"9"}\n',
		/: its "priority" is not a number from 0 to 32767 \(1 message sent\)\n$/,
	],
	[
		'JSON without data',
		['--json'],
		'{"data":"a"}\n{"priority":1}\n',
		/: "data" or "base64" is missing, or is not a string \(1 message sent\)\n$/,
	],
	[
		'half a frame',
		['--framing', 'length'],
		Buffer.from([0, 0, 0, 1, 65, 0, 0, 0, 9, 1]),
		/: it is incomplete: .* \(1 message sent\)\n$/,
	],
] as const) {
	test(`send refuses ${title}, and says how many were sent`, async (t) => {
		const world = new QueueWorld(t);
		const name = await world.queue();
		const ended = await world.run('ipc-mq', ['send', name, ...words], {input});
		assertFails(ended, 1, message);
		assert.match(ended.stderr, /^ipc-mq: cannot send record 2 of stdin: /);
		assert.equal(await world.level(name), 1);
	});
}

for (const [title, words, input] of [
	['operands', ['a', 'b', 'c', 'd', 'e'], ''],
	['lines', [], 'a\nb\nc\nd\ne\n'],
	['JSON', ['--json'], '{"data":"a"}\n{"data":"b"}\n{"data":"c"}\n{"data":"d"}\n'],
] as const) {
	test(`full: 3 with -n, 124 with -t, and how many were sent: ${title}`, async (t) => {
		const world = new QueueWorld(t);
		const name = await world.queue('--maxmsg', '3');
		const message = `ipc-mq: gave up: '${name}' is full, 3 messages sent\n`;
		assertFails(await world.run('ipc-mq', ['send', name, '-n', ...words], {input}), 3, message);
		assertFails(await world.run('ipc-mq', ['send', name, '-n', ...words], {input}), 3, '');
		assertFails(await world.run('ipc-mq', ['send', name, '-t', '50ms', ...words], {input}), 124, '');
		assertDone(await world.mq('recv', name, '--all'), 'a\nb\nc\n');
		assertFails(await world.run('ipc-mq', ['send', name, '-t', '50ms', ...words], {input}), 124, message);
		assertFails(await world.run('ipc-mq', ['send', name, '-t', '50ms', '-E', '9', ...words], {input}), 9, '');
	});
}

test('full: it waits for room', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue('--maxmsg', '1');
	const sender = await world.start('ipc-mq', ['send', name, '--ready-fd', '3'], {input: 'a\nb\nc\n'}).ready();
	for (const message of ['a', 'b', 'c']) assertDone(await world.mq('recv', name), `${message}\n`);
	assertDone(await sender.end(), '');
});

test('SIGTERM while it waits for room ends it by that signal, and what was sent is there', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue('--maxmsg', '2');
	const sender = world.start('ipc-mq', ['send', name], {input: 'a\nb\nc\n'});
	assertDone(await world.mq('wait', name, '-t', '250'));
	while ((await world.level(name)) < 2);
	sender.kill();
	const {signal, stderr} = await sender.end();
	assert.deepEqual({signal, stderr}, {signal: 'SIGTERM', stderr: ''});
	assertDone(await world.mq('recv', name, '--all'), 'a\nb\n');
});

test('--progress says how many on stderr, and nothing on stdout', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	const {status, stdout, stderr} = await world.mq('send', name, '--progress', 'a', 'b');
	assert.deepEqual([status, stdout.toString()], [0, '']);
	assert.match(stderr, /2 messages/);
});

test('any bytes at any priority come out as they went in', async (t) => {
	const world = new QueueWorld(t);
	const name = world.name();
	MessageQueue.create(name, {maxmsg: 10, msgsize: 256});
	using queue = MessageQueue.open(name);
	const messages = fc.array(
		fc.record(
			{
				data: fc.uint8Array({maxLength: 256}).map((bytes) => Buffer.from(bytes)),
				priority: fc.nat({max: 32_767}),
			},
			{noNullPrototype: true},
		),
		{maxLength: 10},
	);
	fc.assert(
		fc.property(messages, (list) => {
			for (const {data, priority} of list) assert.ok(queue.trySend(data, priority));
			const expected = [...list].sort((one, other) => other.priority - one.priority);
			assert.deepEqual(
				list.map(() => queue.tryReceive()),
				expected,
			);
			assert.equal(queue.tryReceive(), undefined);
		}),
	);
});

test('what recv --json prints, send --json takes back: nothing is lost, priorities included', async (t) => {
	const world = new QueueWorld(t);
	const [a, b] = [await world.queue(), await world.queue()];
	const records = fc
		.sample(fc.uint8Array({maxLength: 256}), 6)
		.concat([Buffer.from('text'), Buffer.of(), Buffer.of(0xff, 0, 10), Buffer.from('\ufeffbom')]);
	for (const [i, record] of records.entries())
		assertDone(
			await world.run('ipc-mq', ['send', a, '--raw', '-p', String((i * 7919) % 5)], {input: Buffer.from(record)}),
			'',
		);
	using queue = MessageQueue.open(a);
	const before = records.map(() => queue.tryReceive());
	for (const message of before) queue.trySend(message?.data ?? '', message?.priority);
	assertDone(await world.shell(`ipc-mq recv ${a} --all --json | ipc-mq send ${b} --json`), '');
	assert.equal(await world.level(a), 0);
	using other = MessageQueue.open(b);
	assert.deepEqual(
		records.map(() => other.tryReceive()),
		before,
	);
});
