import assert from 'node:assert/strict';
import {closeSync, openSync, readSync, rmSync, statSync, writeFileSync} from 'node:fs';
import test from 'node:test';
import {peakMemory, sleepsIn} from '../support/proc.js';
import {randomBytes} from '../support/random.js';
import {SegmentWorld} from '../support/segments.js';
import {until} from '../support/until.js';
import {needsRoot} from '../support/users.js';
import {assertDone, assertFails} from '../support/world.js';

test('what write takes, read gives: any bytes, of any size', async (t) => {
	const world = new SegmentWorld(t);
	for (const bytes of [Buffer.alloc(0), Buffer.from('\0\r\n\xff', 'latin1'), randomBytes(3 * 1024 ** 2 + 17)]) {
		const name = world.name();
		assertDone(await world.feed(bytes, 'write', name, '--create'), '');
		assert.ok(world.contents(name).equals(bytes));
		assertDone(await world.shm('read', name), bytes);
	}
});

test('parts: an offset, a length, bounds', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment('0123456789');
	assertDone(await world.feed('ab', 'write', name, '--offset', '4'), '');
	assertDone(await world.shm('read', name), '0123ab6789');
	assertDone(await world.shm('read', name, '--offset', '0x3', '--length', '4'), '3ab6');
	assertDone(await world.shm('read', name, '--offset', '10'), '');
	assertFails(
		await world.shm('read', name, '--offset', '8', '--length', '3'),
		1,
		`ipc-shm: cannot read '${name}': 3 bytes at offset 8 need 11 and the segment has 10 (see: ipc-shm resize)\n`,
	);
	assertFails(
		await world.shm('read', name, '--offset', '11'),
		1,
		/0 bytes at offset 11 need 11 and the segment has 10/,
	);
});

test('more data than room: refused, and nothing beyond the end is touched', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment('0123456789');
	assertFails(
		await world.feed('abcd', 'write', name, '--offset', '8'),
		1,
		`ipc-shm: cannot write to '${name}': there is room for 2 bytes from offset 8 on, and stdin has more; the first bytes were written (see: --grow, ipc-shm resize)\n`,
	);
	assert.equal(world.contents(name).toString(), '01234567ab');
	// Where the amount is known beforehand, nothing at all is touched.
	writeFileSync(world.file('data'), 'ABCD');
	const {status, stderr} = await world.shell(`ipc-shm write ${name} --offset 8 <${world.file('data')}`);
	assert.deepEqual(
		[status, stderr],
		[
			1,
			`ipc-shm: cannot write to '${name}': there is room for 2 bytes from offset 8 on, and stdin has 4 (see: --grow, ipc-shm resize)\n`,
		],
	);
	assert.equal(world.contents(name).toString(), '01234567ab');
	assertDone(await world.feed('abcd', 'write', name, '--offset', '8', '--grow'), '');
	assert.equal(world.contents(name).toString(), '01234567abcd');
	assertDone(await world.feed('z', 'write', name, '--offset', '14', '--grow'), '');
	assert.equal(world.contents(name).toString('latin1'), '01234567abcd\0\0z');
	assertFails(
		await world.feed('z', 'write', name, '--offset', '16'),
		1,
		/offset 16 is beyond the end of the segment, which has 15 bytes/,
	);
});

test('what is made by write is seen when it is whole, and not at all when it fails', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.name();
	const writer = world.startShm(['write', name, '--create', '-m', '0644']);
	writer.stdin.write('first half, ');
	await until('the half has been read', () => /\b0\b/.test(String(writer.stdin.writableLength)));
	assert.equal(world.exists(name), false);
	writer.stdin.end('second half');
	assert.equal((await writer.end()).status, 0);
	assert.equal(world.contents(name).toString(), 'first half, second half');
	const killed = world.name();
	const victim = world.startShm(['write', killed, '--create']);
	victim.stdin.write('x');
	victim.kill('SIGKILL');
	await victim.end();
	assert.equal(world.exists(killed), false);
	assertFails(await world.feed('', 'write', killed), 1, /no such segment/);
	assertFails(await world.feed('', 'write', killed, '-m', '0644'), 2, /needs? --create/);
});

