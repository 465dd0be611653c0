import assert from 'node:assert/strict';
import test from 'node:test';
import {sleepsIn} from '../support/proc.js';
import {QueueWorld} from '../support/queues.js';
import {randomBytes} from '../support/random.js';
import {rounds} from '../support/rounds.js';
import {until} from '../support/until.js';
import {assertDone, assertFails} from '../support/world.js';

test('recv takes one message, --count N, --all what is there', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	await world.mq('send', name, 'a', 'b', 'c', 'd', 'e');
	assertDone(await world.mq('recv', name), 'a\n');
	assertDone(await world.mq('recv', name, '--count', '2'), 'b\nc\n');
	assertDone(await world.mq('recv', `/${name}`, '--all'), 'd\ne\n');
	assertDone(await world.mq('recv', name, '--all'), '');
});

test('recv waits for a message, and --follow without end', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	const one = await world.start('ipc-mq', ['recv', name, '--ready-fd', '3']).ready();
	await world.mq('send', name, 'a');
	assertDone(await one.end(), 'a\n');
	const follower = await world.start('ipc-mq', ['recv', name, '--follow', '--ready-fd', '3']).ready();
	for (const message of ['b', 'c']) {
		await world.mq('send', name, message);
		await follower.printed(`${message}\n`);
	}
	follower.kill();
	const {signal, stdout, stderr} = await follower.end();
	assert.deepEqual([signal, stdout.toString(), stderr], ['SIGTERM', 'b\nc\n', '']);
});

test('an empty queue: 3 with -n, 124 with -t, 0 with --all; and how many came', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	assertFails(await world.mq('recv', name, '-n'), 3, '');
	assertFails(await world.mq('recv', name, '-t', '50ms'), 124, '');
	assertFails(await world.mq('recv', name, '-t', '50ms', '-E', '8'), 8, '');
	assertDone(await world.mq('recv', name, '--all', '-n'), '');
	await world.mq('send', name, 'a', 'b');
	const {status, stdout, stderr} = await world.mq('recv', name, '--count', '3', '-t', '50ms');
	assert.deepEqual(
		[status, stdout.toString(), stderr],
		[124, 'a\nb\n', `ipc-mq: gave up: '${name}' is empty, 2 messages received\n`],
	);
});

test('recv from a queue that is not there says how to make it, and --create makes it', async (t) => {
	const world = new QueueWorld(t);
	const name = world.name();
	assertFails(
		await world.mq('recv', name),
		1,
		`ipc-mq: cannot open '${name}': no such queue (make it with: ipc-mq create ${name})\n`,
	);
	assertFails(await world.mq('recv', name, '-n', '--create', '--maxmsg', '2', '--msgsize', '5'), 3, '');
	assert.equal(await world.stranger('attributes', name), '2 5 0\n');
});

test('--count, --all and --follow cannot all say when to end', async (t) => {
	const world = new QueueWorld(t);
	assertFails(
		await world.mq('recv', 'x', '--all', '--follow'),
		2,
		"ipc-mq: --all and --follow cannot be combined\nTry 'ipc-mq recv --help'.\n",
	);
	for (const words of [['--jobs', '2'], ['--retry', '2'], ['--backoff', '1s'], ['--dead-letter', 'y'], ['--drain']])
		assertFails(
			await world.mq('recv', 'x', ...words),
			2,
			`ipc-mq: ${words[0]} needs a command: -- CMD\nTry 'ipc-mq recv --help'.\n`,
		);
	const backsOff = (...words: string[]) => world.mq('recv', 'x', '--backoff', ...words, '--', 'true');
	assertFails(await backsOff('1s'), 2, /^ipc-mq: --backoff needs --retry\n/);
	assertFails(await backsOff('2h', '--retry', '1'), 2, /--backoff: '2h' is not a valid duration: the maximum is 1h\n/);
});

test('wishes that contradict each other are refused before anything is opened or made', async (t) => {
	const world = new QueueWorld(t);
	const name = world.name();
	for (const verb of ['recv', 'send'])
		assertFails(
			await world.mq(verb, name, '--raw', '-0', '--create', '--maxmsg', '2', '--msgsize', '9'),
			2,
			`ipc-mq: records cannot be framed as null and raw at once\nTry 'ipc-mq ${verb} --help'.\n`,
		);
	await assert.rejects(world.stranger('attributes', name), /No such file/);
});

test('recv --json prints text as data, other bytes as base64, and the priority', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	await world.mq('send', name, 'tëxt\n"', '-p', '7');
	await world.run('ipc-mq', ['send', name, '--raw'], {input: Buffer.of(255, 0)});
	await world.mq('send', name, '');
	assertDone(
		await world.mq('recv', name, '--all', '--json'),
		'{"data":"tëxt\\n\\"","priority":7}\n{"base64":"/wA=","priority":0}\n{"data":"","priority":0}\n',
	);
});

