import assert from 'node:assert/strict';
import test, {type TestContext} from 'node:test';
import {jetstream, jetstreamManager} from '@nats-io/jetstream';
import {connect, headers} from '@nats-io/transport-node';
import {NatsServer, NatsWorld, needsNats, sharedServer} from '../support/nats/nats-world.js';
import {randomBytes} from '../support/random.js';
import type {Running} from '../support/run.js';
import {uniqueName} from '../support/unique-name.js';
import {until} from '../support/until.js';
import {assertDone, assertFails} from '../support/world.js';

const server = sharedServer();

/** A test with a server. */
const on = (title: string, body: (world: NatsWorld) => Promise<void>) =>
	test(title, needsNats, async (t) => body(new NatsWorld(t, await server.started())));

/** The same over a FIFO and over a pipe on a cluster. */
const onBoth = (title: string, body: (world: NatsWorld, name: string) => Promise<void>) => {
	on(`a FIFO: ${title}`, (world) => body(world, uniqueName()));
	on(`on a cluster: ${title}`, (world) => body(world, world.name()));
};

const numbers = (count: number) => Array.from({length: count}, (_, i) => `${i + 1}\n`).join('');

onBoth('bytes and records arrive, in order, and the pipe is gone afterwards', async (world, name) => {
	const bytes = randomBytes(300_000);
	const receiver = await world.start('ipc-pipe', ['recv', name, '--ready-fd', '3'], {input: ''}).ready();
	assertDone(await world.run('ipc-pipe', ['send', name], {input: bytes}), '');
	assertDone(await receiver.end(), bytes);

	const other = await world.start('ipc-pipe', ['recv', name, '--json', '--ready-fd', '3'], {input: ''}).ready();
	assertDone(await world.run('ipc-pipe', ['send', name, '--framing', 'lines'], {input: 'a\nb'}), '');
	assertDone(await other.end(), '{"data":"a"}\n{"data":"b"}\n');
	assertFails(
		await world.run('ipc-pipe', ['stat', name]),
		1,
		`ipc-pipe: cannot open '${name}': no such FIFO (make it with: ipc-pipe create ${name})\n`,
	);
});

onBoth('create, list, stat, wait, remove', async (world, name) => {
	assertDone(await world.run('ipc-pipe', ['create', name]), '');
	const where = name.startsWith('nats:') ? ['nats:'] : [];
	const listed = await world.run('ipc-pipe', ['list', ...where, '--no-headings', '-o', 'name,life']);
	assert.match(listed.stdout.toString(), new RegExp(`^${name} +permanent$`, 'm'));
	assertFails(await world.run('ipc-pipe', ['wait', name, '--reader', '-n']), 3, '');
	const waiting = await world.start('ipc-pipe', ['wait', name, '--reader', '--ready-fd', '3'], {input: ''}).ready();
	const receiver = await world.start('ipc-pipe', ['recv', name, '-f', '--ready-fd', '3'], {input: ''}).ready();
	assertDone(await waiting.end(), '');
	const {stdout} = await world.run('ipc-pipe', ['stat', name, '--json']);
	const {temporary, queued, readers, writers} = JSON.parse(stdout.toString());
	assert.deepEqual({temporary, queued, writers}, {temporary: false, queued: 0, writers: []});
	assert.deepEqual(
		readers.map(({pid}: {pid: number}) => pid),
		[receiver.pid],
	);
	assert.equal((await receiver.kill('SIGINT').end()).signal, 'SIGINT');
	assertDone(await world.run('ipc-pipe', ['remove', name]), '');
});

