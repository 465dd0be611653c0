import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import test from 'node:test';
import {isAlive} from '../support/proc.js';
import {random} from '../support/random.js';
import {rounds} from '../support/rounds.js';
import type {Running} from '../support/run.js';
import {fileOf, SemaphoreWorld, untilWaiting} from '../support/semaphores.js';
import {until} from '../support/until.js';
import {assertDone, assertFails} from '../support/world.js';

const barrierOf = (name: string) => `ipc-barrier.${name}`;

class BarrierWorld extends SemaphoreWorld {
	/** One that comes and waits. */
	async comes(name: string, parties: number, ...words: string[]): Promise<Running> {
		return this.startSem('barrier', name, '--parties', String(parties), '--ready-fd', '3', ...words).ready();
	}

	assertNothingIsLeft(name: string): void {
		assert.ok(!this.exists(barrierOf(name)), 'the barrier is still there');
		assert.ok(!this.exists(name));
	}
}

const isWaiting = (party: Running) => party.child.exitCode === null && party.child.signalCode === null;

test('all leave when the last one has come, and the next round begins afresh', async (t) => {
	const world = new BarrierWorld(t);
	const name = world.name();
	for (let round = 0; round < 2; round++) {
		const parties = [await world.comes(name, 3), await world.comes(name, 3)];
		await untilWaiting(barrierOf(name), 2);
		assert.ok(parties.every(isWaiting));
		assertDone(await world.sem('barrier', name, '-p', '3'), '');
		for (const party of parties) assertDone(await party.end(), '');
		world.assertNothingIsLeft(name);
	}
});

test('one party has nobody to wait for', async (t) => {
	const world = new BarrierWorld(t);
	const name = world.name();
	assertDone(await world.sem('barrier', name, '-p', '1'), '');
	assertDone(await world.sem('barrier', name, '-p', '1', '-n'), '');
	world.assertNothingIsLeft(name);
});

test('many at once, in many rounds: nobody is left behind', async (t) => {
	const world = new BarrierWorld(t);
	const name = world.name();
	const log = world.file('log');
	const parties = 4;
	const rounds = 5;
	const script = `for i in {1..${rounds}}; do echo $i >>${log}; ipc-sem barrier ${name} -p ${parties} -t 250 || exit; done`;
	const ends = await Promise.all(Array.from({length: parties}, () => world.shell(script)));
	for (const ended of ends) assertDone(ended, '');
	// Nobody begins a round before all have ended the one before.
	const lines = readFileSync(log, 'utf8').trim().split('\n').map(Number);
	assert.deepEqual(
		lines,
		Array.from({length: parties * rounds}, (_, i) => 1 + Math.floor(i / parties)),
	);
	world.assertNothingIsLeft(name);
});

test('another number of parties is refused, and changes nothing', async (t) => {
	const world = new BarrierWorld(t);
	const name = world.name();
	const party = await world.comes(name, 2);
	assertFails(
		await world.sem('barrier', name, '-p', '3'),
		1,
		`ipc-sem: cannot wait at 'ipc-barrier.${name}': the other processes wait for 2 parties, not for 3\n`,
	);
	assert.ok(isWaiting(party));
	assertDone(await world.sem('barrier', name, '-p', '2'), '');
	assertDone(await party.end(), '');
	world.assertNothingIsLeft(name);
});

test('used wrongly: no number of parties, or one that can be none', async (t) => {
	const world = new BarrierWorld(t);
	const name = world.name();
	const hint = "Try 'ipc-sem barrier --help'.\n";
	assertFails(await world.sem('barrier', name), 2, `ipc-sem: --parties is missing\n${hint}`);
	assertFails(await world.sem('barrier', name, '-p', '0'), 2, /--parties: '0' is not a valid number: the minimum is 1/);
	assertFails(await world.sem('barrier', 'a/b', '-p', '2'), 2, /invalid semaphore name 'a\/b'/);
	world.assertNothingIsLeft(name);
});

test('who gives up after its time does not count: 124, -E, 3 with -n, and nothing is left', async (t) => {
	const world = new BarrierWorld(t);
	const name = world.name();
	assertFails(await world.sem('barrier', name, '-p', '2', '-t', '50ms'), 124, '');
	assertFails(await world.sem('barrier', name, '-p', '2', '-t', '50ms', '-E', '9'), 9, '');
	assertFails(await world.sem('barrier', name, '-p', '2', '-n'), 3, '');
	world.assertNothingIsLeft(name);
	const party = await world.comes(name, 2);
	assertDone(await world.sem('barrier', name, '-p', '2', '-n'), '');
	assertDone(await party.end(), '');
	world.assertNothingIsLeft(name);
});