const everyLength = Array.from({length: 257}, (_, length) => randomBytes(length));
const framed = Buffer.concat(
	everyLength.map((record) => {
		const header = Buffer.alloc(4);
		header.writeUInt32BE(record.length);
		return Buffer.concat([header, record]);
	}),
);

for (const [framing, expected] of [
	['length', framed],
	['raw', Buffer.concat(everyLength)],
] as const) {
	test(`random bytes of every length that fits survive '${framing}'`, async (t) => {
		const world = new QueueWorld(t);
		const name = await world.queue();
		const receiver = world.start('ipc-mq', ['recv', name, '--count', '257', '--framing', framing]);
		assertDone(await world.run('ipc-mq', ['send', name, '--framing', 'length'], {input: framed}), '');
		assertDone(await receiver.end(), expected);
		assert.equal(await world.level(name), 0);
	});
}

test('random bytes of every length that fits survive JSON, out and in', async (t) => {
	const world = new QueueWorld(t);
	const [a, b] = [await world.queue(), await world.queue()];
	const carrier = world.shell(`ipc-mq recv ${a} --count 257 --json | ipc-mq send ${b} --json`);
	const receiver = world.start('ipc-mq', ['recv', b, '--count', '257', '--framing', 'length']);
	assertDone(await world.run('ipc-mq', ['send', a, '--framing', 'length'], {input: framed}), '');
	assertDone(await carrier, '');
	assertDone(await receiver.end(), framed);
});

test('-0 goes in and out the same', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	assertDone(await world.run('ipc-mq', ['send', name, '-0'], {input: 'a\nb\0c\0'}), '');
	assertDone(await world.mq('recv', name, '-0', '--all'), 'a\nb\0c\0');
});

for (const [framing, bytes] of [
	['lines', 2],
	['null', 2],
	['length', 5],
	['json', '{"data":"a","priority":0}\n'.length],
	['raw', 1],
] as const) {
	test(`recv --follow leaves the other messages when its reader has had one: ${framing}`, async (t) => {
		const world = new QueueWorld(t);
		const name = await world.queue();
		await world.mq('send', name, ...'abcdefghi');
		const line = `ipc-mq recv ${name} --follow --framing ${framing} | head -c ${bytes} >/dev/null; echo "\${PIPESTATUS[@]}"`;
		assertDone(await world.shell(line), '141 0\n');
		assert.deepEqual(await world.sortedLines(name), [...'bcdefghi']);
	});
}

test('a message whose reader left in its middle goes back whole', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	await world.mq('send', name, 'long', '-p', '4');
	assertDone(await world.shell(`ipc-mq recv ${name} --follow | head -c 1`), 'l');
	assert.equal(await world.stranger('recv', name), '4 4 long\n');
});

test('recv --follow | head -1 leaves the other messages, with their priorities', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	for (const priority of ['5', '9', '1', '7']) await world.mq('send', name, priority, '-p', priority);
	assertDone(await world.shell(`ipc-mq recv ${name} --follow | head -1`), '9\n');
	assertDone(
		await world.mq('recv', name, '--all', '--json'),
		['7', '5', '1'].map((data) => `{"data":"${data}","priority":${data}}\n`).join(''),
	);
});

test('a reader that has left already costs no message', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	const receiver = await world.start('ipc-mq', ['recv', name, '--follow', '--ready-fd', '3']).ready();
	receiver.stdout.destroy();
	const {signal, stderr} = await receiver.end();
	assert.deepEqual({signal, stderr}, {signal: 'SIGPIPE', stderr: ''});
	await world.mq('send', name, 'a');
	assert.equal(await world.stranger('recv', name), '0 1 a\n');
});

for (const words of ['', '--json', '--all', '--framing length', '--raw']) {
	test(`recv ${words} >/dev/full puts its message back, with its priority`, async (t) => {
		const world = new QueueWorld(t);
		const name = await world.queue();
		await world.mq('send', name, 'precious', '-p', '7');
		assertFails(
			await world.shell(`ipc-mq recv ${name} ${words} >/dev/full`),
			1,
			'ipc-mq: cannot write to stdout: no space left on the device\n',
		);
		assert.equal(await world.stranger('recv', name), '7 8 precious\n');
		assert.equal(await world.level(name), 0);
	});
}