onBoth('--writers ends after so many, and --count leaves the rest', async (world, name) => {
	assertDone(await world.run('ipc-pipe', ['create', name]), '');
	const all = await world.start('ipc-pipe', ['recv', name, '--writers', '2', '--ready-fd', '3'], {input: ''}).ready();
	assertDone(await world.run('ipc-pipe', ['send', name], {input: 'one\n'}), '');
	assertDone(await world.run('ipc-pipe', ['send', name], {input: 'two\n'}), '');
	assertDone(await all.end(), 'one\ntwo\n');

	// A sender that stays keeps what is in a FIFO.
	const first = await world.start('ipc-pipe', ['recv', name, '--count', '3', '--ready-fd', '3'], {input: ''}).ready();
	const sender = world.start('ipc-pipe', ['send', name]);
	sender.stdin.write(numbers(1000));
	assertDone(await first.end(), '1\n2\n3\n');
	if (!name.startsWith('nats:')) return;
	const rest = world.start('ipc-pipe', ['recv', name], {input: ''});
	assertDone(await sender.end(), '');
	assertDone(await rest.end(), numbers(1000).slice('1\n2\n3\n'.length));
});

onBoth('never waiting is 3, having waited is 124', async (world, name) => {
	assertFails(await world.run('ipc-pipe', ['send', name, '-n'], {input: 'a'}), 3, '');
	assertFails(await world.run('ipc-pipe', ['send', name, '-t', '2s'], {input: 'a'}), 124, '');
	assertFails(await world.run('ipc-pipe', ['recv', name, '-n']), 3, '');
	assertFails(await world.run('ipc-pipe', ['recv', name, '-t', '2s']), 124, '');
	const where = name.startsWith('nats:') ? ['nats:'] : [];
	const listed = await world.run('ipc-pipe', ['list', ...where, '--no-headings', '-o', 'name']);
	assert.ok(!listed.stdout.toString().split('\n').includes(name));
});

on('tee: a FIFO, two pipes on a cluster and standard output get the same bytes', async (world) => {
	const names = [uniqueName(), world.name(), world.name()];
	const bytes = randomBytes(3_000_000);
	const receivers = await Promise.all(
		names.map((name) => world.start('ipc-pipe', ['recv', name, '--ready-fd', '3'], {input: ''}).ready()),
	);
	const {status, stdout, stderr} = await world.run('ipc-pipe', ['tee', ...names, '-', '--json'], {input: bytes});
	assert.equal(status, 0, stderr);
	assert.ok(stdout.equals(bytes));
	const reports = stderr.trim().split('\n');
	assert.deepEqual(
		reports.map((line) => JSON.parse(line)),
		[...names, '-'].map((name) => ({
			...{name, bytes: bytes.length, waitingBytes: 0, missedBytes: 0, missedRecords: 0, state: 'connected'},
		})),
	);
	for (const receiver of receivers) assertDone(await receiver.end(), bytes);
});

on('tee: a pipe that stays full: 124, and its reader learns of it', async (world) => {
	const [full, other] = [world.name(), world.name()];
	for (const name of [full, other]) assertDone(await world.run('ipc-pipe', ['create', name, '--size', '256K']), '');
	const stopped = await world.start('ipc-pipe', ['recv', full, '--ready-fd', '3'], {input: ''}).ready();
	stopped.kill('SIGSTOP');
	const reader = await world.start('ipc-pipe', ['recv', other, '--follow', '--ready-fd', '3'], {input: ''}).ready();
	const input = randomBytes(3_000_000);
	const {status, stdout, stderr} = await world.run('ipc-pipe', ['tee', full, other, '--json', '-t', '1s'], {input});
	assert.equal(status, 124);
	assert.match(stderr, new RegExp(`^ipc-pipe: gave up: the buffer of '${full}' is full, [0-9]+ bytes not sent\n$`));
	const {bytes} = JSON.parse(stdout.toString().split('\n')[0] as string);
	assert.ok(bytes < 256 * 1024, stdout.toString());
	const {stdout: came, stderr: told} = await stopped.kill('SIGCONT').end();
	assert.ok(came.length >= bytes && came.equals(input.subarray(0, came.length)));
	assert.match(told, /left without finishing/);
	await reader.kill('SIGINT').end();
});

