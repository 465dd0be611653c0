import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {existsSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync} from 'node:fs';
import test from 'node:test';
import {peer} from '../support/run.js';
import {SegmentWorld} from '../support/segments.js';
import {until} from '../support/until.js';
import {anotherUser, asAnother, needsRoot} from '../support/users.js';
import {assertDone, assertFails} from '../support/world.js';

test('create reserves the memory, zeroed, with the mode that was asked for; twice says so', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.name();
	assertDone(await world.shm('create', `/${name}`, '--size', '1M', '-m', '0640'), '');
	const {size, blocks, mode} = statSync(world.at(name));
	assert.deepEqual([size, blocks * 512 >= size, mode & 0o777], [1024 ** 2, true, 0o640]);
	assert.ok(world.contents(name).every((byte) => byte === 0));
	const again = await world.shm('create', name, '--size', '4K');
	assert.deepEqual([again.status, again.stderr], [0, `ipc-shm: '${name}' already exists with 1.0M (1048576 bytes)\n`]);
	assertFails(
		await world.shm('create', name, '--size', '4K', '-x'),
		1,
		`ipc-shm: cannot create '${name}': it already exists\n`,
	);
	assert.equal(world.size(name), 1024 ** 2);
	assertFails(await world.shm('create', name), 2, /^ipc-shm: --size is missing\n/);
});

test('more than there is: an error with both numbers, and no object is left', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.name();
	assertFails(
		await world.shm('create', name, '--size', '900G'),
		1,
		new RegExp(
			`^ipc-shm: cannot create '${name}': it would need 900G \\(966367641600 bytes\\), and /dev/shm has \\S+ free \\([0-9]+ bytes; see: .*\\)\n$`,
		),
	);
	assert.equal(world.exists(name), false);
	assertFails(await world.shm('create', name, '--size', '8000000000T'), 2, /it is too large/);
});

test('more than the machine has is refused before it is tried, whatever /dev/shm promises', needsRoot, async (t) => {
	const world = new SegmentWorld(t);
	const {status, stdout, stderr} = await world.shell(
		"unshare -m bash -c 'mount -t tmpfs -o size=64T shm /dev/shm && { ipc-shm create x --size 32T; echo $?; ls /dev/shm; }'",
	);
	assert.deepEqual([status, stdout.toString()], [0, '1\n']);
	assert.match(
		stderr,
		/^ipc-shm: cannot create 'x': it would need 32T \(35184372088832 bytes\), and this machine has \S+ of memory left \([0-9]+ bytes; see: free\)\n$/,
	);
});

test('a limit on the size of files is named', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.name();
	const {status, stderr} = await world.shell(`ulimit -f 64; ipc-shm create ${name} --size 1M`);
	assert.deepEqual(
		[status, stderr],
		[1, `ipc-shm: cannot create '${name}': 1.0M are more than a file may have (RLIMIT_FSIZE; see: ulimit -f)\n`],
	);
	assert.equal(world.exists(name), false);
});

test('what can be no name of a segment is refused before anything is done', async (t) => {
	const world = new SegmentWorld(t);
	for (const [name, why] of [
		['', /it is empty/],
		['a/b', /invalid segment name 'a\/b': '\/' is not allowed/],
		['..', /'\.\.' is a folder/],
		['@x', /'@' is not allowed/],
		['nats://host/a.b', /a name on NATS has only letters/],
		['sem.jobs', /names with 'sem\.' are semaphores \(see: ipc-sem stat jobs\)/],
		['x'.repeat(256), /it has 256 bytes, the maximum is 255/],
	] as const)
		assertFails(await world.shm('create', name, '--size', '4K'), 2, why);
});

test('what is not a regular file is refused: a link, a folder, a FIFO that no process writes to', async (t) => {
	const world = new SegmentWorld(t);
	const [link, folder, fifo, missing] = [world.name(), world.name(), world.name(), world.name()];
	writeFileSync(world.file('target'), 'target');
	symlinkSync(world.file('target'), world.at(link));
	mkdirSync(world.at(folder));
	execFileSync('mkfifo', [world.at(fifo)]);
	for (const words of [['get'], ['read'], ['set', '1']]) {
		const [verb, ...more] = words as [string, ...string[]];
		const start = `ipc-shm: cannot open '`;
		assertFails(await world.shm(verb, link, ...more), 1, `${start}${link}': it is a symbolic link, not a segment\n`);
		assertFails(await world.shm(verb, folder, ...more), 1, /is not a segment|it is a folder/);
		assertFails(await world.shm(verb, fifo, ...more), 1, `${start}${fifo}': it is not a segment: not a regular file\n`);
		assertFails(
			await world.shm(verb, missing, ...more),
			1,
			`${start}${missing}': no such segment (make it with: ipc-shm create ${missing} --size SIZE)\n`,
		);
	}
	for (const [name, what] of [
		[link, 'a symbolic link'],
		[folder, 'a folder'],
		[fifo, 'not a regular file'],
	] as const) {
		const why = `it is not a segment: ${world.at(name)} is ${what}\n`;
		assertFails(await world.shm('create', name, '--size', '4K'), 1, `ipc-shm: cannot create '${name}': ${why}`);
		assertFails(await world.shm('remove', name), 1, `ipc-shm: cannot remove '${name}': ${why}`);
	}
	assertFails(await world.shm('stat', missing), 1, /no such segment/);
	assertFails(await world.shm('remove', missing), 1, `ipc-shm: cannot remove '${missing}': no such segment\n`);
	const {stdout} = await world.shm('list', '--no-headings', '-o', 'name');
	assert.ok(![link, folder, fifo].some((name) => stdout.includes(name)));
});

