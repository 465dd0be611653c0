import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {connect} from 'node:net';
import test from 'node:test';
import {needs} from '../support/needs.js';
import {fc} from '../support/property.js';
import {peer} from '../support/run.js';
import {SocketWorld} from '../support/sockets.js';
import {until} from '../support/until.js';
import {assertDone, assertFails} from '../support/world.js';

for (const type of ['stream', 'dgram', 'seqpacket']) {
	test(`operands and lines arrive as records (${type})`, async (t) => {
		const world = new SocketWorld(t);
		const receiver = await world.ready(['recv', 'log', '--type', type, '-c', '5']);
		assertDone(await world.sock('send', 'log', '--type', type, 'one', '', 'three'), '');
		assertDone(await world.run('ipc-sock', ['send', 'log', '--type', type], {input: 'four\nfive'}), '');
		assertDone(await receiver.end(), 'one\n\nthree\nfour\nfive\n');
		world.assertNothingLeft();
	});

	test(`any bytes, in every framing (${type})`, async (t) => {
		const world = new SocketWorld(t);
		const records = fc
			.sample(fc.uint8Array({maxLength: 2000}), {numRuns: 40, seed: 7})
			.map((bytes) => Buffer.from(bytes));
		const framed = Buffer.concat(
			records.flatMap((record) => {
				const length = Buffer.alloc(4);
				length.writeUInt32BE(record.length);
				return [length, record];
			}),
		);
		const words = ['--type', type, '--framing', 'length'];
		const receiver = await world.ready(['recv', 'bytes', ...words, '-c', '40']);
		assertDone(await world.run('ipc-sock', ['send', 'bytes', ...words], {input: framed}), '');
		assertDone(await receiver.end(), framed);
	});

	test(`what recv --json prints send --json takes back, with who sent it (${type})`, async (t) => {
		const world = new SocketWorld(t);
		const words = ['--type', type];
		const first = await world.ready(['recv', 'a', ...words, '--json', '-c', '2']);
		const input = '{"data":"plain \\u00e9"}\n{"base64":"/w=="}\n';
		assertDone(await world.run('ipc-sock', ['send', 'a', ...words, '--json'], {input}), '');
		const {stdout} = await first.end();
		const lines = stdout
			.toString()
			.trim()
			.split('\n')
			.map((line) => JSON.parse(line));
		assert.deepEqual(
			lines.map(({data, base64}) => data ?? base64),
			['plain é', '/w=='],
		);
		for (const {pid, uid} of lines) assert.ok(pid > 1 && uid === process.getuid?.());
		const second = await world.ready(['recv', 'b', ...words, '-c', '2']);
		assertDone(await world.run('ipc-sock', ['send', 'b', ...words, '--json'], {input: stdout}), '');
		assertDone(await second.end(), Buffer.concat([Buffer.from('plain é\n'), Buffer.of(255, 10)]));
	});
}

test('a stranger sends packets', async (t) => {
	const world = new SocketWorld(t);
	for (const type of ['dgram', 'seqpacket']) {
		const receiver = await world.ready(['recv', type, '--type', type, '-c', '2']);
		await world.startOther(peer('sock-peer'), ['packet', world.path(type), type, 'from', 'C']).end();
		assertDone(await receiver.end(), 'from\nC\n');
	}
});

test('many at once: every record whole', async (t) => {
	const world = new SocketWorld(t);
	const [senders, each] = [20, 200];
	const receiver = await world.ready(['recv', 'log', '-c', String(senders * each)]);
	const text = 'x'.repeat(700);
	await Promise.all(
		Array.from({length: senders}, async (_, sender) => {
			const input = Array.from({length: each}, (__, i) => `${sender} ${i} ${text}\n`).join('');
			assertDone(await world.run('ipc-sock', ['send', 'log'], {input}), '');
		}),
	);
	const {stdout} = await receiver.end();
	const lines = stdout.toString().split('\n').slice(0, -1);
	const expected = Array.from({length: senders}, (_, sender) =>
		Array.from({length: each}, (__, i) => `${sender} ${i} ${text}`),
	).flat();
	assert.deepEqual(lines.sort(), expected.sort());
});

test('a record of 50 MB, longer than any buffer', async (t) => {
	const world = new SocketWorld(t);
	const record = Buffer.alloc(50_000_000, 'r');
	const receiver = await world.ready(['recv', 'big']);
	assertDone(await world.run('ipc-sock', ['send', 'big'], {input: record}), '');
	assertDone(await receiver.end(), Buffer.concat([record, Buffer.from('\n')]));
});

test('--raw: all that one sends is one record', async (t) => {
	const world = new SocketWorld(t);
	const data = world.random('data', 5_000_000);
	const receiver = await world.ready(['recv', 'file', '--raw']);
	assertDone(await world.run('ipc-sock', ['send', 'file', '--raw'], {input: data}), '');
	assertDone(await receiver.end(), data);
});

test('--all: everything that one client sends, and of no other', async (t) => {
	const world = new SocketWorld(t);
	const receiver = await world.ready(['recv', 'x', '--all']);
	assertDone(await world.run('ipc-sock', ['send', 'x'], {input: 'a\nb\nc\n'}), '');
	assertDone(await receiver.end(), 'a\nb\nc\n');
});