on('tee --on-slow drop: records are lost whole, and counted', async (world) => {
	const name = world.name();
	const reader = await world.start('ipc-pipe', ['recv', name, '--ready-fd', '3'], {input: ''}).ready();
	const input = numbers(300_000);
	const words = ['tee', name, '--on-slow', 'drop', '--buffer', '64K', '--json'];
	const {status, stdout} = await world.run('ipc-pipe', words, {input});
	assert.equal(status, 0);
	const {bytes, missedBytes, missedRecords} = JSON.parse(stdout.toString());
	assert.equal(bytes + missedBytes, input.length);
	const came = (await reader.end()).stdout.toString();
	assert.equal(came.length, bytes);
	const lines = came.split('\n').slice(0, -1).map(Number);
	assert.equal(lines.length + missedRecords, 300_000);
	assert.ok(lines.every((number, i) => number > (lines[i - 1] ?? 0) && number <= 300_000));
});

on('tee: a pipe that is removed ends for itself only', async (world) => {
	const [gone, stays] = [world.name(), world.name()];
	assertDone(await world.run('ipc-pipe', ['create', gone]), '');
	const readers = [gone, stays].map((name) =>
		world.start('ipc-pipe', ['recv', name, '--ready-fd', '3'], {input: ''}).ready(),
	);
	const [lost, reader] = [await readers[0], await readers[1]] as [Running, Running];
	const tee = world.start('ipc-pipe', ['tee', gone, stays, '--json']);
	tee.stdin.write('one\n');
	await until('both have it', () => lost.received === 4 && reader.received === 4);
	assertDone(await world.run('ipc-pipe', ['remove', gone]), '');
	tee.stdin.write('two\n');
	await until('the other has it', () => reader.received === 8);
	const {status, stdout, stderr} = await tee.end();
	assert.equal(status, 1);
	assert.match(stderr, new RegExp(`^ipc-pipe: cannot send to '${gone}' .*: it has been removed\n$`));
	assert.equal(JSON.parse(stdout.toString().split('\n')[0] as string).state, 'left');
	assertDone(await reader.end(), 'one\ntwo\n');
});

onBoth('tee without a reader: 3 with -n, 124 with -t', async (world, name) => {
	assertFails(await world.run('ipc-pipe', ['tee', name, '-n'], {input: 'a'}), 3, '');
	assertFails(await world.run('ipc-pipe', ['tee', name, '-t', '2s'], {input: 'a'}), 124, '');
});

onBoth('watch prints a line for each change', async (world, name) => {
	assertDone(await world.run('ipc-pipe', ['create', name]), '');
	const watch = world.start('ipc-pipe', ['watch', name, '--interval', '50ms'], {input: ''});
	const last = () => JSON.parse(watch.output.toString().trim().split('\n').at(-1) || '{}');
	await until('it is shown', () => last().readers?.length === 0);
	const receiver = await world.start('ipc-pipe', ['recv', name, '-f', '--ready-fd', '3'], {input: ''}).ready();
	await until('its reader is shown', () => last().readers?.[0]?.pid === receiver.pid);
	await receiver.kill('SIGINT').end();
	await until('its reader has left', () => last().readers?.length === 0);
	assertDone(await world.run('ipc-pipe', ['remove', name]), '');
	await until('it is gone', () => last().removed === true);
	assert.equal((await watch.kill('SIGINT').end()).signal, 'SIGINT');
});

onBoth('wait for data, and until all is read', async (world, name) => {
	assertDone(await world.run('ipc-pipe', ['create', name]), '');
	const waiting = (wish: string) =>
		world.start('ipc-pipe', ['wait', name, wish, '--ready-fd', '3'], {input: ''}).ready();
	const [writer, data] = [await waiting('--writer'), await waiting('--data')];
	const receiver = await world.start('ipc-pipe', ['recv', name, '--ready-fd', '3'], {input: ''}).ready();
	receiver.kill('SIGSTOP');
	const sender = world.start('ipc-pipe', ['send', name]);
	sender.stdin.write('some\n');
	assertDone(await writer.end(), '');
	assertDone(await data.end(), '');
	const empty = await waiting('--empty');
	receiver.kill('SIGCONT');
	assertDone(await empty.end(), '');
	assertDone(await sender.end(), '');
	assertDone(await receiver.end(), 'some\n');
	assertDone(await world.run('ipc-pipe', ['remove', name]), '');
});

