import assert from 'node:assert/strict';
import {statSync} from 'node:fs';
import {join} from 'node:path';
import test from 'node:test';
import {QueueWorld} from '../support/queues.js';
import {launcher, peer, root} from '../support/run.js';
import {onlyOnSmall} from '../support/runtime.js';
import {SemaphoreWorld} from '../support/semaphores.js';
import {assertFails, World} from '../support/world.js';

const MiB = 1024;

/** The most memory of a command, in KiB. The smallest of a few runs: the kernel's count is not exact, and can only be too large. */
async function peakOf(world: World, runs: number, command: string, ...words: string[]): Promise<number> {
	const peaks: number[] = [];
	for (let i = 0; i < runs; i++) {
		const {status, stderr} = await world.startOther(peer('peak-peer'), [launcher(command), ...words]).end();
		assert.equal(status, 0, stderr);
		peaks.push(Number(stderr));
	}
	return Math.min(...peaks);
}

test('a verb that is done at once needs no more than 4 MiB', onlyOnSmall, async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	for (const [command, ...words] of [
		['ipc-sem', 'post', name],
		['ipc-sem', 'run', name, '--', 'true'],
		['ipc-signal', 'run', '--', 'true'],
		['ipc-signal', 'send', '0', String(process.pid)],
		['ipc-sem', 'run', '--help'],
	] as const) {
		const peak = await peakOf(world, 5, command, ...words);
		assert.ok(peak > 0 && peak <= 4 * MiB, `${command} ${words.join(' ')}: ${peak} KiB`);
	}
});

/** Peaks of the two sides of a stream of so many bytes, in KiB. */
async function streamPeaks(t: test.TestContext, bytes: number, ...options: string[]): Promise<number[]> {
	const world = new World(t);
	const peak = peer('peak-peer');
	const end = await world.shell(
		`yes ${'x'.repeat(99)} | head -c ${bytes} | ${peak} ipc-pipe send x ${options.join(' ')} & ${peak} ipc-pipe recv x ${options.join(' ')} | wc -c; wait`,
	);
	assert.equal(end.status, 0, end.stderr);
	assert.equal(end.stdout.toString().trim(), String(bytes));
	return end.stderr.trim().split('\n').map(Number);
}

for (const options of [[], ['--framing', 'lines']])
	test(`a stream of 100 MB needs no more than 8 MiB: ${options.join(' ') || 'bytes'}`, onlyOnSmall, async (t) => {
		const peaks = await streamPeaks(t, 100_000_000, ...options);
		assert.equal(peaks.length, 2);
		for (const peak of peaks) assert.ok(peak > 0 && peak <= 8 * MiB, `${peak} KiB`);
	});

test('memory that runs out on the way is one line and status 1', onlyOnSmall, async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	const line = `head -c 50000000 /dev/zero | (ulimit -v 20000; exec ipc-mq send ${name} --raw)`;
	assertFails(await world.shell(line), 1, 'ipc-mq: out of memory\n');
});

test('memory that runs out at the start is one line and a status, whenever that is', onlyOnSmall, async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	const size = Math.ceil(statSync(join(root, 'dist', 'ipc')).size / 1024);
	let refusals = 0;
	for (const [line, status] of [
		[`ipc-sem value ${name}`, 1],
		[`ipc-sem run ${name} -- true`, 125],
	] as const) {
		let isDone = false;
		for (let limit = size; !isDone && limit < size + 8 * MiB; limit += 4) {
			const ended = await world.shell(`ulimit -v ${limit}; exec ${line}`);
			isDone = ended.status === 0;
			// With even less the kernel, or libc's start, ends the process before it is ours.
			const isOurs = ended.stderr.startsWith('ipc-sem:');
			if (isOurs) assert.deepEqual([ended.status, ended.stdout.length], [status, 0], ended.stderr);
			if (isOurs) assert.match(ended.stderr, /^ipc-sem: [^\n]+\n$/);
			else if (!isDone) assert.doesNotMatch(ended.stderr, /internal error|Error:/);
			if (isOurs) refusals++;
		}
		assert.ok(isDone, line);
	}
	assert.ok(refusals > 0);
	// One that could not clean up has left its unit to the next.
	assert.equal((await world.sem('reap', name)).status, 0);
	assert.equal(await world.value(name), 1);
});
