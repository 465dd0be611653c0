import assert from 'node:assert/strict';
import {readFileSync, writeFileSync} from 'node:fs';
import test from 'node:test';
import {writesTo} from '../support/proc.js';
import {randomBelow, randomBytes} from '../support/random.js';
import {rounds} from '../support/rounds.js';
import {peer} from '../support/run.js';
import {until} from '../support/until.js';
import {assertDone, assertFails, World} from '../support/world.js';

const sum = (list: readonly number[]) => list.reduce((a, b) => a + b, 0);

test('three senders with lines of 10,000 bytes: none mixed, none missing', async (t) => {
	const world = new World(t);
	const receiver = await world
		.start('ipc-pipe', ['recv', 'x', '--framing', 'lines', '--follow', '--ready-fd', '3'])
		.ready();
	const senders = ['a', 'b', 'c'].map((letter) =>
		world.run('ipc-pipe', ['send', 'x', '--framing', 'lines'], {input: `${letter.repeat(10_000)}\n`.repeat(200)}),
	);
	for (const ended of await Promise.all(senders)) assertDone(ended);
	await until('all has come', () => receiver.received === 600 * 10_001);
	const {stdout} = await receiver.kill().end();
	const lines = stdout.toString().trimEnd().split('\n');
	assert.equal(lines.length, 600);
	for (const line of lines) assert.match(line, /^(a{10000}|b{10000}|c{10000})$/);
	world.assertNothingLeft();
});

test('small and huge records from many senders, larger than any buffer, arrive whole', async (t) => {
	const world = new World(t);
	const sizes = [1, 100, 4095, 4096, 4097, 65_536, 1_048_575, 1_048_576, 3_000_000];
	const receiver = await world
		.start('ipc-pipe', ['recv', 'x', '--framing', 'length', '--follow', '--ready-fd', '3'])
		.ready();
	const senders = [1, 2, 3].map((mark) => {
		const input = Buffer.concat(
			sizes.flatMap((size) => {
				const header = Buffer.alloc(4);
				header.writeUInt32BE(size);
				return [header, Buffer.alloc(size, mark)];
			}),
		);
		return world.run('ipc-pipe', ['send', 'x', '--framing', 'length'], {input});
	});
	for (const ended of await Promise.all(senders)) assertDone(ended);
	await until('all has come', () => receiver.received === 3 * sum(sizes.map((size) => 4 + size)));
	const {stdout} = await receiver.kill().end();
	const seen: number[] = [];
	for (let at = 0; at < stdout.length; ) {
		const length = stdout.readUInt32BE(at);
		const record = stdout.subarray(at + 4, at + 4 + length);
		assert.ok(
			record.every((byte) => byte === record[0]),
			`a record of ${length} bytes is mixed`,
		);
		seen.push(length);
		at += 4 + length;
	}
	assert.equal(seen.length, 3 * sizes.length);
	assert.equal(sum(seen), 3 * sum(sizes));
});

test('many lines, in order, none missing', async (t) => {
	const world = new World(t);
	const count = rounds(200_000, 1_000_000);
	const ended = await world.shell(
		`seq ${count} | ipc-pipe send x --framing lines & ipc-pipe recv x --framing lines | cmp - <(seq ${count}) && wait && echo same`,
	);
	assertDone(ended, 'same\n');
});

test('two receivers share the records, and each record goes to one of them', async (t) => {
	const world = new World(t);
	await world.pipe('create', 'x');
	const receivers = ['1', '2'].map(() =>
		world.start('ipc-pipe', ['recv', 'x', '--framing', 'lines', '--ready-fd', '3']),
	);
	await Promise.all(receivers.map((receiver) => receiver.ready()));
	const input = Array.from({length: 20_000}, (_, i) => `${i} ${'x'.repeat(i % 300)}`);
	assertDone(await world.run('ipc-pipe', ['send', 'x', '--framing', 'lines'], {input: `${input.join('\n')}\n`}));
	const parts = await Promise.all(receivers.map((receiver) => receiver.end()));
	const lines = parts.flatMap(({stdout}) => stdout.toString().split('\n').slice(0, -1));
	assert.deepEqual(lines.sort(), input.sort());
});

test('recv --count takes that many and leaves the rest to the next', async (t) => {
	const world = new World(t);
	const sender = world.start('ipc-pipe', ['send', 'x'], {input: 'one\ntwo\nthree\n'});
	await until('the FIFO is there', () => world.leftovers().length === 1);
	await world.pipe('create', 'x');
	// Somebody has to keep the pipe while no receiver is there.
	const keeper = await world.startOther(peer('fifo-peer'), ['readwrite', world.path('x')]).printed('open');
	assertDone(await sender.end());
	assertDone(await world.pipe('recv', 'x', '--count', '2'), 'one\ntwo\n');
	assertDone(await world.pipe('recv', 'x', '-n', '--count', '2'), 'three\n');
	await keeper.end();
});

