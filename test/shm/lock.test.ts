import assert from 'node:assert/strict';
import {rmSync} from 'node:fs';
import test from 'node:test';
import {sleepsIn} from '../support/proc.js';
import {SegmentWorld} from '../support/segments.js';
import {uniqueName} from '../support/unique-name.js';
import {until} from '../support/until.js';
import {assertDone, assertFails} from '../support/world.js';

const verbs: [string, ...string[]][] = [
	['get'],
	['read'],
	['set', '1'],
	['add', '1'],
	['cas', '0', '1'],
	['resize', '128'],
	['write'],
];

for (const [verb, ...words] of verbs) {
	test(`${verb} --lock waits for the object's own lock, gives up in time, and not at all without it`, async (t) => {
		const world = new SegmentWorld(t);
		const name = world.segment(64);
		const holder = await world.startStranger('shm-peer', 'lock', name);
		assertFails(await world.shm(verb, name, ...words, '--lock', '-n'), 3, '');
		assertFails(await world.shm(verb, name, ...words, '--lock', '--timeout', '20ms'), 124, '');
		const waiting = world.startShm([verb, name, ...words, '--lock'], {input: ''});
		await until('it waits for the lock', () => sleepsIn(waiting.pid, /flock|lock/));
		holder.kill('SIGKILL');
		const {status, stderr} = await waiting.end();
		assert.deepEqual([status, stderr], [0, '']);
		const free = await world.shm(verb, name, ...words, '--lock', '-n');
		assert.ok(free.status === 0 || (verb === 'cas' && free.stdout.toString() === '1\n'), free.stderr);
	});
}

test('readers share the lock, and a name that is removed meanwhile is told', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment('abc');
	const holder = await world.startStranger('shm-peer', 'lock', name);
	const waiting = world.startShm(['set', name, '1', '--lock']);
	await until('it waits for the lock', () => sleepsIn(waiting.pid, /flock|lock/));
	rmSync(world.at(name));
	holder.kill('SIGKILL');
	assertFails(await waiting.end(), 1, `ipc-shm: cannot lock '${name}': it has been removed meanwhile\n`);
});

test('--lock=SEM holds a unit of a semaphore, and gives it back, also when killed', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment(64);
	const semaphore = uniqueName();
	t.after(() => rmSync(`/dev/shm/sem.${semaphore}`, {force: true}));
	assertFails(await world.shm('add', name, '1', `--lock=${semaphore}`), 1, /no such semaphore/);
	assertDone(await world.run('ipc-sem', ['create', semaphore]), '');
	assertDone(await world.shm('add', name, '1', `--lock=${semaphore}`), '0 1\n');
	assertDone(await world.run('ipc-sem', ['value', semaphore]), '1\n');
	assertDone(await world.run('ipc-sem', ['wait', semaphore]), '');
	assertFails(await world.shm('add', name, '1', `--lock=${semaphore}`, '-n'), 3, '');
	assertFails(await world.shm('add', name, '1', `--lock=${semaphore}`, '-t', '30ms'), 124, '');
	assertDone(await world.run('ipc-sem', ['post', semaphore]), '');
	const victim = world.startShm(['write', name, `--lock=${semaphore}`]);
	await until(
		'it holds the unit',
		async () => (await world.run('ipc-sem', ['value', semaphore])).stdout.toString() === '0\n',
	);
	victim.kill('SIGKILL');
	await victim.end();
	assertDone(await world.shm('add', name, '1', `--lock=${semaphore}`, '-t', '250'), '1 2\n');
	assertDone(await world.run('ipc-sem', ['value', semaphore]), '1\n');
	assertDone(await world.shm('update', name, `--lock=${semaphore}`, '--', 'cat'), '');
	assertDone(await world.run('ipc-sem', ['value', semaphore]), '1\n');
});

test('a bare --lock takes no word that follows', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment(64);
	assertDone(await world.shm('add', '--lock', name, '-5'), '0 -5\n');
	assertDone(await world.shm('add', name, '-15', '-q', '--lock'), '-5 -20\n');
	assertFails(await world.shm('add', name, '1', '--lock='), 2, /--lock= needs a value: SEM/);
	assertFails(await world.shm('add', name, '1', '--lock=a/b'), 2, /--lock: invalid semaphore name 'a\/b'/);
});