test('the receiver has enough: the sender is told that not all was read', async (t) => {
	const world = new SocketWorld(t);
	const receiver = await world.ready(['recv', 'few', '-c', '1']);
	const {status, stderr} = await world.sock('send', 'few', 'one', 'two');
	assert.equal(status, 1);
	assert.match(stderr, /^ipc-sock: cannot send to 'few': the receiver left before reading all data/);
	assertDone(await receiver.end(), 'one\n');
});

test("the receiver's output fails: what it could not print is reported by the sender", async (t) => {
	const world = new SocketWorld(t);
	const path = world.path('full');
	const receiver = world.shell('ipc-sock recv full --follow > /dev/full');
	await until('it listens', () => world.isSocket(path));
	const sender = await world.sock('send', 'full', 'precious');
	assert.equal(sender.status, 1);
	const {status, stderr} = await receiver;
	assert.deepEqual([status, stderr], [1, 'ipc-sock: cannot write to stdout: no space left on the device\n']);
	world.assertNothingLeft();
});

test('the receiver is killed while a record is on its way', async (t) => {
	const world = new SocketWorld(t);
	const receiver = await world.ready(['recv', 'x', '--follow']);
	receiver.kill('SIGSTOP');
	const sender = world.start('ipc-sock', ['send', 'x', 'one'], {input: ''});
	await until('it has connected', () => readFileSync('/proc/net/unix', 'utf8').split(world.path('x')).length > 2);
	receiver.kill('SIGKILL');
	const {status, stderr} = await sender.end();
	assert.equal(status, 1);
	assert.match(stderr, /cannot send to 'x': the receiver left before reading all data|cannot connect to 'x'/);
});

test('a receiver that does not read: --timeout gives up, --nonblock is not now', async (t) => {
	const world = new SocketWorld(t);
	for (const [option, status] of [
		[['-t', '50ms'], 124],
		[['-n'], 3],
	] as const) {
		const path = world.file(`s${status}`);
		await world.stranger('hold', path, 'dgram');
		const input = 'x\n'.repeat(2000);
		const ended = await world.run('ipc-sock', ['send', path, '--type', 'dgram', ...option], {input});
		assertFails(ended, status, /^ipc-sock: gave up on '.*': [1-9][0-9]* records sent\n$/);
	}
	const stream = world.file('stream');
	await world.stranger('hold', stream, 'stream');
	assertFails(
		await world.run('ipc-sock', ['send', stream, '-t', '50ms'], {input: 'unread\n'}),
		124,
		/: 1 record sent, but not all were read\n$/,
	);
	const {status, stderr} = await world.run('ipc-sock', ['send', stream, '-n'], {input: 'x\n'.repeat(20_000_000)});
	assert.equal(status, 3);
	assert.match(stderr, /^ipc-sock: gave up on '.*': [1-9][0-9]{3,7} records sent\n$/);
});

test('nothing comes: --timeout; a count that is not reached says how far it came', async (t) => {
	const world = new SocketWorld(t);
	assertFails(await world.sock('recv', 'x', '-t', '20ms'), 124, '');
	assertFails(await world.sock('recv', 'x', '-n'), 3, '');
	const receiver = await world.ready(['recv', 'x', '-c', '3', '-t', '3s']);
	connect(world.path('x')).end('one\n');
	const {status, stdout, stderr} = await receiver.end();
	assert.deepEqual(
		[status, stdout.toString(), stderr],
		[124, 'one\n', "ipc-sock: gave up on 'x': 1 record received\n"],
	);
	world.assertNothingLeft();
});

test('a packet larger than any may be, a record that its framing cannot carry', async (t) => {
	const world = new SocketWorld(t);
	const receiver = await world.ready(['recv', 'x', '--type', 'dgram', '--follow']);
	const {status, stderr} = await world.run('ipc-sock', ['send', 'x', '--type', 'dgram'], {
		input: `fine\n${'x'.repeat(20_000_000)}\n`,
	});
	assert.equal(status, 1);
	assert.match(
		stderr,
		/cannot send record 2 to 'x': its 20000000 bytes are more than a packet can have .*\(1 record sent\)/,
	);
	await receiver.printed('fine\n');
	receiver.kill();
	await receiver.closed;
	await world.ready(['recv', 'y', '--follow']);
	assertFails(
		await world.sock('send', 'y', 'two\nlines'),
		1,
		/cannot send record 1 to 'y': a record contains a newline/,
	);
	assertFails(
		await world.run('ipc-sock', ['send', 'y', '--json'], {input: 'nonsense\n'}),
		1,
		/cannot send record 1 to 'y': it is not JSON/,
	);
	assertFails(await world.sock('recv', 'z', '--all', '--follow'), 2, /cannot be combined/);
	assertFails(await world.sock('recv', 'z', '--all', '--type', 'dgram'), 2, /datagrams have no end/);
	assertFails(await world.sock('send', 'gone', 'x'), 1, "ipc-sock: cannot connect to 'gone': no such socket\n");
});

