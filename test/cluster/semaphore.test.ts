import assert from 'node:assert/strict';
import {spawnSync} from 'node:child_process';
import {existsSync, mkdirSync} from 'node:fs';
import {hostname} from 'node:os';
import test from 'node:test';
import {NatsText} from '../support/nats/nats-text.js';
import {NatsServer, NatsWorld, needsNats, sharedServer} from '../support/nats/nats-world.js';
import {random} from '../support/random.js';
import {rounds} from '../support/rounds.js';
import {launcher, type Running} from '../support/run.js';
import {uniqueName} from '../support/unique-name.js';
import {until} from '../support/until.js';
import {assertDone, assertFails} from '../support/world.js';

const server = sharedServer();

/** A test with a server. */
const on = (title: string, body: (world: NatsWorld) => Promise<void>) =>
	test(title, needsNats, async (t) => body(new NatsWorld(t, await server.started())));

const json = async (world: NatsWorld, ...words: string[]) => {
	const {status, stdout, stderr} = await world.run('ipc-sem', [...words, '--json']);
	assert.deepEqual({status, stderr}, {status: 0, stderr: ''});
	return JSON.parse(stdout.toString());
};

/** The same test on this machine and on a cluster. */
const onBoth = (title: string, body: (world: NatsWorld, name: string, aWhile: string) => Promise<void>) => {
	on(`on this machine: ${title}`, async (world) => body(world, uniqueName(), '50ms'));
	// A busy machine may take a second to connect, and a time limit is one for that, too.
	on(`on a cluster: ${title}`, async (world) => body(world, world.name(), '3s'));
};

