import assert from 'node:assert/strict';
import {existsSync, mkdirSync, writeFileSync} from 'node:fs';
import test from 'node:test';
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
		"ipc-signal: cannot send RTMIN to @events: nobody is registered as '@events'\n",
	);
});

test('a second living receiver of a name is refused; a dead one leaves it free, and nobody is sent to meanwhile', async (t) => {
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
		"ipc-signal: cannot send USR1 to @log: nobody is registered as '@log'\n",
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
	writeFileSync(world.path('x.receiver'), '4194304 99999999999999\nrubbish\n');
	const all = Array.from({length: 5}, () =>
		world.start('ipc-signal', ['wait', 'USR1', '--name', 'x', '--ready-fd', '3']),
	);
	await Promise.all(all.map((one) => one.ready()));
	const living = all.filter(({child}) => child.exitCode === null);
	assert.equal(living.length, 1);
	assertDone(await world.signal('send', 'USR1', '@x'), '');
	assertDone(await (living[0] as (typeof all)[0]).end());
	for (const one of all.filter((other) => other !== living[0]))
		assertFails(await one.end(), 1, /cannot register '@x': process ([0-9]+|\?) has that name/);
	world.assertNothingLeft();
});

test('a file that nobody holds, with whatever in it, is nobody', async (t) => {
	const world = new SignalWorld(t);
	mkdirSync(world.folder, {mode: 0o700});
	for (const text of ['', 'rubbish', `${process.pid} 1\n`, `${process.pid}\n`]) {
		writeFileSync(world.path('x.receiver'), text);
		assertFails(await world.signal('send', '0', '@x'), 1, /nobody is registered as '@x'/);
	}
});
