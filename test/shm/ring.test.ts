import assert from 'node:assert/strict';
import {createHash} from 'node:crypto';
import {readFileSync, rmSync, truncateSync, writeFileSync} from 'node:fs';
import test from 'node:test';
import {Ring} from '../../src/objects/ring/ring.js';
import {SharedMemory} from '../../src/objects/segment/shared-memory.js';
import {sleepsIn} from '../support/proc.js';
import {fc} from '../support/property.js';
import {randomBytes} from '../support/random.js';
import {rounds} from '../support/rounds.js';
import {peer} from '../support/run.js';
import {SegmentWorld} from '../support/segments.js';
import {until} from '../support/until.js';
import {assertDone, assertFails} from '../support/world.js';

const sequence = (count: number, prefix = ''): string =>
	Array.from({length: count}, (_, i) => `${prefix}${i + 1}\n`).join('');
const digest = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('hex');
const sorted = (text: string) => text.split('\n').slice(0, -1).sort();

test('records in, records out, oldest first; --create makes the ring', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.name();
	assertFails(await world.shm('send', name, 'x'), 1, /no such segment/);
	assertDone(await world.shm('send', name, 'one', '', 'three', '--create'), '');
	assert.equal(world.size(name), 1024 ** 2);
	assertDone(await world.feed('four\nfive', 'send', name), '');
	const status = JSON.parse((await world.shm('stat', name, '--json')).stdout.toString());
	assert.deepEqual(status.ring, {capacity: 1024 ** 2 - 8192, used: 40, records: 5, receivers: 0});
	assertDone(await world.shm('recv', name), 'one\n');
	assertDone(await world.shm('recv', name, '--count', '3'), '\nthree\nfour\n');
	assert.match((await world.shm('stat', name)).stdout.toString(), /^ring: .* bytes used, 1 record$/m);
	assertDone(await world.shm('recv', name, '--all'), 'five\n');
	assertDone(await world.shm('recv', name, '--all'), '');
	assertFails(await world.shm('recv', name, '-n'), 3, '');
	assertFails(await world.shm('recv', name, '-t', '50ms'), 124, '');
	assertFails(await world.shm('recv', name, '--size', '1M'), 2, /needs? --create/);
	assertFails(await world.shm('recv', name, '--all', '--count', '3'), 2, /cannot be combined/);
});

test('a segment in which nothing was stored becomes a ring; any other is refused', async (t) => {
	const world = new SegmentWorld(t);
	const fresh = await world.ring('16K');
	assertDone(await world.shm('send', fresh, 'x'), '');
	const used = world.segment(Buffer.concat([Buffer.alloc(20_000), Buffer.from('x')]));
	assertFails(await world.shm('send', used, 'x'), 1, /cannot use .* as a ring: it has other contents/);
	assert.equal(world.contents(used).lastIndexOf('x'), 20_000);
	const tiny = world.segment(8192);
	assertFails(await world.shm('recv', tiny, '-n'), 1, /it has 8192 bytes, a ring needs at least 12288/);
	const later = world.segment(20_000);
	writeFileSync(world.at(later), Buffer.concat([Buffer.from('ipc-ring\x02\0\0\0', 'latin1'), Buffer.alloc(20_000)]));
	assertFails(await world.shm('recv', later, '-n'), 1, /its layout is version 2, this is version 1/);
});