on('a second receiver: not now', async (world) => {
	const name = world.name();
	await world.start('ipc-pipe', ['recv', name, '--ready-fd', '3'], {input: ''}).ready();
	assertFails(await world.run('ipc-pipe', ['recv', name, '-n']), 3, '');
	assertFails(
		await world.run('ipc-pipe', ['recv', name, '-t', '2s']),
		124,
		'ipc-pipe: another process receives from it; waiting until it ends\n',
	);
});

on('a slow reader holds the sender back, and learns that it gave up', async (world) => {
	const name = world.name();
	const receiver = await world
		.start('ipc-pipe', ['recv', name, '--size', '256K', '--ready-fd', '3'], {input: ''})
		.ready();
	receiver.kill('SIGSTOP');
	const {status, stderr} = await world.run('ipc-pipe', ['send', name, '-t', '2s'], {input: randomBytes(2 ** 20)});
	assert.equal(status, 124, stderr);
	const sent = Number(/is full, ([0-9]+) bytes sent/.exec(stderr)?.[1]);
	assert.ok(sent > 0 && sent < 256 * 1024, stderr);
	const {stdout, stderr: told, status: end} = await receiver.kill('SIGCONT').end();
	assert.equal(end, 1, told);
	assert.equal(stdout.length, sent);
	assert.match(told, new RegExp(`left without finishing: ${sent} bytes of it arrived`));
});

on('the records of two senders stay whole, and each in order', async (world) => {
	const name = world.name();
	const receiver = world.start('ipc-pipe', ['recv', name, '--writers', '2', '--ready-fd', '3'], {input: ''});
	await receiver.ready();
	const lines = (letter: string) =>
		Array.from({length: 3000}, (_, i) => `${letter}${i}:${letter.repeat((i * 7919) % 2000)}\n`).join('');
	const senders = ['a', 'b'].map((letter) =>
		world.run('ipc-pipe', ['send', name, '--framing', 'lines'], {input: lines(letter)}),
	);
	for (const ended of await Promise.all(senders)) assertDone(ended, '');
	const {stdout} = await receiver.end();
	const came = stdout.toString().split(/(?<=\n)/);
	for (const letter of ['a', 'b'])
		assert.ok(came.filter((line) => line.startsWith(letter)).join('') === lines(letter), letter);
	assert.equal(came.length, 6000);
});

on('a record that does not fit: both numbers', async (world) => {
	const name = world.name();
	await world.start('ipc-pipe', ['recv', name, '-f', '--ready-fd', '3'], {input: ''}).ready();
	const input = Buffer.concat([Buffer.from('short\n'), Buffer.alloc(1_100_000, 'x'), Buffer.from('\n')]);
	assertFails(
		await world.run('ipc-pipe', ['send', name, '--framing', 'lines'], {input}),
		1,
		/^ipc-pipe: cannot send to '.*': record 2 of stdin has (1100001|more than 1048064) bytes, and a message of this pipe takes 1048064\n$/,
	);
});

on('a receiver is killed: the next one goes on, without a loss', async (world) => {
	const name = world.name();
	const bytes = randomBytes(4_000_000);
	assertDone(await world.run('ipc-pipe', ['create', name]), '');
	const first = await world.start('ipc-pipe', ['recv', name, '--ready-fd', '3'], {input: ''}).ready();
	const sender = world.start('ipc-pipe', ['send', name]);
	sender.stdin.write(bytes.subarray(0, 2_000_000));
	await until('something has come', () => first.received > 500_000);
	first.kill('SIGKILL');
	const {stdout: had} = await first.end();
	const second = world.start('ipc-pipe', ['recv', name], {input: ''});
	sender.stdin.end(bytes.subarray(2_000_000));
	assertDone(await sender.end(), '');
	const {stdout: rest, status} = await second.end();
	assert.equal(status, 0);
	assert.ok(bytes.subarray(0, had.length).equals(had));
	assert.ok(bytes.subarray(bytes.length - rest.length).equals(rest));
	assert.ok(had.length + rest.length >= bytes.length, `${had.length} and ${rest.length}`);
});