test('a full /dev/shm: said with both numbers, and the former size is back', needsRoot, async (t) => {
	const world = new SegmentWorld(t);
	const inside = (line: string) =>
		world.shell(
			`unshare -m bash -c 'mount -t tmpfs -o size=1M shm /dev/shm && printf hello | ipc-shm write x --create && { ${line}; }'`,
		);
	const grown = await inside('head -c 4M /dev/zero | ipc-shm write x --grow; echo $?; stat -c %s /dev/shm/x');
	assert.match(grown.stdout.toString(), /^1\n5\n$/);
	assert.match(
		grown.stderr,
		/cannot write to 'x': it would need .* and \/dev\/shm has .*free.*; its size is restored\n$/,
	);
	const made = await inside('head -c 4M /dev/zero | ipc-shm write y --create; echo $?; ls /dev/shm');
	assert.equal(made.stdout.toString(), '1\nx\n');
	assert.match(
		made.stderr,
		/^ipc-shm: cannot create 'y': it would need more than [0-9]+K \([0-9]+ bytes\), and \/dev\/shm has [0-9.]+[KM] free \([0-9]+ bytes; see: [^;]*\)\n$/,
	);
	const sparse = await inside(
		'truncate -s 8M /dev/shm/z; for i in 0 4194304; do ipc-shm set z 1 --offset $i; done; dd if=/dev/zero of=/dev/shm/fill bs=1M 2>/dev/null; ipc-shm set z 1 --offset 6291456; echo $?',
	);
	assert.match(sparse.stdout.toString(), /1\n$/);
	assert.match(
		sparse.stderr,
		/^ipc-shm: cannot change 'z': the memory at offset 6291456 is missing: another process shrank the segment, or \/dev\/shm is full\n$/,
	);
	const filtered = await inside('ipc-shm update x -- head -c 4M /dev/zero; echo $?; cat /dev/shm/x');
	assert.equal(filtered.stdout.toString(), '125\nhello');
	assert.match(filtered.stderr, /cannot update 'x': it would need 4.0M .* and \/dev\/shm has/);
});

test('stdout closed, or on a full device', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment(4 * 1024 ** 2);
	const gone = await world.shell(`(ipc-shm read ${name}; echo $? >&2) | true`);
	assert.equal(gone.stderr, '141\n');
	const full = await world.shell(`ipc-shm read ${name} >/dev/full`);
	assert.deepEqual(
		[full.status, full.stderr],
		[1, 'ipc-shm: cannot write to stdout: no space left on the device (0 bytes were written)\n'],
	);
	// Who tries again would add twice.
	const changed = await world.shell(`ipc-shm add ${name} 1 >/dev/full`);
	assert.equal(changed.status, 1);
	assert.match(
		changed.stderr,
		/^ipc-shm: cannot write to stdout: no space left on the device.*; the value has been changed\n$/,
	);
	assert.equal((await world.shell(`ipc-shm get ${name}`)).stdout.toString(), '1\n');
});

test('one that is cut while it is read: an error with the numbers', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment(8 * 1024 ** 2);
	const reader = world.startShm(['read', name]);
	reader.child.stdout?.pause();
	await until('it waits for its reader', () => sleepsIn(reader.pid, /sock|pipe/));
	await world.stranger('cut', name, '4096');
	reader.child.stdout?.resume();
	const {status, stderr} = await reader.end();
	assert.equal(status, 1);
	assert.match(
		stderr,
		new RegExp(`^ipc-shm: cannot read '${name}': another process shrank the segment after [0-9]+ of 8388608 bytes\n$`),
	);
});