test('remove goes on past a failure, and who maps a segment goes on too', async (t) => {
	const world = new SegmentWorld(t);
	const [first, missing, last] = [world.segment(4096), world.name(), world.segment(4096)];
	const mapper = await world.startStranger('shm-peer', 'map', first);
	const {status, stderr} = await world.shm('rm', first, missing, last);
	assert.deepEqual([status, stderr], [1, `ipc-shm: cannot remove '${missing}': no such segment\n`]);
	assert.ok(!world.exists(first) && !world.exists(last));
	assert.equal((await mapper.end()).status, 0);
});

test('stat and list name who maps a segment, with a descriptor or without', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment(8192);
	const mapper = await world.startStranger('shm-peer', 'map', name);
	const opener = await world.startStranger('shm-peer', 'lock', name);
	const status = JSON.parse((await world.shm('stat', name, '--json')).stdout.toString());
	assert.deepEqual(status, {
		name,
		size: 8192,
		allocated: 8192,
		mode: '0600',
		owner: status.owner,
		changed: status.changed,
		ring: null,
		users: [
			{pid: mapper.pid, command: 'shm-peer', maps: true, open: false},
			{pid: opener.pid, command: 'shm-peer', maps: false, open: true},
		].sort((a, b) => a.pid - b.pid),
		unseen: status.unseen,
	});
	const text = (await world.shm('stat', name)).stdout.toString();
	assert.match(text, new RegExp(`^mapped: +${mapper.pid} shm-peer$`, 'm'));
	assert.match(text, new RegExp(`^open: +${opener.pid} shm-peer$`, 'm'));
	const {stdout} = await world.shm('list', '--no-headings', '-o', 'name,size,mapped');
	assert.match(stdout.toString(), new RegExp(`^${name} +8.0K +${mapper.pid} shm-peer$`, 'm'));
});

test('gc --dry-run names exactly those no process maps or has open, and touches none', async (t) => {
	const world = new SegmentWorld(t);
	const [unused, mapped, open, young] = [world.segment(64), world.segment(64), world.segment(64), world.segment(64)];
	await world.startStranger('shm-peer', 'map', mapped);
	await world.startStranger('shm-peer', 'lock', open);
	const ours = (text: Buffer) =>
		text
			.toString()
			.split('\n')
			.filter((name) => [unused, mapped, open, young].includes(name))
			.sort();
	// A test that lists segments meanwhile has each of them open for a moment.
	let named: string[] = [];
	await until('both are unused', async () => {
		named = ours((await world.shm('gc', '--dry-run')).stdout);
		return named.length >= 2;
	});
	assert.deepEqual(named, [unused, young].sort());
	assert.deepEqual(ours((await world.shm('gc', '--dry-run', '--older', '1h')).stdout), []);
	assert.ok([unused, mapped, open, young].every((name) => world.exists(name)));
});

test(
	'gc leaves alone what processes may use that cannot be looked into, and says how many there are',
	needsRoot,
	async (t) => {
		const world = new SegmentWorld(t);
		const line = [
			'mount -t tmpfs -o mode=1777 shm /dev/shm',
			`${asAnother} ipc-shm create a -m 0666 --size 4K`,
			`${asAnother} ipc-shm gc`,
			'echo /dev/shm/*',
		].join(' && ');
		// Threads of the kernel have no memory of their own.
		const others = () => readdirSync('/proc').filter((pid) => /^[0-9]+$/.test(pid) && existsSync(`/proc/${pid}/exe`));
		const before = others().length;
		const {status, stdout, stderr} = await world.shell(`unshare -m bash -c '${line}'`);
		assert.deepEqual([status, stdout.toString()], [0, '/dev/shm/a\n']);
		const [, count] =
			/^ipc-shm: kept 'a': its mode lets other users use it, and ([0-9]+) processes? cannot be inspected \(root can see more\)\n$/.exec(
				stderr,
			) ?? [];
		// Processes of other tests come and go meanwhile.
		const most = Math.max(before, others().length) + 100;
		assert.ok(Number(count) >= 1 && Number(count) <= most, `${count}, at most ${most} are there`);
	},
);