/** A sender whose messages the test sends itself, in an order that a cluster in trouble may store them in. */
async function ownSender(t: TestContext, world: NatsWorld, name: string) {
	const client = await connect({servers: world.env.NATS_URL as string});
	t.after(() => client.close());
	const subject = `ipc.pipe.${name.slice('nats:'.length)}`;
	client.subscribe(`${subject}.writer`, {callback: (_, message) => void message.respond('{}')});
	client.subscribe(`${subject}.writer.test`, {callback: (_, message) => void message.respond('{}')});
	return async (number: number | string, stored: number, data: string, mark?: string) => {
		const head = headers();
		head.set('Ipc-Stored', String(stored));
		if (mark) head.set('Ipc-Mark', mark);
		await jetstream(client).publish(subject, data, {headers: head, msgID: `test:${number}`});
	};
}

test('the first message comes behind more than a reader may have in hand', needsNats, async (t) => {
	const world = new NatsWorld(t, await server.started());
	const name = world.name();
	const receiver = await world
		.start('ipc-pipe', ['recv', name, '--writers', '1', '--ready-fd', '3'], {input: ''})
		.ready();
	const send = await ownSender(t, world, name);
	const all = Array.from({length: 200}, (_, i) => i + 1);
	for (const number of all) await send(number, -1, `${number}\n`);
	await send(0, -1, '{}', 'begin');
	await send(201, 200, '', 'end');
	assertDone(await receiver.end(), numbers(200));
});

test('a message that the server has lost is sent again', needsNats, async (t) => {
	const world = new NatsWorld(t, await server.started());
	const name = world.name();
	assertDone(await world.run('ipc-pipe', ['create', name]), '');
	const client = await connect({servers: world.env.NATS_URL as string});
	t.after(() => client.close());
	const streams = await jetstreamManager(client);
	// The reader finds the messages only after one of them is gone.
	const presence = client.subscribe(`ipc.pipe.${name.slice('nats:'.length)}.reader`, {
		callback: (_, message) => void message.respond('{}'),
	});
	const sender = world.start('ipc-pipe', ['send', name]);
	sender.stdin.write('one\n');
	const stream = `ipc-pipe-${name.slice('nats:'.length)}`;
	const holds = (count: number) => async () => (await streams.streams.info(stream)).state.messages === count;
	await until('the first is stored', holds(2));
	sender.stdin.write('two\n');
	await until('the second is stored', holds(3));
	sender.stdin.write('three\n');
	await until('the third is stored', holds(4));
	await streams.streams.deleteMessage(stream, 3);
	presence.unsubscribe();
	const receiver = await world.start('ipc-pipe', ['recv', name, '--ready-fd', '3'], {input: ''}).ready();
	await until('all is written', () => receiver.output.toString() === 'one\ntwo\nthree\n');
	sender.stdin.end();
	assertDone(await sender.end(), '');
	assertDone(await receiver.end(), 'one\ntwo\nthree\n');
});

test(
	'a message that the server has lost, and its sender does not have any more, is said to be lost',
	needsNats,
	async (t) => {
		const world = new NatsWorld(t, await server.started());
		const name = world.name();
		assertDone(await world.run('ipc-pipe', ['create', name, '--size', '64M']), '');
		const client = await connect({servers: world.env.NATS_URL as string});
		t.after(() => client.close());
		const {streams} = await jetstreamManager(client);
		const presence = client.subscribe(`ipc.pipe.${name.slice('nats:'.length)}.reader`, {
			callback: (_, message) => void message.respond('{}'),
		});
		const sender = world.start('ipc-pipe', ['send', name]);
		// More than a sender keeps.
		const bytes = randomBytes(16_000_000);
		sender.stdin.write(bytes);
		const stream = `ipc-pipe-${name.slice('nats:'.length)}`;
		await until('all is stored', async () => (await streams.info(stream)).state.bytes > 16_000_000);
		await streams.deleteMessage(stream, 3);
		presence.unsubscribe();
		const {status, stdout, stderr} = await world.run('ipc-pipe', ['recv', name]);
		const said = 'the servers have lost a part of it that its sender does not have any more';
		assert.deepEqual([status, stderr], [1, `ipc-pipe: cannot receive from '${name}': ${said}\n`]);
		assert.ok(bytes.subarray(0, stdout.length).equals(stdout));
		await sender.kill('SIGTERM').end();
	},
);