test('two of three who give up do not count for those who come later', async (t) => {
	const world = new BarrierWorld(t);
	const name = world.name();
	const stays = await world.comes(name, 3);
	assertFails(await world.sem('barrier', name, '-p', '3', '-t', '50ms'), 124, '');
	assertFails(await world.sem('barrier', name, '-p', '3', '-t', '50ms'), 124, '');
	assert.ok(isWaiting(stays));
	const second = await world.comes(name, 3);
	assertDone(await world.sem('barrier', name, '-p', '3'), '');
	assertDone(await stays.end(), '');
	assertDone(await second.end(), '');
	world.assertNothingIsLeft(name);
});

for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const)
	test(`${signal} while it waits ends it by that signal, and it does not count`, async (t) => {
		const world = new BarrierWorld(t);
		const name = world.name();
		const party = await world.comes(name, 2);
		await untilWaiting(barrierOf(name));
		party.kill(signal);
		const ended = await party.end();
		assert.deepEqual([ended.signal, ended.stderr], [signal, '']);
		world.assertNothingIsLeft(name);
	});

test('one that is killed does not count, and the last one alive cleans up', async (t) => {
	const world = new BarrierWorld(t);
	const name = world.name();
	const [killed, other] = [await world.comes(name, 3), await world.comes(name, 3)];
	killed.kill('SIGKILL');
	await killed.end();
	const third = await world.comes(name, 3);
	assertFails(await world.sem('barrier', name, '-p', '3', '-t', '1ms', '-q'), 0, '');
	assertDone(await other.end(), '');
	assertDone(await third.end(), '');
	world.assertNothingIsLeft(name);
});

test('all that waited were killed: whoever comes next begins afresh, with another number too', async (t) => {
	const world = new BarrierWorld(t);
	const name = world.name();
	for (const party of [await world.comes(name, 3), await world.comes(name, 3)]) {
		party.kill('SIGKILL');
		await party.end();
	}
	const party = await world.comes(name, 2);
	assertDone(await world.sem('barrier', name, '-p', '2'), '');
	assertDone(await party.end(), '');
	world.assertNothingIsLeft(name);
});

test('a barrier that is open and still there, since its last one was killed before it removed it: all leave, the next begin afresh', async (t) => {
	const world = new BarrierWorld(t);
	const name = world.name();
	const parties = [await world.comes(name, 3), await world.comes(name, 3)];
	await untilWaiting(barrierOf(name), 2);
	// As far as that one came.
	await world.stranger('post', barrierOf(name));
	const next = await world.comes(name, 2);
	for (const party of parties) assertDone(await party.end(), '');
	assert.ok(isWaiting(next));
	assertDone(await world.sem('barrier', name, '-p', '2'), '');
	assertDone(await next.end(), '');
	world.assertNothingIsLeft(name);
});

test('the last ones killed at any moment: those who wait leave together, or wait for one that comes', async (t) => {
	const world = new BarrierWorld(t);
	const name = world.name();
	const start = performance.now();
	assertDone(await world.sem('barrier', name, '-p', '1'), '');
	const wholeMs = performance.now() - start;
	for (let round = 0; round < rounds(8, 100); round++) {
		const first = await world.comes(name, 2);
		const last = world.startSem('barrier', name, '-p', '2');
		const killer = setTimeout(() => last.kill('SIGKILL'), random() * wholeMs * 1.5);
		await last.end();
		clearTimeout(killer);
		await until('it is dead', () => !isAlive(last.pid));
		// Where it was not opened, one more does that; where it was, there is nobody to wait for.
		if (isWaiting(first)) {
			const {status} = await world.sem('barrier', name, '-p', '2', '-t', '100ms');
			assert.ok(status === 0 || status === 124, `status ${status} in round ${round}`);
		}
		assertDone(await first.end(), '');
		await world.sem('barrier', name, '-p', '1');
		world.assertNothingIsLeft(name);
	}
});

test('--mode is that of the barrier while it is there', async (t) => {
	const world = new BarrierWorld(t);
	const name = world.name();
	const party = await world.comes(name, 2, '-m', '640');
	assert.match((await world.sem('stat', barrierOf(name))).stdout.toString(), /^mode: +0640$/m);
	assert.equal((readFileSync(fileOf(barrierOf(name))).length - 128) % 128, 0);
	await party.kill().end();
	world.assertNothingIsLeft(name);
});
