import assert from 'node:assert/strict';
import {chmodSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'node:test';
import {root} from '../support/run.js';
import {onlyOnSmall} from '../support/runtime.js';
import {SemaphoreWorld} from '../support/semaphores.js';
import {assertDone} from '../support/world.js';

/** src/engine/host/snapshot.c: what it begins with, followed by the bytes that are used. */
const mark = Buffer.from('ipc-tools heap\n\0');

test('the executable starts from a stored heap, at any address, and without it', onlyOnSmall, async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(7);
	const bytes = readFileSync(join(root, 'dist', 'ipc'));
	const at = bytes.indexOf(mark) + mark.length;
	assert.ok(bytes.readBigUInt64LE(at) > 0n);
	for (let i = 0; i < 5; i++) assertDone(await world.shell(`ipc-sem value ${name}`), '7\n');
	assertDone(await world.shell(`setarch -R ipc-sem value ${name}`), '7\n');

	// A bit for each word, then the words.
	const room = Math.ceil(Number(bytes.readBigUInt64LE(at)) / 4096) * 4096;
	bytes.fill(0, at, at + 8 + room / 64 + room);
	const path = world.file('ipc-sem');
	writeFileSync(path, bytes);
	chmodSync(path, 0o755);
	assertDone(await world.shell(`${world.file('ipc-sem')} value ${name}`), '7\n');
});
