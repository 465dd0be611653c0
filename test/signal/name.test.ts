import assert from 'node:assert/strict';
import {existsSync, linkSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import test from 'node:test';
import {peer} from '../support/run.js';
import {SignalWorld} from '../support/signals.js';
import {assertDone, assertFails} from '../support/world.js';

test('@NAME: sent to by name, gone with its receiver', async (t) => {
	const world = new SignalWorld(t);
	const receiver = await world.receiver('wait', 'RTMIN', '--name', '@events');
	assertDone(await world.signal('send', 'RTMIN', '@events', '--value', '42'), '');
	assert.match((await receiver.end()).stdout.toString(), /^RTMIN [0-9]+ [0-9]+ 42\n$/);
	world.assertNothingLeft();
	assertFails(
		await world.signal('send', 'RTMIN', '@events'),
		1,
		"ipc-signal: cannot send RTMIN to @events: no process is registered as '@events'\n",
	);
});

test('a second living receiver of a name is refused; a dead one leaves it free, and no process is sent to meanwhile', async (t) => {
	const world = new SignalWorld(t);
	const first = await world.receiver('wait', 'USR1', '--name', 'log');
	for (const verb of [
		['wait', 'USR1', '--name', 'log'],
		['on', 'USR1', '--name', 'log', '--', 'true'],
	])
		assertFails(
			await world.signal(...verb),
			verb[0] === 'on' ? 125 : 1,
			`ipc-signal: cannot register '@log': process ${first.pid} has that name\n`,
		);
	await first.kill('SIGKILL').end();
	assert.ok(existsSync(world.path('log.receiver')));
	assertFails(
		await world.signal('send', 'USR1', '@log'),
		1,
		"ipc-signal: cannot send USR1 to @log: no process is registered as '@log'\n",
	);
	const second = await world.receiver('wait', 'USR1', '--name', 'log');
	assertDone(await world.signal('send', 'USR1', '@log'), '');
	assertDone(await second.end());
	world.assertNothingLeft();
});

test('of many that want one name at once exactly one gets it', async (t) => {
	const world = new SignalWorld(t);
	mkdirSync(world.folder, {mode: 0o700});
	// Left behind by a dead one, longer than what will be written over it.
	writeFileSync(world.path('x.receiver'), '4194304 99999999999999\n');
	const all = Array.from({length: 5}, () =>
		world.start('ipc-signal', ['wait', 'USR1', '--name', 'x', '--ready-fd', '3']),
	);
	await Promise.all(all.map((one) => one.readyOrEnded()));
	const living = all.filter(({child}) => child.exitCode === null);
	assert.equal(living.length, 1);
	assertDone(await world.signal('send', 'USR1', '@x'), '');
	assertDone(await (living[0] as (typeof all)[0]).end());
	for (const one of all.filter((other) => other !== living[0]))
		assertFails(await one.end(), 1, /cannot register '@x': process ([0-9]+|\?) has that name/);
	world.assertNothingLeft();
});

test('a file that no process holds, with whatever in it, is nobody', async (t) => {
	const world = new SignalWorld(t);
	mkdirSync(world.folder, {mode: 0o700});
	for (const text of ['', 'rubbish', `${process.pid} 1\n`, `${process.pid}\n`]) {
		writeFileSync(world.path('x.receiver'), text);
		assertFails(await world.signal('send', '0', '@x'), 1, /no process is registered as '@x'/);
	}
});

test("a file that is gone at the end, or another receiver's by then, is left alone", async (t) => {
	const world = new SignalWorld(t);
	const first = await world.receiver('wait', 'USR1', '--name', 'x');
	rmSync(world.path('x.receiver'));
	const second = await world.receiver('wait', 'USR1', '--name', 'x');
	first.kill('SIGTERM');
	const {signal, stderr} = await first.end();
	assert.deepEqual([signal, stderr], ['SIGTERM', '']);
	assertDone(await world.signal('send', 'USR1', '@x'), '');
	assertDone(await second.end());
	world.assertNothingLeft();
	const third = await world.receiver('wait', 'USR1', '--name', 'x');
	rmSync(world.folder, {recursive: true});
	assertDone(await third.kill('SIGUSR1').end());
	const fourth = await world.receiver('on', 'USR1', '--name', 'x', '--count', '1', '--', 'true');
	rmSync(world.path('x.receiver'));
	assertDone(await fourth.kill('SIGUSR1').end());
});

test('what is not a file of a receiver is refused, and left as it is', async (t) => {
	const world = new SignalWorld(t);
	mkdirSync(world.folder, {mode: 0o700});
	const refused = async (why: string) => {
		assertFails(
			await world.signal('wait', 'USR1', '--name', 'x', '-n'),
			1,
			`ipc-signal: cannot register '@x': ${why}\n`,
		);
		const {status, stderr} = await world.signal('send', '0', '@x');
		assert.equal(status, 1);
		assert.match(
			stderr,
			/^ipc-signal: cannot find @x: ('x.receiver' in the runtime folder is|no process is registered as)/,
		);
	};
	const shown = "'x.receiver' in the runtime folder";
	const path = world.path('x.receiver');
	writeFileSync(path, 'precious\n');
	await refused(`${shown} was not written by a receiver`);
	assert.equal(readFileSync(path, 'utf8'), 'precious\n');
	writeFileSync(path, '1 2\n');
	linkSync(path, world.path('other'));
	await refused(`${shown} has a second hard link`);
	assert.equal(readFileSync(path, 'utf8'), '1 2\n');
	rmSync(path);
	symlinkSync('other', path);
	await refused(`${shown} is a symbolic link`);
	rmSync(path);
	await world.shell(`mkfifo ${path}`);
	await refused(`${shown} is a FIFO`);
	rmSync(path);
	await world.startOther(peer('sock-peer'), ['hold', path, 'stream']).printed('ready');
	await refused(`${shown} is a socket`);
	rmSync(path);
	mkdirSync(path);
	await refused(`${shown} is a folder`);
});
