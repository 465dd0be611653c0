import assert from 'node:assert/strict';
import {closeSync, writeSync} from 'node:fs';
import test from 'node:test';
import {Deadline} from '../../src/common/deadline.js';
import {eventsOf, isBroken, isReady, PollSet} from '../../src/common/waiting.js';
import {native, POLLIN, POLLOUT} from '../../src/native/index.js';

test('a deadline: never, passed, and in between', () => {
	for (const never of [new Deadline(), new Deadline(-1), new Deadline(Number.POSITIVE_INFINITY)]) {
		assert.deepEqual([never.leftMs, never.hasPassed, never.waitMs()], [Number.POSITIVE_INFINITY, false, -1]);
		assert.equal(never.waitMs(50), 50);
	}
	const passed = new Deadline(0);
	assert.deepEqual([passed.leftMs, passed.hasPassed, passed.waitMs(), passed.waitMs(50)], [0, true, 0, 0]);
	const later = new Deadline(1e6);
	assert.ok(later.leftMs > 0 && later.leftMs <= 1e6 && !later.hasPassed);
	assert.ok(Number.isInteger(later.waitMs()));
	assert.equal(later.waitMs(7.5), 8);
});

test('events of one descriptor: data, room, and the end of the other side', (t) => {
	const [read, write] = native.pipe2(0);
	t.after(() => closeSync(write));
	assert.equal(isReady(read, POLLIN, 0), false);
	assert.equal(eventsOf(write, POLLOUT, 0), POLLOUT);
	writeSync(write, 'x');
	assert.equal(eventsOf(read, POLLIN, -1), POLLIN);
	closeSync(read);
	assert.ok(isBroken(eventsOf(write, 0, -1)));
});

test('a set of descriptors: each is known by its key, however many there are', (t) => {
	const pipes = Array.from({length: 9}, () => native.pipe2(0));
	t.after(() => {
		for (const descriptor of pipes.flat()) closeSync(descriptor);
	});
	const poll = new PollSet<number>();
	for (const [i, [read]] of pipes.entries()) poll.watch(i, read, POLLIN);
	assert.equal(poll.wait(0), false);
	writeSync((pipes[3] as [number, number])[1], 'x');
	writeSync((pipes[8] as [number, number])[1], 'x');
	assert.equal(poll.wait(-1), true);
	assert.deepEqual(
		pipes.map((_, i) => poll.eventsOf(i)),
		[0, 0, 0, POLLIN, 0, 0, 0, 0, POLLIN],
	);
	// One that is not waited for any more, and one that is waited for in another way.
	poll.watch(3, -1, POLLIN);
	poll.watch(8, (pipes[8] as [number, number])[1], POLLOUT);
	assert.equal(poll.wait(-1), true);
	assert.deepEqual([poll.eventsOf(3), poll.eventsOf(8), poll.eventsOf(99)], [0, POLLOUT, 0]);
});