test('recv with a stdout that cannot be written to takes nothing', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	await world.mq('send', name, 'precious', '-p', '7');
	const {status, stderr} = await world.shell(`ipc-mq recv ${name} 1</dev/null`);
	assert.equal(status, 1);
	assert.match(stderr, /^ipc-mq: .*\n$/);
	assert.equal(await world.stranger('recv', name), '7 8 precious\n');
});

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
	test(`${signal} while it waits ends it by that signal, and what comes later stays`, async (t) => {
		const world = new QueueWorld(t);
		const name = await world.queue();
		const receiver = await world.start('ipc-mq', ['recv', name, '--follow', '--ready-fd', '3']).ready();
		await world.mq('send', name, 'a');
		await receiver.printed('a\n');
		receiver.kill(signal);
		const ended = await receiver.end();
		assert.deepEqual([ended.signal, ended.stdout.toString(), ended.stderr], [signal, 'a\n', '']);
		await world.mq('send', name, 'b');
		assert.equal(await world.stranger('recv', name), '0 1 b\n');
	});
}

test('SIGTERM in full flow: every message has been printed, is in the queue or in a file, and none is there twice', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	const input = Array.from({length: 60_000}, (_, i) => `${i}`);
	const sender = world.start('ipc-mq', ['send', name], {input: `${input.join('\n')}\n`});
	let parts: string[] = [];
	for (const amount of [1, 10_000, 50_000]) {
		const receiver = world.start('ipc-mq', ['recv', name, '--follow']);
		await until('messages flow', () => receiver.received > amount);
		receiver.kill();
		const {signal, stdout, stderr} = await receiver.end();
		assert.equal(signal, 'SIGTERM');
		// The sender fills the room at once, so what was in hand may find none to go back to.
		assert.match(
			stderr,
			new RegExp(
				`^(ipc-mq: [0-9]+ of [0-9]+ messages? not delivered could not be put back: the queue is full; kept in (a file|files): the next recv of '${name}' takes (it|them) first\n)?$`,
			),
		);
		parts = parts.concat(stdout.toString().split('\n').slice(0, -1));
	}
	// On a busy machine all of it may flow before the third has been told.
	if (parts.length < input.length) {
		const rest = await world.run('ipc-mq', ['recv', name, '--count', String(input.length - parts.length)]);
		assertDone(rest);
		parts = parts.concat(rest.stdout.toString().split('\n').slice(0, -1));
	}
	assertDone(await sender.end(), '');
	assert.equal(new Set(parts).size, parts.length);
	assert.equal(parts.length, input.length);
	assert.equal(await world.level(name), 0);
});

test('SIGTERM while stdout does not take it puts back what has not gone out', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue('--msgsize', '8192', '--maxmsg', '2');
	await world.shell(`mkfifo ${world.file('out')}`);
	// Holds the FIFO open and reads nothing.
	const keeper = await world
		.startOther('bash', ['-c', `exec 4<>${world.file('out')}; echo open; read`])
		.printed('open');
	assertDone(await world.shell(`head -c 60000 /dev/zero >${world.file('out')}`));
	await world.run('ipc-mq', ['send', name, '--raw'], {input: 'x'.repeat(8192)});
	const receiver = world.startOther('bash', ['-c', `exec ipc-mq recv ${name} >${world.file('out')}`]);
	await until('it waits', async () => sleepsIn(receiver.pid, /poll|pipe|select|nanosleep/));
	receiver.kill();
	const {signal} = await receiver.end();
	assert.equal(signal, 'SIGTERM');
	assert.equal(await world.level(name), 1);
	await keeper.end();
});

test('many lines through a queue of ten, in order, none missing', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	const count = rounds(100_000, 1_000_000);
	const ended = await world.shell(
		`seq ${count} | ipc-mq send ${name} & ipc-mq recv ${name} --count ${count} | cmp - <(seq ${count}) && wait && echo same`,
	);
	assertDone(ended, 'same\n');
});

test('four senders and four receivers: none missing, none twice', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	const words = [0, 1, 2, 3];
	const input = (mark: number) => Array.from({length: 5000}, (_, i) => `${mark} ${i}`);
	const receivers = words.map(() => world.start('ipc-mq', ['recv', name, '--count', '5000']));
	const senders = words.map((mark) => world.run('ipc-mq', ['send', name], {input: `${input(mark).join('\n')}\n`}));
	for (const ended of await Promise.all(senders)) assertDone(ended, '');
	const parts = await Promise.all(receivers.map((receiver) => receiver.end()));
	for (const {status, stderr} of parts) assert.deepEqual([status, stderr], [0, '']);
	assert.deepEqual(
		parts.flatMap(({stdout}) => stdout.toString().trimEnd().split('\n')).sort(),
		words.flatMap(input).sort(),
	);
});
