import assert from 'node:assert/strict';
import {readFileSync, writeFileSync} from 'node:fs';
import test from 'node:test';
import {isAlive, sleepsIn} from '../support/proc.js';
import {rounds} from '../support/rounds.js';
import {SegmentWorld} from '../support/segments.js';
import {until} from '../support/until.js';
import {assertDone, assertFails} from '../support/world.js';

test('the contents go through the filter; the segment takes the size of what comes back', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment('c\nb\na\n');
	assertDone(await world.shm('update', name, '--', 'sort'), '');
	assert.equal(world.contents(name).toString(), 'a\nb\nc\n');
	assertDone(await world.shm('update', name, 'head', '-n', '1'), '');
	assert.equal(world.contents(name).toString(), 'a\n');
	assertDone(await world.shm('update', name, '--', 'sh', '-c', 'cat; echo more and more'), '');
	assert.equal(world.contents(name).toString(), 'a\nmore and more\n');
	assertDone(await world.shm('update', name, '--', 'true'), '');
	assert.equal(world.size(name), 0);
});

test('a failing filter changes nothing, and its status is passed on', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment('as it was');
	const failing = async (status: number, why: RegExp, ...words: string[]) => {
		assertFails(await world.shm('update', name, '--', ...words), status, why);
		assert.equal(world.contents(name).toString(), 'as it was');
	};
	await failing(
		7,
		new RegExp(`^ipc-shm: 'sh' exited with status 7: '${name}' is unchanged\n$`),
		'sh',
		'-c',
		'echo x; exit 7',
	);
	await failing(137, /'sh' was killed by SIGKILL: '.*' is unchanged/, 'sh', '-c', 'echo x; kill -9 $$');
	await failing(127, new RegExp(`^ipc-shm: cannot run '/no/such': not found; '${name}' is unchanged\n$`), '/no/such');
	await failing(126, /cannot run '\/': .*is unchanged/, '/');
	assertFails(await world.shm('update', name), 2, /the command to run is missing/);
	assertFails(await world.shm('update', `${name}x`, '--', 'cat'), 125, /no such segment/);
});

test('--keep-size fills up with NULs, and refuses what is longer', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment('0123456789');
	assertDone(await world.shm('update', name, '--keep-size', '--', 'echo', 'short'), '');
	assert.equal(world.contents(name).toString('latin1'), 'short\n\0\0\0\0');
	assertFails(
		await world.shm('update', name, '--keep-size', '--', 'echo', 'long, longer'),
		125,
		`ipc-shm: cannot update '${name}': the output has 13 bytes and the segment has 10 (--keep-size); '${name}' is unchanged\n`,
	);
	assert.equal(world.contents(name).toString('latin1'), 'short\n\0\0\0\0');
});

test('shorter output does not shrink a segment that another process maps, unless forced', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment('0123456789');
	const mapper = await world.startStranger('shm-peer', 'map', name);
	assertFails(
		await world.shm('update', name, '--', 'echo', 'short'),
		125,
		`ipc-shm: cannot shrink '${name}': process (${mapper.pid} shm-peer) would get SIGBUS when touching the removed part (--keep-size fills up with NULs, --force shrinks it anyway)\n`,
	);
	assert.equal(world.contents(name).toString(), '0123456789');
	assertDone(await world.shm('update', name, '--', 'echo', 'as long as'), '');
	assert.equal(world.contents(name).toString(), 'as long as\n');
	assertDone(await world.shm('update', name, '--keep-size', '--', 'echo', 'short'), '');
	assert.equal(world.size(name), 11);
	assertDone(await world.shm('update', name, '--force', '--', 'echo', 'short'), '');
	assert.equal(world.contents(name).toString(), 'short\n');
	assertFails(
		await world.shm('update', name, '--force', '--keep-size', '--', 'true'),
		2,
		/--force and --keep-size cannot be combined/,
	);
});

test('many at once lose none', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment('0\n');
	writeFileSync(world.file('one'), '#!/bin/sh\nread n\necho $((n + 1))\n', {mode: 0o755});
	const count = rounds(12, 100);
	const {status, stderr} = await world.shell(
		`for i in $(seq ${count}); do ipc-shm update ${name} -- ${world.file('one')} & done; wait`,
	);
	assert.deepEqual([status, stderr], [0, '']);
	assert.equal(world.contents(name).toString(), `${count}\n`);
});

test('told to stop while the filter works: the filter is told too, and nothing is changed', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment('as it was');
	const update = world.startShm(['update', name, '--', 'sh', '-c', `echo $$ >${world.file('pid')}; exec sleep 60`]);
	const pid = () => {
		try {
			return Number(readFileSync(world.file('pid'), 'utf8'));
		} catch {
			return 0;
		}
	};
	await until('the filter runs', () => pid() > 0 && sleepsIn(pid(), /nanosleep/));
	assertFails(await world.shm('update', name, '-n', '--', 'true'), 3, '');
	assertFails(await world.shm('update', name, '-t', '50ms', '--', 'true'), 124, '');
	assert.equal((await update.kill('SIGTERM').end()).signal, 'SIGTERM');
	assert.ok(!isAlive(pid()) || Number.isNaN(pid()));
	assert.equal(world.contents(name).toString(), 'as it was');
});

test('killed while the filter works: nothing is changed, and nothing is locked', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment('as it was');
	const update = world.startShm(['update', name, '--', 'sh', '-c', 'echo changed; echo here >&2; exec sleep 60']);
	await until('the filter has begun', () => update.errors.includes('here'));
	update.kill('SIGKILL');
	// The filter goes on, and has no part in the lock.
	await until('it has ended', () => update.child.signalCode === 'SIGKILL');
	assert.equal(world.contents(name).toString(), 'as it was');
	assertDone(await world.shm('update', name, '-n', '--', 'tr', 'a-z', 'A-Z'), '');
	assert.equal(world.contents(name).toString(), 'AS IT WAS');
});
