import assert from 'node:assert/strict';
import {appendFileSync, closeSync, readFileSync} from 'node:fs';
import test, {type TestContext} from 'node:test';
import {setTimeout as sleep} from 'node:timers/promises';
import {Semaphore} from '../../src/objects/semaphore/semaphore.js';
import {randomBelow} from '../support/random.js';
import {rounds} from '../support/rounds.js';
import {type Ended, peer} from '../support/run.js';
import {fileOf, mostInside, SemaphoreWorld} from '../support/semaphores.js';
import {assertDone} from '../support/world.js';

/** How many processes the random tests kill. */
const kills = Number(process.env.IPC_TEST_KILLS ?? rounds(40, 1000));
const deadlineMs = 300_000 + kills * 100;

/** Free units, read from the file: neither our code nor libc's. */
const valueIn = (name: string): number => readFileSync(fileOf(name)).readUInt32LE(0);

class KillWorld extends SemaphoreWorld {
	victim(...words: string[]) {
		return this.startOther(process.execPath, [peer('sem-victim.mjs'), ...words], {deadlineMs});
	}

	/** Three units, one held by a living process, one by a dead one. */
	async threeUnits(t: TestContext): Promise<{name: string; semaphore: Semaphore}> {
		const name = await this.semaphore(3);
		const semaphore = Semaphore.open(name);
		t.after(() => semaphore.close());
		assert.ok(semaphore.hold({timeoutMs: 0, command: 'living'}));
		this.leaveDead(semaphore);
		return {name, semaphore};
	}

	/** Takes a unit as one does who then dies: the kernel takes back what it has open, and nothing else happens. */
	leaveDead(semaphore: Semaphore): void {
		const holding = semaphore.hold({timeoutMs: 0, command: 'dead'});
		assert.ok(holding);
		closeSync(holding.descriptor);
	}
}

function assertKilled({signal, stderr}: Ended): void {
	assert.deepEqual({signal, stderr}, {signal: 'SIGKILL', stderr: ''});
}

test('killed before each single call to the kernel: the units come out even, and the living one keeps its own', async (t) => {
	const world = new KillWorld(t);
	// A run usually takes every sixth call, from one that the seed chooses, and a long run takes all of them.
	const step = rounds(6, 1);
	const start = 1 + randomBelow(step);
	/** Every second one of these calls, with a semaphore of its own. */
	const walk = async (first: number): Promise<number> => {
		const {name, semaphore} = await world.threeUnits(t);
		for (let last = first; ; last += 2 * step) {
			const ended = await world.victim('steps', name, String(last)).end();
			if (ended.signal === null) {
				assert.deepEqual([ended.status, ended.stderr], [0, '']);
				assert.equal(valueIn(name), 2);
				return last;
			}
			assertKilled(ended);
			const found = `after a kill before call ${last}`;
			assert.ok(valueIn(name) + 1 <= 3, `${valueIn(name)} are free ${found}`);
			semaphore.reap();
			assert.equal(valueIn(name), 2, found);
			assert.deepEqual(
				semaphore.listHolders().map(({command, state}) => [command, state]),
				[['living', 'held']],
				found,
			);
			world.leaveDead(semaphore);
		}
	};
	const ends = await Promise.all([walk(start), walk(start + step)]);
	t.diagnostic(`killed before every ${step}th of about ${Math.min(...ends) - 1} calls`);
	assert.ok(Math.min(...ends) > 100, 'it has not been through all of it');
});

test('killed while it finishes what one who was killed had begun, again and again', async (t) => {
	const world = new KillWorld(t);
	const {name, semaphore} = await world.threeUnits(t);
	for (let round = 0; round < kills / 4; round++) {
		const ended = await world.victim('steps', name, String(1 + randomBelow(90))).end();
		assertKilled(ended);
		assert.ok(valueIn(name) + 1 <= 3, `${valueIn(name)} are free in round ${round}`);
		if (round % 4 < 3) continue;
		semaphore.reap();
		assert.equal(valueIn(name), 2, `in round ${round}`);
		world.leaveDead(semaphore);
	}
	semaphore.reap();
	assert.equal(await world.value(name), 2);
});