test('every framing, both ways', async (t) => {
	const world = new SegmentWorld(t);
	const name = await world.ring();
	const both = async (input: string | Buffer, ...words: string[]) => {
		assertDone(await world.feed(input, 'send', name, ...words), '');
		assertDone(await world.shm('recv', name, '--all', ...words), Buffer.from(input));
	};
	await both('a\n\nb\n');
	await both('a\n\0\0b\0', '-0');
	await both(Buffer.from('\0\0\0\x02a\n\0\0\0\0\0\0\0\x01\xff', 'latin1'), '--framing', 'length');
	await both(randomBytes(9000), '--raw');
	await both('{"data":"grüße\\n"}\n{"base64":"/w=="}\n{"data":""}\n', '--json');
	assertFails(
		await world.feed(Buffer.from('\0\0\0\x05ab', 'latin1'), 'send', name, '--framing', 'length'),
		1,
		/cannot send record 1 of stdin: it is incomplete/,
	);
	assertFails(await world.feed('{"data":1}\n', 'send', name, '--json'), 1, /cannot send record 1 of stdin/);
	assertFails(await world.shm('send', name, 'x', '--raw'), 2, /framing cannot be combined with operands/);
});

test('larger than the ring: refused with both numbers; as large as it: goes through, also around the end', async (t) => {
	const world = new SegmentWorld(t);
	const name = await world.ring('12K');
	assertFails(
		await world.feed(`first\n${'x'.repeat(5000)}\nnever\n`, 'send', name),
		1,
		`ipc-shm: cannot send to '${name}': record 2 has 5000 bytes and the ring takes 4092 (make it with a larger --size); 1 record sent\n`,
	);
	assertDone(await world.shm('recv', name, '--all'), 'first\n');
	for (let i = 0; i < 5; i++) {
		const record = randomBytes(4092 - 3 * i);
		assertDone(await world.feed(record, 'send', name, '--raw'), '');
		assertDone(await world.shm('recv', name, '--raw'), record);
		assertDone(await world.shm('send', name, 'between'), '');
		assertDone(await world.shm('recv', name), 'between\n');
	}
});

test('full: status 3 or 124 and how many were sent; room wakes the sender', async (t) => {
	const world = new SegmentWorld(t);
	const name = await world.ring('12K');
	const line = 'x'.repeat(96);
	const many = `${line}\n`.repeat(100);
	assertFails(await world.feed(many, 'send', name, '-n'), 3, `ipc-shm: gave up: '${name}' is full, 40 records sent\n`);
	assertFails(await world.shm('send', name, line, '-t', '30ms'), 124, '');
	const sender = await world.startShm(['send', name, line, '--ready-fd', '3']).ready();
	await until('it waits for room', () => sleepsIn(sender.pid, /futex/));
	assertDone(await world.shm('recv', name), `${line}\n`);
	assertDone(await sender.end(), '');
	assertDone(await world.shm('recv', name, '--all'), `${line}\n`.repeat(40));
});

test('many records arrive whole and in order', async (t) => {
	const world = new SegmentWorld(t);
	const name = await world.ring('256K');
	const count = rounds(200_000, 1_000_000);
	const all = sequence(count);
	const receiver = world.startShm(['recv', name, '--count', `${count}`]);
	assertDone(await world.feed(all, 'send', name), '');
	const {status, stdout} = await receiver.end();
	assert.deepEqual([status, digest(stdout)], [0, digest(all)]);
});

test('four senders and four receivers: none missing, none twice', async (t) => {
	const world = new SegmentWorld(t);
	const name = await world.ring();
	const receivers = [1, 2, 3, 4].map(() => world.startShm(['recv', name, '--follow']));
	const inputs = ['a', 'b', 'c', 'd'].map((prefix) => sequence(50_000, prefix));
	for (const ended of await Promise.all(inputs.map((input) => world.feed(input, 'send', name)))) assertDone(ended, '');
	const total = inputs.join('').length;
	await until('all of it has come', () => receivers.reduce((sum, {received}) => sum + received, 0) >= total);
	const outputs = await Promise.all(receivers.map((receiver) => receiver.kill().end()));
	assert.deepEqual(
		outputs.map(({signal, stderr}) => [signal, stderr]),
		Array(4).fill(['SIGTERM', '']),
	);
	const came = outputs.map(({stdout}) => stdout.toString()).join('');
	assert.deepEqual(sorted(came), sorted(inputs.join('')));
});