for (const [type, framing, sent, printed] of [
	['dgram', 'lines', 'READY=1\nSTATUS=on', 'READY=1\nSTATUS=on\n'],
	['seqpacket', 'lines', 'READY=1\nSTATUS=on\n', 'READY=1\nSTATUS=on\n'],
	['dgram', 'null', 'one\0two', 'one\0two\0'],
] as const)
	test(`a packet that its framing cannot carry is printed in parts, and recv goes on (${type}, ${framing})`, async (t) => {
		const world = new SocketWorld(t);
		const receiver = await world.ready(['recv', 'x', '--type', type, '--framing', framing, '--follow']);
		const send = (...packets: string[]) =>
			world.run('ipc-sock', ['send', 'x', '--type', type, '--framing', 'length'], {
				input: Buffer.concat(packets.map(framed)),
			});
		// Soon after one another, since every five seconds one more is reported.
		assertDone(await send(...Array<string>(16).fill(sent)), '');
		assertDone(await send('after'), '');
		await receiver.printed('after');
		receiver.kill();
		await receiver.closed;
		const end = framing === 'lines' ? '\n' : '\0';
		assert.equal(receiver.output.toString(), `${printed.repeat(16)}after${end}`);
		const lines = receiver.errors.trimEnd().split('\n');
		const [byte, unit] = framing === 'lines' ? ['newline', 'lines'] : ['NUL', 'records'];
		assert.match(
			lines[0] ?? '',
			new RegExp(`^ipc-sock: a packet from .*process \\d+ .* holds a ${byte} and was printed as 2 ${unit} \\(--json`),
		);
		// Sixteen came: those after the tenth are counted.
		assert.ok(lines.length <= 13, receiver.errors);
		assert.match(receiver.errors, /\d+ more messages? like this w(as|ere) left out/);
	});

test('--count counts a packet once, whatever it holds', async (t) => {
	const world = new SocketWorld(t);
	const receiver = await world.ready(['recv', 'x', '--type', 'dgram', '--count', '2']);
	const input = Buffer.concat([framed('a\nb\nc'), framed('d')]);
	assertDone(await world.run('ipc-sock', ['send', 'x', '--type', 'dgram', '--framing', 'length'], {input}), '');
	const {status, stdout, stderr} = await receiver.end();
	assert.deepEqual([status, stdout.toString()], [0, 'a\nb\nc\nd\n']);
	assert.match(stderr, /was printed as 3 lines/);
});

test('listen --keep-open goes on after a packet that holds a newline', async (t) => {
	const world = new SocketWorld(t);
	const listener = await world.ready(['listen', 'x', '--type', 'seqpacket', '--keep-open']);
	const send = (text: string) =>
		world.run('ipc-sock', ['send', 'x', '--type', 'seqpacket', '--framing', 'length'], {input: framed(text)});
	assertDone(await send('two\nlines'), '');
	assertDone(await send('after'), '');
	await listener.printed('after');
	assert.equal(listener.output.toString(), 'two\nlines\nafter\n');
	assert.match(listener.errors, /was printed as 2 lines/);
});

test('unfinished records of many clients do not fill the memory together', async (t) => {
	const world = new SocketWorld(t);
	const receiver = await world.ready(['recv', 'x', '--follow']);
	const piece = Buffer.alloc(4 * 1024 ** 2, 'x');
	const greedy = Array.from({length: 3}, () => connect(world.path('x')).on('error', () => {}));
	const closed = Promise.race(greedy.map((socket) => new Promise((resolve) => socket.on('close', resolve))));
	for (let i = 0; i < 50; i++) for (const socket of greedy) socket.write(piece);
	await Promise.race([closed, receiver.closed]);
	await until('it is said', () => receiver.errors !== '');
	assert.match(receiver.errors, /disconnected: the incomplete records of all clients are more than 512M together\n$/);
	assertDone(await world.sock('send', 'x', 'fine'), '');
	await receiver.printed('fine\n');
	for (const socket of greedy) socket.destroy();
});

test('one that sends half a record, and one that claims a huge one: the others go on', needs('socat'), async (t) => {
	const world = new SocketWorld(t);
	const receiver = await world.ready(['recv', 'x', '--framing', 'length', '--follow']);
	const huge = world.shell(`printf '\\377\\377\\377\\377abc' | socat - UNIX-CONNECT:$RUN/x`);
	const half = world.shell(`printf '\\0\\0\\0\\011abc' | socat - UNIX-CONNECT:$RUN/x`);
	await Promise.all([huge, half]);
	assertDone(
		await world.run('ipc-sock', ['send', 'x', '--framing', 'length'], {input: Buffer.from('\0\0\0\x02ok')}),
		'',
	);
	await receiver.printed('ok');
	assert.match(receiver.errors, /disconnected .*: a record announces 4294967295 bytes/);
	assert.match(receiver.errors, /disconnected .*: the last record is incomplete: 3 of 9 bytes arrived/);
});

/** A record with its length before it. */
function framed(text: string): Buffer {
	const bytes = Buffer.from(text);
	const length = Buffer.alloc(4);
	length.writeUInt32BE(bytes.length);
	return Buffer.concat([length, bytes]);
}