test('gc removes them, and neither semaphores nor others’ segments', needsRoot, async (t) => {
	const world = new SegmentWorld(t);
	// In a /dev/shm of its own: this one is the whole machine's.
	const line = [
		'mount -t tmpfs shm /dev/shm',
		'ipc-shm create a b c --size 4K',
		'ipc-sem create s',
		`chown ${anotherUser} /dev/shm/c`,
		`{ sleep 60 <&3 3>&- & } 3<>/dev/shm/b; sleeper=$!`,
		'ipc-shm gc',
		'kill $sleeper',
		'cd /dev/shm; echo *',
	].join(' && ');
	const {status, stdout, stderr} = await world.shell(`unshare -m bash -c '${line.replaceAll("'", "'\\''")}'`);
	assert.deepEqual([status, stdout.toString(), stderr], [0, 'a\nb c sem.s\n', '']);
});

test('with too few descriptors to look at the processes, nothing that they use is shrunk or collected', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment(8192);
	await world.startStranger('shm-peer', 'map', name);
	for (const limit of [3, 4, 5, 6, 7, 8]) {
		const {stdout, stderr} = await world.shell(
			`ulimit -n ${limit}; ipc-shm resize ${name} 4096; exec ipc-shm gc --dry-run`,
		);
		assert.equal(world.size(name), 8192, stderr);
		assert.ok(!stdout.toString().split('\n').includes(name), stderr);
	}
});

test('resize grows with zeros, shrinks, and refuses what would kill others', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment('0123456789');
	assertDone(await world.shm('resize', name, '4K'), '');
	assert.equal(world.size(name), 4096);
	assert.equal(world.contents(name).toString('latin1', 0, 12), '0123456789\0\0');
	assertDone(await world.shm('resize', name, '4'), '');
	assert.equal(world.contents(name).toString(), '0123');
	await world.shm('resize', name, '8K');
	const mapper = await world.startStranger('shm-peer', 'map', name);
	assertFails(
		await world.shm('resize', name, '4'),
		1,
		`ipc-shm: cannot shrink '${name}': process (${mapper.pid} shm-peer) would get SIGBUS when touching the removed part (--force shrinks it anyway)\n`,
	);
	assertDone(await world.shm('resize', name, '16K'), '');
	assertDone(await world.shm('resize', name, '4', '--force'), '');
	assert.equal(world.size(name), 4);
	assertFails(await world.shm('resize', name, '900G'), 1, /cannot resize .*: it would need 900G/);
	assert.equal(world.size(name), 4);
});

test('another user gets nothing, and is told so', needsRoot, async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment('secret');
	const {status, stdout, stderr} = await world.shell(`${asAnother} ipc-shm read ${name}`);
	assert.deepEqual([status, stdout.toString(), stderr], [1, '', `ipc-shm: cannot open '${name}': permission denied\n`]);
	const removed = await world.shell(`${asAnother} ipc-shm remove ${name}`);
	assert.deepEqual(
		[removed.status, removed.stderr],
		[1, `ipc-shm: cannot remove '${name}': it belongs to another user, or is not a segment\n`],
	);
	const collected = await world.shell(`${asAnother} ipc-shm gc --dry-run`);
	assert.ok(!collected.stdout.includes(name));
});

test('watch prints a JSON line per change, and the end', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.name();
	const watcher = world.startShm(['watch', name, '--interval', '10ms']);
	const seen = () =>
		watcher.output
			.toString()
			.split('\n')
			.slice(0, -1)
			.map((line) => JSON.parse(line));
	// Each command has the segment open for a moment, which may be a line as well.
	const last = () => seen().at(-1);
	await world.shm('create', name, '--size', '4K');
	await until('it shows', () => last()?.size === 4096);
	await world.shm('resize', name, '8K');
	await until('the size shows', () => last()?.size === 8192);
	const mapper = await world.startStranger('shm-peer', 'map', name);
	await until('the mapper shows', () => last()?.users?.[0]?.pid === mapper.pid);
	await world.shm('remove', name);
	await until('the end shows', () => last()?.removed === true);
	assert.equal((await watcher.kill('SIGTERM').end()).signal, 'SIGTERM');
	const lines = seen().map((line) => JSON.stringify(line));
	assert.deepEqual(
		lines.filter((line, at) => line === lines[at - 1]),
		[],
	);
	assert.deepEqual(last(), {name, removed: true});
});

test('the peer of these tests is what it says: it maps without a descriptor', async (t) => {
	const world = new SegmentWorld(t);
	const mapper = await world.startStranger('shm-peer', 'map', world.segment(4096));
	const open = execFileSync('ls', ['-l', `/proc/${mapper.pid}/fd`], {encoding: 'utf8'});
	assert.ok(!open.includes('ipc-test-shm') && peer('shm-peer').length > 0);
});