test('--progress tells bytes and rate; memory stays flat', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment(48 * 1024 ** 2);
	const reader = world.startShm(['read', name, '--progress']);
	reader.child.stdout?.pause();
	await until('it waits for its reader', () => sleepsIn(reader.pid, /sock|pipe/));
	reader.child.stdout?.resume();
	await until('most has come', () => reader.received > 40 * 1024 ** 2);
	const {status, stderr, stdout} = await reader.end();
	assert.deepEqual([status, stdout.length], [0, 48 * 1024 ** 2]);
	assert.match(stderr, /^48M {2}\S+\/s {2}\S+\n$/m);
	const writer = world.startShm(['write', name]);
	writer.stdin.write(Buffer.alloc(40 * 1024 ** 2));
	await until('it has been read', () => writer.stdin.writableLength === 0);
	const peak = peakMemory(writer.pid);
	assert.ok(peak < 90 * 1024 ** 2, `${peak} bytes`);
	writer.stdin.end();
	assert.equal((await writer.end()).status, 0);
});

test('one that is cut while it is written to stays as small as it is then', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment(1024 ** 2);
	const writer = world.startShm(['write', name]);
	writer.stdin.write(Buffer.alloc(8192, 'x'));
	await until('it is there', () => world.contents(name)[8191] === 120);
	await world.stranger('cut', name, '4096');
	writer.stdin.write('y');
	assertFails(
		await writer.end(),
		1,
		`ipc-shm: cannot write to '${name}': another process shrank the segment after 8192 bytes to 4096 (see: --grow)\n`,
	);
	assert.equal(world.size(name), 4096);
	// At any moment.
	writeFileSync(world.file('data'), Buffer.alloc(16 * 1024 ** 2, 'x'));
	const byte = Buffer.alloc(1);
	for (let round = 0; round < 8; round++) {
		const each = world.segment(16 * 1024 ** 2);
		const ended = world.shell(`ipc-shm write ${each} <${world.file('data')}`);
		const file = openSync(world.at(each), 'r');
		await until('it has begun', () => readSync(file, byte, 0, 1, round * 1024 ** 2) === 1 && byte[0] === 120);
		closeSync(file);
		await world.stranger('cut', each, '5000');
		await ended;
		assert.equal(world.size(each), 5000);
	}
});

test('one that is removed while it is written to or replaced: an error', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment(64);
	const writer = world.startShm(['write', name]);
	writer.stdin.write('x');
	await until('it is there', () => world.contents(name)[0] === 120);
	rmSync(world.at(name));
	assertFails(await writer.end(), 1, `ipc-shm: cannot write to '${name}': it has been removed meanwhile\n`);
	const other = world.segment('as it was');
	assertFails(
		await world.shm('update', other, '--', 'sh', '-c', `rm ${world.at(other)}; cat`),
		125,
		`ipc-shm: cannot update '${other}': it has been removed meanwhile\n`,
	);
});

test('a gap before the data has its memory too, or is refused with the numbers', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment('abc');
	const need = (words: string) =>
		new RegExp(`^ipc-shm: cannot write to '${name}': it would need ${words}.* free .*\n$`);
	assertFails(
		await world.feed('x', 'write', name, '--grow', '--offset', '1T'),
		1,
		need('1.0T \\(1099511627776 bytes\\)'),
	);
	assertFails(await world.feed('x', 'write', name, '--grow', '--offset', '9007199254740991'), 1, need('8.0P'));
	assertFails(
		await world.feed('', 'write', name, '--offset', '9007199254740991'),
		1,
		/is beyond the end of the segment, which has 3 bytes/,
	);
	assertFails(
		await world.feed('x', 'write', name, '--offset', '3'),
		1,
		/there is room for 0 bytes from offset 3 on, and stdin has more \(see/,
	);
	assert.equal(world.size(name), 3);
	assertDone(await world.feed('x', 'write', name, '--grow', '--offset', '1M'), '');
	const {size, blocks} = statSync(world.at(name));
	assert.ok(size === 1024 ** 2 + 1 && blocks * 512 >= size);
});

test('a stdin that cannot be read is reported as by every command', async (t) => {
	const world = new SegmentWorld(t);
	assertFails(
		await world.shell(`ipc-shm write ${world.segment(64)} 0>/dev/null`),
		1,
		'ipc-shm: cannot read stdin: it is not open for reading\n',
	);
});
