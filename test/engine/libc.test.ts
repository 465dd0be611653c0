import assert from 'node:assert/strict';
import {rmSync} from 'node:fs';
import {join} from 'node:path';
import test, {type TestContext} from 'node:test';
import {localTarget} from '../../src/build/targets.mjs';
import {buildFor, foreign, local, needsBuild} from '../support/foreign.js';
import {uniqueName} from '../support/unique-name.js';
import {assertDone, World} from '../support/world.js';

/** A semaphore that a C program of the same libc makes is the executable's, and the other way round. */
async function meets(t: TestContext, world: World, command: string, stranger: string): Promise<void> {
	const [theirs, ours] = [uniqueName(), uniqueName()];
	// glibc puts `sem.` before the name, musl nothing.
	t.after(() => {
		for (const name of [theirs, ours])
			for (const prefix of ['', 'sem.']) rmSync(`/dev/shm/${prefix}${name}`, {force: true});
	});
	const sem = (...words: string[]) => world.startOther(command, words);
	const peer = (...words: string[]) => world.startOther(stranger, words);
	assertDone(await peer('create', theirs, '2').end(), '');
	assertDone(await sem('value', theirs).end(), '2\n');
	assertDone(await sem('wait', theirs).end(), '');
	assertDone(await sem('run', theirs, '--', stranger, 'value', theirs).end(), '0\n');
	assertDone(await peer('value', theirs).end(), '1\n');
	assertDone(await sem('create', ours, '--value', '0').end(), '');
	const waiting = await peer('wait', ours).printed('waits\n');
	assertDone(await sem('post', ours).end(), '');
	assertDone(await waiting.end(), 'waits\ntook\n');
	const receiving = await sem('wait', ours, '--ready-fd', '3').ready();
	assertDone(await peer('post', ours).end(), '');
	assertDone(await receiving.end(), '');
	for (const name of [theirs, ours]) assertDone(await sem('remove', name).end(), '');
	assert.notEqual((await peer('value', ours).end()).status, 0);
}

for (const name of ['glibc', 'musl'].map((libc) => `linux-${process.arch}-${libc}`))
	if (name === localTarget())
		test(`semaphores of C programs for ${name}`, (t) => meets(t, new World(t), local.command('ipc-sem'), local.peer));
	else {
		const target = foreign(name);
		test(`semaphores of C programs for ${name}`, needsBuild(target), async (t) => {
			const world = new World(t);
			const folder = await buildFor(target, world);
			await meets(t, world, join(folder, 'ipc-sem'), join(folder, 'sem-peer'));
		});
	}