onBoth('create, wait, post, value, stat, remove', async (world, name, aWhile) => {
	const sem = (...words: string[]) => world.run('ipc-sem', words);
	try {
		assertFails(await sem('post', name), 1, /no such semaphore \(make it with: ipc-sem create /);
		assertFails(await sem('value', name), 1, `ipc-sem: cannot open '${name}': no such semaphore\n`);
		assertDone(await sem('create', name, '--value', '2'), '');
		assertFails(await sem('create', name), 0, `ipc-sem: '${name}' already exists with 2 free units\n`);
		assertFails(await sem('create', name, '-x'), 1, `ipc-sem: cannot create '${name}': it already exists\n`);
		assertDone(await sem('wait', name), '');
		assertDone(await sem('wait', name, '-n'), '');
		assertFails(await sem('wait', name, '-n'), 3, '');
		assertFails(await sem('wait', name, '-t', aWhile), 124, '');
		const waiting = world.start('ipc-sem', ['wait', name, '--ready-fd', '3']);
		await waiting.ready();
		assertDone(await sem('post', name, '--count', '3'), '');
		assertDone(await waiting.end(), '');
		assertDone(await sem('value', name), '2\n');
		assert.deepEqual(await json(world, 'value', name), {name, value: 2});
		const status = await json(world, 'stat', name);
		assert.deepEqual({name: status.name, value: status.value, holders: status.holders}, {name, value: 2, holders: []});
		assertFails(await sem('post', name, '-c', '2147483647'), 1, /it has 2, and the maximum is 2147483647\n$/);
		assertDone(await sem('value', name), '2\n');
	} finally {
		assertDone(await sem('remove', name), '');
	}
	assertFails(await sem('remove', name), 1, `ipc-sem: cannot remove '${name}': no such semaphore\n`);
});

onBoth('batch: a line for each command, and what waits gets a unit that comes later', async (world, name) => {
	assertDone(await world.run('ipc-sem', ['create', name]), '');
	try {
		const batch = world.start('ipc-sem', ['batch']);
		batch.stdin.write(
			`wait ${name}\nacquire ${name} 0\nwait ${name} 50ms\npost ${name} 2\nvalue ${name}\npost nope-nope\n`,
		);
		await batch.printed("ok\nbusy\ntimeout\nok\n2\nerror cannot open 'nope-nope': no such semaphore");
		batch.stdin.write(`wait ${name}\nwait ${name}\nvalue ${name}\nwait ${name}\n`);
		// It waits with the last line, and has answered those before.
		await batch.printed('ok\nok\n0\n');
		assertDone(await world.run('ipc-sem', ['post', name]), '');
		const {status, stdout} = await batch.end();
		assert.equal(status, 1);
		assert.match(stdout.toString(), /\nok\nok\n0\nok\n$/);
		// Taken for good.
		assertDone(await world.run('ipc-sem', ['value', name]), '0\n');
	} finally {
		assertDone(await world.run('ipc-sem', ['remove', name]), '');
	}
});

on('batch: a signal ends it while it waits, and no unit is lost', async (world) => {
	const name = world.name();
	assertDone(await world.run('ipc-sem', ['create', name, '--value', '0']), '');
	const batch = world.start('ipc-sem', ['batch']);
	batch.stdin.write(`value ${name}\nwait ${name}\n`);
	await batch.printed('0\n');
	assert.equal((await batch.kill('SIGTERM').end()).signal, 'SIGTERM');
	assertDone(await world.run('ipc-sem', ['post', name]), '');
	assertDone(await world.run('ipc-sem', ['value', name]), '1\n');
});

test('batch: a name on a cluster without a server is an answer', async (t) => {
	const world = new NatsWorld(t, {place: ''});
	const {status, stdout, stderr} = await world.run('ipc-sem', ['batch'], {input: 'value nats:x\n'});
	assert.deepEqual({status, stderr}, {status: 1, stderr: ''});
	assert.match(stdout.toString(), /^error 'nats:x' names no server: set NATS_URL/);
});

on('list shows the semaphores of the cluster by the names that other verbs take', async (world) => {
	const name = world.name();
	assertDone(await world.run('ipc-sem', ['post', name, '--create', '--value', '4']), '');
	const listed = await world.run('ipc-sem', ['list', 'nats:', '--no-headings', '-o', 'name,value']);
	assert.match(listed.stdout.toString(), new RegExp(`^${name} +5$`, 'm'));
	assertDone(await world.run('ipc-sem', ['remove', name]), '');
	assert.doesNotMatch((await world.run('ipc-sem', ['list', 'nats:'])).stdout.toString(), new RegExp(name));
});

test('an entry that another client has damaged is refused, and can be removed', needsNats, async (t) => {
	const nats = await server.started();
	const world = new NatsWorld(t, nats);
	const witness = await NatsText.connect(t, nats.place);
	const [name, good] = [world.name(), world.name()];
	assertDone(await world.run('ipc-sem', ['create', good]), '');
	const sound = {value: 1, made: '2026-01-01T00:00:00Z', holders: [], recent: []};
	const holder = {id: 'a', host: 'h', pid: 1, uid: 0, command: 'c', since: '2026-01-01T00:00:00Z', leaseMs: 1, beat: 0};
	const damaged = [
		'',
		'null',
		JSON.stringify({...sound, value: -1}),
		JSON.stringify({...sound, made: 1}),
		JSON.stringify({...sound, holders: [null]}),
		JSON.stringify({...sound, holders: [{id: 'a'}]}),
		JSON.stringify({...sound, holders: [{...holder, leaseMs: 'x'}]}),
		JSON.stringify({...sound, holders: [{...holder, since: 'x'}]}),
	];
	const refused = /is not a semaphore of ipc-sem \(delete it with: ipc-sem remove\)\n$/;
	for (const text of damaged) {
		witness.publish(`$KV.ipc-sem.${name.slice('nats:'.length)}`, text);
		await witness.flush();
		assertFails(await world.run('ipc-sem', ['stat', name]), 1, refused);
	}
	assertFails(await world.run('ipc-sem', ['post', name]), 1, refused);
	assertFails(await world.run('ipc-sem', ['reap', name]), 1, refused);
	assertFails(await world.run('ipc-sem', ['run', name, '-n', '--', 'true']), 125, refused);
	const listed = await world.run('ipc-sem', ['list', 'nats:', '--no-headings', '-o', 'name']);
	assert.equal(listed.status, 0);
	const names = listed.stdout.toString().split(/\s+/);
	assert.deepEqual([names.includes(good), names.includes(name)], [true, false]);
	assertDone(await world.run('ipc-sem', ['remove', name]), '');
	assertDone(await world.run('ipc-sem', ['create', name]), '');
	assertDone(await world.run('ipc-sem', ['remove', name, good]), '');
});

on('a process that waits for a unit is told when the semaphore is removed', async (world) => {
	const name = world.name();
	assertDone(await world.run('ipc-sem', ['create', name, '--value', '0']), '');
	const waiting = world.start('ipc-sem', ['wait', name, '--ready-fd', '3']);
	await waiting.ready();
	assertDone(await world.run('ipc-sem', ['remove', name]), '');
	assertFails(await waiting.end(), 1, /it has been removed|no such semaphore/);
});

onBoth('run holds a unit while its command runs, and ends with its status', async (world, name, aWhile) => {
	try {
		const holder = world.start('ipc-sem', ['run', name, '--create', '--', 'sh', '-c', 'echo in; read -r line; exit 7']);
		await holder.printed('in\n');
		const {value, holders} = await json(world, 'stat', name);
		const [{pid, command}] = holders;
		assert.deepEqual(
			{value, pid, command},
			{value: 0, pid: holder.pid, command: 'sh -c echo in; read -r line; exit 7'},
		);
		assertFails(
			await world.run('ipc-sem', ['run', name, '-n', '--conflict-status', '75', '--', 'echo', 'no']),
			75,
			`ipc-sem: '${name}' has no free unit: the command was not run\n`,
		);
		assertFails(await world.run('ipc-sem', ['run', name, '-t', aWhile, '--', 'echo', 'no']), 124, '');
		holder.stdin.end('go\n');
		assert.equal((await holder.end()).status, 7);
		assertDone(await world.run('ipc-sem', ['value', name]), '1\n');
		assertFails(
			await world.run('ipc-sem', ['run', name, '--', 'ipc-no-such-command']),
			127,
			"ipc-sem: cannot run 'ipc-no-such-command': not found\n",
		);
		assertDone(await world.run('ipc-sem', ['value', name]), '1\n');
		const stopped = world.start('ipc-sem', ['run', name, '--', 'sh', '-c', 'echo in; exec sleep 1000']);
		await stopped.printed('in\n');
		assert.equal((await stopped.kill('SIGTERM').end()).signal, 'SIGTERM');
		assertDone(await world.run('ipc-sem', ['value', name]), '1\n');
	} finally {
		assertDone(await world.run('ipc-sem', ['remove', name]), '');
	}
});

on('stat shows the host of a holder, and the fence of the command grows with each take', async (world) => {
	const name = world.name();
	const fence = async () => {
		const {stdout} = await world.run('ipc-sem', ['run', name, '--create', '--', 'sh', '-c', 'echo "$IPC_FENCE"']);
		return Number(stdout.toString());
	};
	const first = await fence();
	assert.ok(first > 0);
	assert.ok((await fence()) > first);
	const holder = world.start('ipc-sem', [
		'run',
		name,
		'--lease',
		'1m',
		'--',
		'sh',
		'-c',
		'echo in; read -r line; exit 0',
	]);
	await holder.printed('in\n');
	const [{host, leaseMs}] = (await json(world, 'stat', name)).holders;
	assert.deepEqual({host, leaseMs}, {host: hostname(), leaseMs: 60_000});
	assertDone(await holder.end());
});

onBoth(
	'barrier: all leave when the last one has arrived, and the next round has its own',
	async (world, name, aWhile) => {
		const meet = (...words: string[]) =>
			world.start('ipc-sem', ['barrier', name, '--parties', '3', '--ready-fd', '3', ...words]);
		const late = await meet('-t', aWhile).ready();
		assert.equal((await late.end()).status, 124);
		for (let round = 0; round < 2; round++) {
			const first = await meet().ready();
			const second = await meet().ready();
			assertFails(await meet('--parties', '2').end(), 1, /the other processes wait for 3 parties, not for 2\n$/);
			assert.deepEqual([first.child.exitCode, second.child.exitCode], [null, null]);
			for (const each of [first, second, meet()]) assertDone(await each.end(), '');
		}
		assertFails(await meet('-n').end(), 3, '');
		const stopped = await meet().ready();
		assert.equal((await stopped.kill('SIGINT').end()).signal, 'SIGINT');
		const [one, two] = [await meet().ready(), await meet().ready()];
		assertDone(await meet().end(), '');
		for (const each of [one, two]) assertDone(await each.end(), '');
	},
);

onBoth('watch prints a line for each change', async (world, name) => {
	const watch = world.start('ipc-sem', ['watch', name, '--count', '4']);
	const values = () =>
		watch.output
			.toString()
			.split('\n')
			.slice(0, -1)
			.map((line) => JSON.parse(line))
			.map(({value, removed}) => value ?? removed);
	let changes = 0;
	for (const words of [
		['create', name, '--value', '0'],
		['post', name],
		['wait', name],
		['remove', name],
	]) {
		assertDone(await world.run('ipc-sem', words), '');
		changes++;
		await until('it is seen', () => values().length === changes);
	}
	assertDone(await watch.end());
	assert.deepEqual(values(), [0, 1, 0, true]);
});

on('reap gives back the units of holders that have died, and no others', async (world) => {
	const name = world.name();
	assertDone(await world.run('ipc-sem', ['create', name, '--value', '2']), '');
	const hold = (...words: string[]) =>
		world.start('ipc-sem', ['run', name, ...words, '--', 'sh', '-c', 'echo in; read -r line; exit 0']).printed('in\n');
	const dead = await hold('--lease', '4s');
	const alive = await hold('--lease', '20s');
	dead.kill('SIGKILL');
	await dead.closed;
	assertDone(await world.run('ipc-sem', ['reap', name]), `${name} 1\n`);
	assertDone(await world.run('ipc-sem', ['value', name]), '1\n');
	assertDone(await alive.end());
	assertDone(await world.run('ipc-sem', ['value', name]), '2\n');
	assert.deepEqual(await json(world, 'reap', name), {name, reaped: 0});
});

/** A command that nothing else of that file may overlap: it fails with 99 where another one has the lock. flock(1) */
const alone = (file: string, script: string): string[] => ['flock', '-n', '-E', '99', file, 'sh', '-c', script];

on('a holder is killed by SIGKILL: its command ends, and then another process gets the unit', async (world) => {
	const name = world.name();
	const lock = world.file('lock');
	const holder = world.start('ipc-sem', [
		...['run', name, '--create', '--lease', '2s', '--'],
		...alone(lock, 'echo in; sleep 1000; echo out'),
	]);
	await holder.printed('in\n');
	holder.kill('SIGKILL');
	assertDone(await world.run('ipc-sem', ['run', name, '--', ...alone(lock, 'echo mine')]), 'mine\n');
});

test(
	'a network cut: the command of the holder has ended before another process gets the unit',
	needsNats,
	async (t) => {
		// One of its own, since it is stopped.
		const stopped = await new NatsServer().start();
		t.after(() => stopped.end());
		const world = new NatsWorld(t, stopped);
		const name = world.name();
		const lock = world.file('lock');
		const run = (script: string, ...words: string[]) =>
			world.start('ipc-sem', ['run', name, '--create', ...words, '-v', '--', ...alone(lock, script)]);
		// flock ends when it is told to; what it has started has to be killed.
		const holder = run('trap "" TERM; echo in; sleep 1000; echo out; sleep 1000', '--lease', '4s');
		await holder.printed('in\n');
		const other = run('echo mine');
		// On a machine that does nothing for seconds the unit may be lost before.
		await until('it waits', () => other.errors.includes('waiting for') || other.received > 0);
		await stopped.kill('SIGSTOP');
		const ended = await holder.end();
		assert.equal(ended.stdout.toString(), 'in\n');
		assert.match(ended.stderr, /lost the unit of .*; ending 'flock'\n/);
		await stopped.kill('SIGCONT');
		assert.equal((await other.end()).stdout.toString(), 'mine\n');
	},
);

on('a holder is stopped: its command ends all the same before another process gets the unit', async (world) => {
	const name = world.name();
	const lock = world.file('lock');
	const holder = world.start('ipc-sem', [
		...['run', name, '--create', '--lease', '3s', '--'],
		...alone(lock, 'trap "" TERM; echo in; sleep 1000; echo out; sleep 1000'),
	]);
	await holder.printed('in\n');
	holder.kill('SIGSTOP');
	assertDone(await world.run('ipc-sem', ['run', name, '--', ...alone(lock, 'echo mine')]), 'mine\n');
	const {status, stdout, stderr} = await holder.kill('SIGCONT').end();
	// On a machine that does nothing for seconds flock may have been told to end before.
	assert.ok(status === 137 || status === 143, `${status}`);
	assert.equal(stdout.toString(), 'in\n');
	assert.match(stderr, /^ipc-sem: lost the unit of .*; ending 'flock'\n/);
});

/** Each in a namespace of its own, as if they were on three machines. */
const canNameHosts = spawnSync('unshare', ['--uts', 'true']).status === 0;

on('however many contend and are killed, there are never more holders than units', async (world) => {
	const units = 3;
	const contenders = rounds(8, 30);
	const name = world.name();
	assertDone(await world.run('ipc-sem', ['create', name, '--value', String(units)]), '');
	const folder = world.file('inside');
	mkdirSync(folder);
	// Each has one of as many locks as there are units, without waiting: one that finds none is one too many.
	const script =
		'for n; do exec 9>>"$n"; if flock -n 9; then echo in; sleep "$TIME"; exit 0; fi; done; echo overlap >>"$FOLDER/overlap"; exit 99';
	const locks = Array.from({length: units}, (_, n) => `${folder}/${n}`);
	const running = Array.from({length: contenders}, (_, n): Running => {
		const settings = {env: {FOLDER: folder, TIME: String(random() / 2)}, input: ''};
		const words = ['run', name, '--lease', '3s', '--', 'bash', '-c', script, 'bash', ...locks];
		if (!canNameHosts) return world.start('ipc-sem', words, settings);
		const asOn = `echo host-${n % 3} >/proc/sys/kernel/hostname; exec "$@"`;
		return world.startOther('unshare', ['--uts', 'sh', '-c', asOn, 'sh', launcher('ipc-sem'), ...words], settings);
	});
	const victims = running.slice(0, contenders / 3);
	for (const victim of victims) {
		const ends = () => void setTimeout(() => victim.kill('SIGKILL'), random() * 500);
		// While it holds a unit, or while it waits or is about to take one.
		if (random() < 2 / 3) victim.printed('in\n').then(ends, () => undefined);
		else setTimeout(ends, random() * 2000);
	}
	for (const each of running) {
		const {status, stderr} = await each.end();
		// On a machine that does nothing for seconds a lease may be lost.
		if (victims.includes(each) || /lost the unit|does not answer/.test(stderr)) continue;
		assert.deepEqual({status, stderr}, {status: 0, stderr: ''});
	}
	assert.ok(!existsSync(`${folder}/overlap`));
	// All units are there again.
	for (let unit = 0; unit < units; unit++) assertDone(await world.run('ipc-sem', ['wait', name]), '');
	assertFails(await world.run('ipc-sem', ['wait', name, '-n']), 3, '');
});