test('a program that knows only the manual page sends and receives', async (t) => {
	const world = new SegmentWorld(t);
	const name = await world.ring('16K');
	assertDone(await world.shm('send', name, 'from here'), '');
	const there = world.startOther(peer('ring-peer'), ['recv', name, '20001']);
	const lines = sequence(20_000);
	assertDone(await world.feed(lines, 'send', name), '');
	assertDone(await there.end(), `from here\n${lines}`);
	const here = world.startShm(['recv', name, '--count', '20000']);
	const sender = world.startOther(peer('ring-peer'), ['send', name], {input: lines});
	assertDone(await sender.end(), '');
	assertDone(await here.end(), lines);
});

test('a sender that is killed in the middle of a record harms no process', async (t) => {
	const world = new SegmentWorld(t);
	const name = await world.ring();
	assertDone(await world.shm('send', name, 'before'), '');
	const victim = await world.startStranger('ring-peer', 'half', name);
	const other = world.startShm(['send', name, 'after']);
	await until('it waits for the lock', () => sleepsIn(other.pid, /lock|setlk/));
	victim.kill('SIGKILL');
	assertDone(await other.end(), '');
	assertDone(await world.shm('recv', name, '--all'), 'before\nafter\n');
});

test('what a killed receiver had claimed comes to the next one, before anything new', async (t) => {
	const world = new SegmentWorld(t);
	const name = await world.ring();
	assertDone(await world.feed(sequence(10), 'send', name), '');
	const victim = await world.startStranger('ring-peer', 'claim', name, '4');
	assertDone(await world.shm('recv', name), '5\n');
	const waiting = await world.startShm(['recv', name, '--count', '9', '--ready-fd', '3']).ready();
	await until('the rest has come', () => waiting.output.toString() === '6\n7\n8\n9\n10\n');
	victim.kill('SIGKILL');
	await victim.end();
	assertDone(await waiting.end(), '6\n7\n8\n9\n10\n1\n2\n3\n4\n');
});

test('receivers and senders killed again and again: nothing is missing, and nothing hangs', async (t) => {
	const world = new SegmentWorld(t);
	const name = await world.ring('16K');
	const file = world.file('out');
	writeFileSync(file, '');
	const receive = () => world.startOther('bash', ['-c', `exec ipc-shm recv ${name} --follow >>${file}`]);
	const total = 60_000;
	const sender = world.startShm(['send', name], {input: sequence(total)});
	let receiver = receive();
	for (let i = 0; i < rounds(6, 12); i++) {
		const before = readFileSync(file).length;
		await until('some have come', () => readFileSync(file).length > before || sender.child.exitCode !== null);
		receiver.kill('SIGKILL');
		await receiver.end();
		receiver = receive();
	}
	assertDone(await sender.end(), '');
	await until('all have come', () => new Set(readFileSync(file, 'utf8').split('\n')).size > total);
	receiver.kill('SIGTERM');
	await receiver.end();
	const came = readFileSync(file, 'utf8').split('\n').slice(0, -1);
	// A kill may cut what is being written, and then repeats it; nothing else is there that was not sent.
	const whole = new Set(came);
	for (let i = 1; i <= total; i++) assert.ok(whole.has(String(i)), `${i} is missing`);
});