test('records that stdout does not take stay in the FIFO', async (t) => {
	const world = new World(t);
	await world.pipe('create', 'x');
	const keeper = await world.startOther(peer('fifo-peer'), ['readwrite', world.path('x')]).printed('open');
	assertDone(await world.run('ipc-pipe', ['send', 'x', '--framing', 'lines'], {input: 'one\ntwo\n'}));
	const {status, stderr} = await world.shell('ipc-pipe recv x --framing lines >/dev/full');
	assert.deepEqual(
		{status, stderr},
		{status: 1, stderr: 'ipc-pipe: cannot write to stdout: no space left on the device\n'},
	);
	assertDone(await world.pipe('recv', 'x', '-n', '--framing', 'lines'), 'one\ntwo\n');
	await keeper.end();
});

test('recv --follow | head -1 leaves what comes later to others', async (t) => {
	const world = new World(t);
	await world.pipe('create', 'x');
	const keeper = await world.startOther(peer('fifo-peer'), ['readwrite', world.path('x')]).printed('open');
	const first = await world
		.start('ipc-pipe', ['recv', 'x', '--follow', '--framing', 'lines', '--ready-fd', '3'])
		.ready();
	keeper.stdin.write('x one\n');
	await first.printed('one\n');
	first.stdout.destroy();
	assert.equal((await first.end()).signal, 'SIGPIPE');
	keeper.stdin.write('x two\n');
	assertDone(await world.pipe('recv', 'x', '--count', '1'), 'two\n');
	await keeper.end();
});

for (const framing of ['null', 'length'] as const) {
	test(`framing ${framing} goes in and out the same`, async (t) => {
		const world = new World(t);
		const record = Buffer.from('a\nb\xff', 'latin1');
		const input =
			framing === 'null'
				? Buffer.concat([record, Buffer.of(0), Buffer.of(0)])
				: Buffer.concat([Buffer.of(0, 0, 0, 4), record, Buffer.alloc(4)]);
		const receiver = world.start('ipc-pipe', ['recv', 'x', '--framing', framing]);
		assertDone(await world.run('ipc-pipe', ['send', 'x', '--framing', framing], {input}));
		assertDone(await receiver.end(), input);
	});
}

test('-0 is --framing null, for find -print0 and xargs -0', async (t) => {
	const world = new World(t);
	const ended = await world.shell(
		"ipc-pipe recv x -0 | xargs -0 -n1 echo & printf 'a b\\0c' | ipc-pipe send x -0; wait",
	);
	assertDone(ended, 'a b\nc\n');
});

test('a last record without its end is still a record', async (t) => {
	const world = new World(t);
	const receiver = world.start('ipc-pipe', ['recv', 'x', '--framing', 'lines']);
	assertDone(await world.run('ipc-pipe', ['send', 'x', '--framing', 'lines'], {input: 'a\nb'}));
	assertDone(await receiver.end(), 'a\nb\n');
	const other = world.start('ipc-pipe', ['recv', 'x', '--framing', 'lines']);
	await until('the FIFO is there', () => world.leftovers().length === 1);
	assertDone(await world.shell("printf 'c' >$RUN/x"));
	assertDone(await other.end(), 'c\n');
});

test('what recv --json prints, send --json takes back, whatever the bytes', async (t) => {
	const world = new World(t);
	const lines = [
		Buffer.from('plain'),
		Buffer.from(''),
		Buffer.from('ünï'),
		Buffer.from([0, 255, 13]),
		randomBytes(5000).filter((byte) => byte !== 10),
	];
	const input = Buffer.concat(lines.flatMap((line) => [line, Buffer.of(10)]));
	const first = world.start('ipc-pipe', ['recv', 'x', '--json']);
	assertDone(await world.run('ipc-pipe', ['send', 'x', '--framing', 'lines'], {input}));
	const json = (await first.end()).stdout;
	const objects = json
		.toString()
		.trimEnd()
		.split('\n')
		.map((line) => JSON.parse(line));
	assert.deepEqual(objects.slice(0, 3), [{data: 'plain'}, {data: ''}, {data: 'ünï'}]);
	assert.deepEqual(Object.keys(objects[3]), ['base64']);
	const second = world.start('ipc-pipe', ['recv', 'y']);
	assertDone(await world.run('ipc-pipe', ['send', 'y', '--json'], {input: json}));
	assertDone(await second.end(), input);
});