test(
	'a temporary pipe that its last sender removes when all has come ends its reader; one that follows is told',
	needsNats,
	async (t) => {
		const world = new NatsWorld(t, await server.started());
		for (const [more, expected] of [
			[[], ''],
			[['--follow'], 'it has been removed'],
		] as const) {
			const name = world.name();
			const receiver = await world.start('ipc-pipe', ['recv', name, ...more, '--ready-fd', '3'], {input: ''}).ready();
			// It answers as a sender does that is still there.
			const send = await ownSender(t, world, name);
			await send(0, -1, '{}', 'begin');
			await send(1, 0, '1\n');
			await send(2, 1, '', 'end');
			await until('all is confirmed', async () => {
				const {stdout} = await world.run('ipc-pipe', ['stat', name, '--json']);
				return receiver.output.toString() === '1\n' && JSON.parse(stdout.toString()).queued === 0;
			});
			assertDone(await world.run('ipc-pipe', ['remove', name]), '');
			const {status, stdout, stderr} = await receiver.end();
			assert.equal(stdout.toString(), '1\n');
			assert.equal(status, expected === '' ? 0 : 1);
			assert.ok(expected === '' ? stderr === '' : stderr.includes(expected), stderr);
		}
	},
);

test('messages that are stored twice are written once, and none is left', needsNats, async (t) => {
	const world = new NatsWorld(t, await server.started());
	const name = world.name();
	assertDone(await world.run('ipc-pipe', ['create', name]), '');
	const receiver = await world.start('ipc-pipe', ['recv', name, '--follow', '--ready-fd', '3'], {input: ''}).ready();
	const send = await ownSender(t, world, name);
	await send(0, -1, '{}', 'begin');
	// One that waits for an earlier message, one that is being written, and one that has been.
	await send(2, 0, '2\n');
	await send('2+1', 0, '2\n');
	await send('2+2', 0, '2\n');
	await send(1, 0, '1\n');
	await send('1+1', 0, '1\n');
	await until('they are written', () => receiver.output.toString() === '1\n2\n');
	await send('1+2', 2, '1\n');
	await send(3, 2, '3\n');
	await until('the last is written', () => receiver.output.toString() === '1\n2\n3\n');
	await until('all are confirmed', async () => {
		const {stdout} = await world.run('ipc-pipe', ['stat', name, '--json']);
		return JSON.parse(stdout.toString()).queued === 0;
	});
	await receiver.kill('SIGINT').end();
	assert.equal(receiver.output.toString(), '1\n2\n3\n');
});

test('the server is killed in the middle and started again: not a byte is lost or doubled', needsNats, async (t) => {
	const own = await new NatsServer().start();
	t.after(() => own.end());
	const world = new NatsWorld(t, own);
	const name = world.name();
	const bytes = randomBytes(20_000_000);
	const receiver = await world.start('ipc-pipe', ['recv', name, '--ready-fd', '3'], {input: ''}).ready();
	const sender = world.start('ipc-pipe', ['send', name]);
	sender.stdin.write(bytes.subarray(0, 10_000_000));
	await until('something has come', () => receiver.received > 3_000_000);
	await own.kill();
	sender.stdin.end(bytes.subarray(10_000_000));
	await own.start();
	const {status, stderr} = await sender.end();
	assert.equal(status, 0, stderr);
	assert.match(stderr, /lost the connection to .*; trying again\n.*connected again/);
	const {stdout, status: end, stderr: told} = await receiver.end();
	assert.equal(end, 0, told);
	assert.ok(stdout.equals(bytes), `${stdout.length} bytes came: ${told}`);
});