test('many at once, killed at any moment, beside a C program: never more inside than units, and none lost', async (t) => {
	const world = new KillWorld(t);
	const name = await world.semaphore(2);
	const log = world.file('log');
	const stranger = await world.startStranger(['pairs', name, '0', log], {deadlineMs}).printed('ready');
	let left = kills;
	const slot = async (): Promise<void> => {
		while (left-- > 0) {
			// Half of them at a random moment, half before a random call.
			const byItself = randomBelow(2) === 0 ? [String(1 + randomBelow(400))] : [];
			const victim = await world.victim('loop', name, log, String(randomBelow(2 ** 31)), ...byItself).printed('ready');
			if (byItself.length === 0) {
				await sleep(randomBelow(20));
				appendFileSync(log, `killed ${victim.pid}\n`);
				victim.kill('SIGKILL');
			}
			assertKilled(await victim.end());
		}
	};
	await Promise.all([slot(), slot(), slot(), slot()]);
	// The last of them may have died with all units, and the stranger waits for one.
	assert.equal((await world.sem('reap', name)).status, 0);
	stranger.stdin.end();
	const {status, stderr} = await stranger.end();
	assert.deepEqual([status, stderr], [0, '']);
	const text = readFileSync(log, 'utf8');
	const entries = (of: (pid: string) => boolean) =>
		text.split('\n').filter((line) => line.startsWith('in ') && of(line.slice(3))).length;
	const [ours, theirs] = [entries((pid) => pid !== `${stranger.pid}`), entries((pid) => pid === `${stranger.pid}`)];
	t.diagnostic(`${kills} killed, ${ours} units held by ours, ${theirs} by the C program`);
	assert.ok(ours > 0 && theirs > 0);
	assert.ok(mostInside(text) <= 2, `${mostInside(text)} were inside`);
	assert.equal((await world.sem('reap', name)).status, 0);
	assert.equal(await world.value(name), 2);
	assert.equal(readFileSync(fileOf(name)).length, 32);
});

test('`run` killed at any moment while its command lives on: never more than two, and none lost', async (t) => {
	const world = new KillWorld(t);
	const name = await world.semaphore(2);
	const log = world.file('log');
	appendFileSync(log, '');
	// The quickest of three: on a busy machine one alone may take many times as long as most.
	let wholeMs = Number.POSITIVE_INFINITY;
	for (let i = 0; i < 3; i++) {
		const start = performance.now();
		assertDone(await world.sem('run', name, '--', 'true'), '');
		wholeMs = Math.min(wholeMs, performance.now() - start);
	}
	let left = Math.ceil(kills / 2);
	let killed = 0;
	const slot = async (): Promise<void> => {
		while (left-- > 0) {
			const run = world.startSem('run', name, '--', peer('sem-peer'), 'work', log, String(20 + randomBelow(40)));
			// However the machine feels, some are killed that have begun and not ended.
			if (left % 4 > 0) await sleep(randomBelow(wholeMs * 2));
			run.kill('SIGKILL');
			// The command has its output open too: this is when both have ended.
			const {status, signal, stderr} = await run.end();
			if (signal === 'SIGKILL') killed++;
			else assert.deepEqual([status, stderr], [0, '']);
		}
	};
	await Promise.all(Array.from({length: 6}, slot));
	const text = readFileSync(log, 'utf8');
	t.diagnostic(`${killed} killed, ${text.match(/^in /gm)?.length} commands ran`);
	assert.ok(killed > 0);
	assert.ok(mostInside(text) <= 2, `${mostInside(text)} were inside`);
	assert.equal((await world.sem('reap', name)).status, 0);
	assert.equal(await world.value(name), 2);
	assert.equal(readFileSync(fileOf(name)).length, 32);
});