test('what the reader of our stdout has not read stays in the ring', async (t) => {
	const world = new SegmentWorld(t);
	const name = await world.ring();
	assertDone(await world.feed(sequence(1000), 'send', name), '');
	const {stdout, status} = await world.shell(`ipc-shm recv ${name} --follow | head -n 3; echo \${PIPESTATUS[0]}`);
	assert.deepEqual([status, stdout.toString()], [0, '1\n2\n3\n141\n']);
	assertDone(await world.shm('recv', name), '4\n');
	const json = await world.shell(`ipc-shm recv ${name} --all --json | head -n 2`);
	assert.equal(json.stdout.toString(), '{"data":"5"}\n{"data":"6"}\n');
	assertDone(await world.shm('recv', name), '7\n');
	const full = await world.shell(`ipc-shm recv ${name} --all >/dev/full`);
	assert.deepEqual([full.status, full.stderr], [1, 'ipc-shm: cannot write to stdout: no space left on the device\n']);
	assertDone(await world.shm('recv', name), '8\n');
	const jsonFull = await world.shell(`ipc-shm recv ${name} --all --json >/dev/full`);
	assert.equal(jsonFull.status, 1);
	assertDone(await world.shm('recv', name), '9\n');
});

test('told to stop while it waits, or while its reader does not read: ended by the signal, nothing lost', async (t) => {
	const world = new SegmentWorld(t);
	const name = await world.ring('1M');
	const idle = await world.startShm(['recv', name, '--follow', '--ready-fd', '3']).ready();
	assert.equal((await idle.kill('SIGTERM').end()).signal, 'SIGTERM');
	const lines = sequence(60_000);
	assertDone(await world.feed(lines, 'send', name), '');
	const stuck = world.startShm(['recv', name, '--count', '60000']);
	stuck.child.stdout?.pause();
	await until('its reader does not read', () => sleepsIn(stuck.pid, /sock|pipe/));
	// Somebody who does not give back the lock of receivers does not hold it up.
	const holder = await world.startStranger('ring-peer', 'lock', name, '1', '1');
	stuck.kill('SIGTERM');
	stuck.child.stdout?.resume();
	const {signal, stdout} = await stuck.end();
	assert.equal(signal, 'SIGTERM');
	holder.kill('SIGKILL');
	const rest = (await world.shm('recv', name, '--all')).stdout.toString();
	// The record in the middle of which it was stopped comes again, whole.
	const cut = stdout.toString().slice(0, stdout.lastIndexOf('\n') + 1);
	assert.equal(digest(cut + rest), digest(lines));
});

test('a reader that leaves while nothing comes is noticed; so is a ring that is removed', async (t) => {
	const world = new SegmentWorld(t);
	const name = await world.ring();
	const {stderr} = await world.shell(`(ipc-shm recv ${name} --follow; echo $? >&2) | true`);
	assert.equal(stderr, '141\n');
	const left = await world.startShm(['recv', name, '--follow', '--ready-fd', '3']).ready();
	rmSync(world.at(name));
	assertFails(await left.end(), 1, `ipc-shm: cannot receive from '${name}': it has been removed\n`);
});

test('a lock that its holder does not give back: deadlines and signals end the wait, and so does the end of the holder', async (t) => {
	const world = new SegmentWorld(t);
	const name = await world.ring();
	assertDone(await world.shm('send', name, 'one', 'two'), '');
	const receiver = await world.startStranger('ring-peer', 'lock', name, '1', '1');
	assertFails(await world.shm('recv', name, '-n'), 3, '');
	assertFails(await world.shm('recv', name, '--timeout', '80ms'), 124, '');
	assertDone(await world.shm('recv', name, '--all'), '');
	const stopped = world.startShm(['recv', name]);
	await until('it waits for the lock', () => sleepsIn(stopped.pid, /lock|setlk/));
	assert.equal((await stopped.kill('SIGTERM').end()).signal, 'SIGTERM');
	const waiting = world.startShm(['recv', name, '--count', '2']);
	await until('it waits for the lock', () => sleepsIn(waiting.pid, /lock|setlk/));
	receiver.kill('SIGKILL');
	assertDone(await waiting.end(), 'one\ntwo\n');
	const sender = await world.startStranger('ring-peer', 'lock', name, '0', '1');
	assertFails(await world.shm('send', name, 'x', '-n'), 3, '');
	assertFails(await world.shm('send', name, 'x', '-t', '80ms'), 124, '');
	const left = world.startShm(['send', name, 'x']);
	await until('it waits for the lock', () => sleepsIn(left.pid, /lock|setlk/));
	rmSync(world.at(name));
	assertFails(await left.end(), 1, /cannot send to .*: it has been removed; 0 records sent\n$/);
	sender.kill('SIGKILL');
});