for (const [title, words, input, message] of [
	[
		'JSON that is none',
		['--json'],
		'{"data":"a"}\n{oops\n',
		/^ipc-pipe: cannot send record 2 of stdin: it is not JSON \(1 record sent\)\n$/,
	],
	[
		'a JSON record with a newline',
		['--json'],
		'{"data":"a\\nb"}\n',
		/^ipc-pipe: cannot send record 1 of stdin: it contains a newline, and the records of JSON objects are sent as lines/,
	],
	[
		'half a frame',
		['--framing', 'length'],
		Buffer.from([0, 0, 0, 1, 65, 0, 0, 0, 9, 1]),
		/^ipc-pipe: cannot send record 2 of stdin: it is incomplete: 1 of 9 bytes arrived \(1 record sent\)\n$/,
	],
	[
		'half a length',
		['--framing', 'length'],
		Buffer.from([0, 0]),
		/^ipc-pipe: cannot send record 1 of stdin: it is incomplete: 2 of the 4 bytes/,
	],
] as const) {
	test(`send refuses ${title}, and says how many were sent`, async (t) => {
		const world = new World(t);
		const receiver = world.start('ipc-pipe', ['recv', 'x', '--framing', words[0] === '--json' ? 'lines' : 'length']);
		assertFails(await world.run('ipc-pipe', ['send', 'x', ...words], {input}), 1, message);
		assert.equal((await receiver.end()).status, 0);
		world.assertNothingLeft();
	});
}

test('a frame whose sender left in the middle is an error to the receiver, after the whole ones', async (t) => {
	const world = new World(t);
	const receiver = world.start('ipc-pipe', ['recv', 'x', '--framing', 'length']);
	await until('the FIFO is there', () => world.leftovers().length === 1);
	assertDone(await world.shell("printf '\\0\\0\\0\\1A\\0\\0\\0\\5B' >$RUN/x"));
	const {status, stdout, stderr} = await receiver.end();
	assert.equal(status, 1);
	assert.deepEqual(stdout.subarray(0, 5), Buffer.from([0, 0, 0, 1, 65]));
	assert.match(
		stderr,
		/^ipc-pipe: the last record is incomplete: its sender left before sending 4 bytes \(1 whole record received\)\n$/,
	);
});

test('--raw: all of stdin is one record that no other sender interrupts', async (t) => {
	const world = new World(t);
	await world.pipe('create', 'x');
	const receiver = await world.start('ipc-pipe', ['recv', 'x', '--raw', '--writers', '2', '--ready-fd', '3']).ready();
	const first = world.start('ipc-pipe', ['send', 'x', '--raw']);
	first.stdin.write('first ');
	await receiver.printed('first ');
	const second = world.start('ipc-pipe', ['send', 'x', '--framing', 'lines'], {input: 'second\n'});
	await until(
		'the second waits for the lock',
		() =>
			/OFDLCK.*WRITE|-> OFDLCK/.test(readFileSync('/proc/locks', 'utf8')) &&
			/^[0-9]+: ->/m.test(readFileSync('/proc/locks', 'utf8')),
	);
	first.stdin.end('still first\n');
	assertDone(await first.end());
	assertDone(await second.end());
	assertDone(await receiver.end(), 'first still first\nsecond\n');
});

test('a sender killed at any moment leaves only whole lines behind it', async (t) => {
	const world = new World(t);
	await world.pipe('create', 'x');
	const kills = rounds(3, 20);
	for (const length of [50, 10_000, 200_000]) {
		const receiver = await world
			.start('ipc-pipe', ['recv', 'x', '--framing', 'lines', '--writers', `${kills + 1}`, '--ready-fd', '3'])
			.ready();
		writeFileSync(world.file('lines'), `${'x'.repeat(length)}\n`.repeat(Math.ceil(30_000_000 / length)));
		for (let i = 0; i < kills; i++) {
			const sender = world.startOther('bash', ['-c', `exec ipc-pipe send x --framing lines <${world.file('lines')}`]);
			// What flows may still be left of the sender before, and one that never opened the FIFO does not count as a writer.
			await until('it has opened the FIFO', () => writesTo(sender.pid, world.path('x')));
			const before = receiver.received;
			const amount = randomBelow(750_000);
			await until('lines flow', () => receiver.received > before + amount);
			sender.kill('SIGKILL');
			await sender.end();
		}
		assertDone(await world.run('ipc-pipe', ['send', 'x', '--framing', 'lines'], {input: 'last\n'}));
		const lines = (await receiver.end()).stdout.toString().split('\n');
		assert.deepEqual(lines.slice(-2), ['last', '']);
		assert.ok(lines.length > 2);
		assert.ok(
			lines.slice(0, -2).every((line) => line.length === length),
			`a line of ${length} bytes was torn`,
		);
	}
});