test('who finds a process making a ring of a segment does not wait for longer than allowed', async (t) => {
	const world = new SegmentWorld(t);
	const name = await world.ring();
	await world.startStranger('ring-peer', 'lock', name, '0', '1');
	for (const words of [
		['send', name, 'x'],
		['recv', name],
	] as [string, ...string[]][]) {
		assertFails(await world.shm(...words, '-n'), 3, '');
		assertFails(await world.shm(...words, '-t', '80ms'), 124, '');
	}
	const stopped = world.startShm(['recv', name]);
	await until('it waits for the lock', () => sleepsIn(stopped.pid, /lock|setlk/));
	assert.equal((await stopped.kill('SIGTERM').end()).signal, 'SIGTERM');
});

test('without a free slot a receiver waits for one; who is idle needs none', async (t) => {
	const world = new SegmentWorld(t);
	const name = await world.ring();
	assertDone(await world.shm('send', name, 'one', 'two'), '');
	const others = await world.startStranger('ring-peer', 'lock', name, '64', '64');
	assertFails(await world.shm('recv', name, '-n'), 3, '');
	assertFails(await world.shm('recv', name, '-t', '50ms'), 124, '');
	const waiting = await world.startShm(['recv', name, '--follow', '--ready-fd', '3']).ready();
	others.kill('SIGKILL');
	await until('both have come', () => waiting.output.toString() === 'one\ntwo\n');
	const receivers = async () => JSON.parse((await world.shm('stat', name, '--json')).stdout.toString()).ring.receivers;
	await until('its slot is free', async () => (await receivers()) === 0);
	assertDone(await world.shm('send', name, 'three'), '');
	await until('the third has come', () => waiting.output.toString() === 'one\ntwo\nthree\n');
});

test('a huge segment that has no memory becomes no ring, which is reported at once; one with holes is looked at quickly', async (t) => {
	const world = new SegmentWorld(t);
	const [huge, holes] = [world.segment(0), world.segment(0)];
	truncateSync(world.at(huge), 120 * 1024 ** 4);
	for (const words of [
		['send', huge, 'x'],
		['recv', huge],
	] as [string, ...string[]][])
		assertFails(
			await world.shm(...words),
			1,
			/cannot use .* as a ring: it would need 120T \(131941395333120 bytes\), .* free/,
		);
	truncateSync(world.at(holes), 64 * 1024 ** 2);
	using segment = SharedMemory.open(holes);
	segment.writeBytes(50 * 1024 ** 2, Buffer.from('x'));
	assertFails(await world.shm('send', holes, 'x'), 1, /it has other contents/);
	segment.writeBytes(50 * 1024 ** 2, Buffer.from('\0'));
	assertDone(await world.shm('send', holes, 'x'), '');
	assertDone(await world.shm('recv', holes), 'x\n');
});

test('a ring that is removed: who sends is told, unless all has been taken', async (t) => {
	const world = new SegmentWorld(t);
	const name = await world.ring();
	const sender = world.startShm(['send', name]);
	sender.stdin.write('one\n');
	assertDone(await world.shm('recv', name), 'one\n');
	rmSync(world.at(name));
	sender.stdin.write('two\n');
	assertFails(await sender.end(), 1, `ipc-shm: cannot send to '${name}': it has been removed; 1 record sent\n`);
	const other = await world.ring();
	const happy = world.startShm(['send', other]);
	happy.stdin.write('one\n');
	assertDone(await world.shm('recv', other), 'one\n');
	rmSync(world.at(other));
	assertDone(await happy.end(), '');
});

test('a ring that is made smaller under those who wait: its own error', async (t) => {
	const world = new SegmentWorld(t);
	const [empty, full] = [await world.ring('64K'), await world.ring('64K')];
	const receiver = await world.startShm(['recv', empty, '--ready-fd', '3']).ready();
	await world.stranger('cut', empty, '8192');
	assertFails(await receiver.end(), 1, /cannot receive from .*: another process shrank it/);
	const record = 'x'.repeat(50_000);
	assertDone(await world.feed(record, 'send', full, '--raw'), '');
	const sender = world.startShm(['send', full, record]);
	// Node sleeps in a futex as it starts, too: what counts is that the ring is mapped.
	const maps = () => readFileSync(`/proc/${sender.pid}/maps`, 'utf8');
	await until('it waits for room', () => maps().includes(full) && sleepsIn(sender.pid, /futex/));
	await world.stranger('cut', full, '4096');
	assertFails(await sender.end(), 1, /cannot send to .*: another process shrank it/);
});

test('a ring that is cut or damaged is an error, not a crash', async (t) => {
	const world = new SegmentWorld(t);
	const name = await world.ring('1M');
	assertDone(await world.feed(sequence(1000), 'send', name), '');
	using ring = Ring.open(name);
	await world.stranger('cut', name, '4096');
	assert.throws(() => ring.send('x'), /another process shrank it/);
	assert.throws(() => ring.receive(0), /another process shrank it/);
	assertFails(await world.shm('recv', name, '-n'), 1, /its contents are damaged/);
});

test('whatever is written over its header: an answer or an error, and it ends', (t) => {
	const world = new SegmentWorld(t);
	const name = world.name();
	Ring.open(name, {size: 16_384}).close();
	const clean = world.contents(name);
	const places = [8, 12, 16, 24, 64, 128, 192, 256, 320, 4096, 4104, 4160, 4168, 8192, 8196];
	const value = fc.oneof(
		fc.bigInt(0n, 2n ** 64n - 1n),
		fc.constantFrom(0n, 1n, 4n, 8n, 8188n, 8192n, 8196n, 16_384n, 2n ** 32n - 4n, 2n ** 63n, 2n ** 64n - 4n),
	);
	fc.assert(
		fc.property(fc.array(fc.tuple(fc.constantFrom(...places), value), {minLength: 1, maxLength: 4}), (stores) => {
			writeFileSync(world.at(name), clean);
			using segment = SharedMemory.open(name);
			for (const [at, number] of stores) {
				const bytes = Buffer.alloc(8);
				bytes.writeBigUInt64LE(number);
				segment.writeBytes(at, at % 8 === 0 && at >= 16 ? bytes : bytes.subarray(0, 4));
			}
			for (const act of [(ring: Ring) => ring.send('record', 0), (ring: Ring) => ring.receive(0)]) {
				try {
					using ring = Ring.open(name);
					act(ring);
				} catch (error) {
					assert.match(String(error), /damaged|layout is version|record has 6 bytes/);
				}
			}
		}),
		{numRuns: 300},
	);
});

test('as a library: any records in any order of sizes come back as they were', (t) => {
	const world = new SegmentWorld(t);
	const name = world.name();
	using sender = Ring.open(name, {size: 12_288});
	using receiver = Ring.open(name);
	assert.equal(sender.mostBytes, 4092);
	assert.equal(receiver.receive(0), undefined);
	fc.assert(
		fc.property(fc.array(fc.uint8Array({maxLength: 900}), {maxLength: 4}), (records) => {
			for (const record of records) assert.ok(sender.send(record, 0));
			for (const record of records) assert.ok(receiver.receive(0)?.equals(record));
			assert.equal(receiver.receive(0), undefined);
		}),
		{numRuns: 300},
	);
	assert.throws(() => sender.send(Buffer.alloc(4093)), /the record has 4093 bytes and the ring takes 4092/);
});
