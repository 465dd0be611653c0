import assert from 'node:assert/strict';
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import test from 'node:test';
import {needs} from '../support/needs.js';
import {isAlive, isStopped} from '../support/proc.js';
import {peer} from '../support/run.js';
import {mostInside, SemaphoreWorld, untilWaiting, waitersOf} from '../support/semaphores.js';
import {until} from '../support/until.js';
import {assertDone, assertFails} from '../support/world.js';

const notRun = (name: string): string => `ipc-sem: '${name}' has no free unit: the command was not run\n`;

test('a unit is held while the command runs, and back afterwards, as a C program sees it', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(2);
	assertDone(await world.sem('run', name, '--', peer('sem-peer'), 'value', name), '1\n');
	await world.assertAtRest(name, 2);
});

test('the status of the command is passed on, and its streams are ours', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	const ended = await world.run('ipc-sem', ['run', name, '--', 'sh', '-c', 'cat; echo said >&2; exit 7'], {
		input: Buffer.from([0, 255, 10]),
	});
	assert.deepEqual([ended.status, ended.stdout, ended.stderr], [7, Buffer.from([0, 255, 10]), 'said\n']);
	assertFails(await world.sem('run', name, '--', 'sh', '-c', 'kill -9 $$'), 137, '');
	assertFails(await world.sem('run', name, '--', 'sh', '-c', 'kill -TERM $$'), 143, '');
	assertFails(await world.sem('run', name, '--', 'bash', '-c', 'kill -RTMIN+3 $$'), 165, '');
	assertFails(await world.sem('run', name, '--', 'sh', '-c', 'exit 124'), 124, '');
	await world.assertAtRest(name, 1);
});

test('a command that is not found, cannot be run, or is missing', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	assertFails(
		await world.sem('run', name, '--', 'no-such-command'),
		127,
		"ipc-sem: cannot run 'no-such-command': not found\n",
	);
	assertFails(
		await world.sem('run', name, '--', '/etc/passwd'),
		126,
		"ipc-sem: cannot run '/etc/passwd': permission denied\n",
	);
	assertFails(await world.sem('run', name), 2, "ipc-sem: the command to run is missing\nTry 'ipc-sem run --help'.\n");
	await world.assertAtRest(name, 1);
});

test('--create makes it with one unit, or as many as --value says', async (t) => {
	const world = new SemaphoreWorld(t);
	const [a, b] = [world.name(), world.name()];
	assertDone(await world.sem('run', a, '--create', '--', peer('sem-peer'), 'value', a), '0\n');
	assertDone(await world.sem('run', b, '--create', '--value', '3', '--', peer('sem-peer'), 'value', b), '2\n');
	await world.assertAtRest(a, 1);
	await world.assertAtRest(b, 3);
});

test('none free: 3 with -n, 124 with -t, another status with -E, and the command is not run', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	const holder = await world.holding(name);
	const start = performance.now();
	assertFails(await world.sem('run', name, '-n', '--', 'echo', 'run'), 3, notRun(name));
	assertFails(await world.sem('run', name, '-t', '100ms', '--', 'echo', 'run'), 124, '');
	assertFails(await world.sem('run', name, '-t', '0', '--', 'echo', 'run'), 124, '');
	assertFails(await world.sem('run', name, '-t', '700ms', '-E', '9', '--', 'echo', 'run'), 9, '');
	assert.ok(performance.now() - start >= 800);
	assert.equal(waitersOf(name), 0);
	assertDone(await holder.end());
	await world.assertAtRest(name, 1);
});

test('--conflict-status tells "taken" from a command that ends with 3, and -q says nothing', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	const three = ['--', 'sh', '-c', 'exit 3'];
	assertFails(await world.sem('run', name, '-n', '--conflict-status', '75', ...three), 3, '');
	const holder = await world.holding(name);
	assertFails(await world.sem('run', name, '-n', '--conflict-status', '75', ...three), 75, notRun(name));
	assertFails(await world.sem('run', name, '-nq', '--conflict-status=0', ...three), 0, '');
	assertFails(await world.sem('run', name, '-nq', ...three), 3, '');
	assertFails(
		await world.sem('run', name, '--conflict-status', '75', ...three),
		2,
		"ipc-sem: --conflict-status needs --nonblock\nTry 'ipc-sem run --help'.\n",
	);
	assertFails(await world.sem('run', name, '-n', '--conflict-status', '256', ...three), 2, /the maximum is 255/);
	assertDone(await holder.end());
});

test('a command that cannot be run is refused before the wait, and makes no semaphore', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(0);
	const none = world.name();
	writeFileSync(world.file('plain'), 'text');
	mkdirSync(world.file('folder'));
	for (const [file, status, why] of [
		['no-such-command', 127, 'not found'],
		['', 127, 'not found'],
		[world.file('none'), 127, 'not found'],
		[world.file('plain'), 126, 'permission denied'],
		[world.file('folder'), 126, 'permission denied'],
		[`${world.file('plain')}/x`, 126, 'part of the path is not a folder'],
	] as const)
		for (const words of [[name], [none, '--create']])
			assertFails(await world.sem('run', ...words, '--', file), status, `ipc-sem: cannot run '${file}': ${why}\n`);
	assertFails(await world.sem('value', none), 1, /no such semaphore/);
	// One that is not executable does not hide another one further on.
	const env = {PATH: `${world.scratch}:/nowhere:${process.env.PATH}`};
	writeFileSync(world.file('true'), 'text');
	assertFails(await world.run('ipc-sem', ['run', name, '-n', '--', 'true'], {env}), 3, notRun(name));
});

test('one that waits has the unit as soon as it is back, from a `run` as from a C program', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	const holder = await world.holding(name);
	const next = world.startSem('run', name, '--', 'echo', 'next');
	await untilWaiting(name);
	assertDone(await holder.end());
	assertDone(await next.end(), 'next\n');
	const stranger = await world.startStranger(['hold', name]).printed('took');
	const last = world.startSem('run', name, '--', 'echo', 'last');
	await untilWaiting(name);
	assertDone(await stranger.end(), 'took\n');
	assertDone(await last.end(), 'last\n');
	await world.assertAtRest(name, 1);
});

test('--verbose says whom it waits for and how long it took', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	const holder = await world.holding(name);
	const next = world.startSem('run', name, '-v', '--', 'true');
	await untilWaiting(name);
	assertDone(await holder.end());
	const {status, stderr} = await next.end();
	assert.equal(status, 0);
	assert.match(
		stderr,
		new RegExp(
			`^ipc-sem: waiting for '${name}': held by ${holder.pid} sh -c echo runs; read line; exit 0, for \\d+(ms|\\.\\ds)\nipc-sem: took a unit of '${name}' after \\d+(ms|\\.\\ds)\n$`,
		),
	);
});

test('--verbose says when it cannot know whom it waits for', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(0);
	const next = await world.sem('run', name, '-v', '-t', '50ms', '--', 'true');
	assertFails(next, 124, `ipc-sem: waiting for '${name}': no ipc-sem run holds a unit\n`);
});

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
	test(`${signal} while it waits ends it by that signal: nothing was taken, no process stays counted`, async (t) => {
		const world = new SemaphoreWorld(t);
		const name = await world.semaphore(0);
		const waiter = world.startSem('run', name, '--', 'echo', 'run');
		await untilWaiting(name);
		waiter.kill(signal);
		const ended = await waiter.end();
		assert.deepEqual([ended.signal, ended.stdout.toString(), ended.stderr], [signal, '', '']);
		await world.stranger('post', name);
		await world.assertAtRest(name, 1);
	});

	test(`${signal} while the command runs reaches it; after its end the unit is back and we end by that signal`, async (t) => {
		const world = new SemaphoreWorld(t);
		const name = await world.semaphore(1);
		const command = `trap 'kill $!; wait $!; echo cleaned; exit 5' ${signal.slice(3)}; sleep 100 & echo runs; wait`;
		const run = await world.startSem('run', name, '--', 'bash', '-c', command).printed('runs\n');
		run.kill(signal);
		const ended = await run.end();
		assert.deepEqual([ended.signal, ended.stdout.toString(), ended.stderr], [signal, 'runs\ncleaned\n', '']);
		await world.assertAtRest(name, 1);
	});
}

test('SIGTERM that the command does not listen to: the unit stays taken until it ends', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	const run = await world
		.startSem('run', name, '--', 'sh', '-c', 'trap "" TERM; echo runs; read line; exit 0')
		.printed('runs\n');
	run.kill('SIGTERM');
	assertFails(await world.sem('run', name, '-n', '--', 'true'), 3, notRun(name));
	const {signal} = await run.end();
	assert.equal(signal, 'SIGTERM');
	await world.assertAtRest(name, 1);
});

test('killed with its command: the next gets the unit, though no process released it', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	const holder = await world.holding(name);
	holder.killGroup();
	await holder.end();
	assert.equal(await world.value(name), 0);
	assert.deepEqual(
		(await world.holders(name)).map(({pid, state}) => [pid, state]),
		[[holder.pid, 'dead']],
	);
	assertDone(await world.sem('run', name, '-n', '--', 'echo', 'got it'), 'got it\n');
	await world.assertAtRest(name, 1);
});

for (const [what, words] of [
	['run', ['--', 'true']],
	['wait', []],
] as const)
	test(`killed while another \`${what}\` waits: that one gets the unit`, async (t) => {
		const world = new SemaphoreWorld(t);
		const name = await world.semaphore(1);
		const holder = await world.holding(name);
		const waiter = world.startSem(what, name, ...words);
		await untilWaiting(name);
		holder.killGroup();
		assertDone(await waiter.end(), '');
		await world.assertAtRest(name, what === 'run' ? 1 : 0);
	});

for (const look of ['wait', 'reap', 'batch'] as const)
	test(`what a dead one has left is given back by ${look}`, async (t) => {
		const world = new SemaphoreWorld(t);
		const name = await world.semaphore(2);
		const holders = [await world.holding(name), await world.holding(name)];
		for (const holder of holders) {
			holder.killGroup();
			await holder.end();
		}
		if (look === 'wait') assertDone(await world.sem('wait', name, '-n'), '');
		if (look === 'reap') assertDone(await world.sem('reap', name), `${name} 2\n`);
		if (look === 'batch') assertDone(await world.run('ipc-sem', ['batch'], {input: `wait ${name} 0\n`}), 'ok\n');
		await world.assertAtRest(name, look === 'reap' ? 2 : 1);
	});

test('only `run` is killed: the unit stays taken until the command ends, and the next process gets it then', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	const [log, fifo] = [world.file('log'), world.file('fifo')];
	const run = await world
		.startSem('run', name, '--', 'sh', '-c', `mkfifo ${fifo}; echo runs; read line <${fifo}`)
		.printed('runs\n');
	run.kill('SIGKILL');
	await until('it is dead', () => !isAlive(run.pid));
	const [holder] = await world.holders(name);
	assert.deepEqual([holder?.pid, holder?.state], [run.pid, 'left']);
	assertFails(await world.sem('run', name, '-n', '--', 'true'), 3, notRun(name));
	assertFails(await world.sem('wait', name, '-t', '600ms'), 124, '');
	assertDone(await world.sem('reap', name), '');
	const next = world.startSem('run', name, '-v', '--', peer('sem-peer'), 'work', log, '0');
	await untilWaiting(name);
	assert.match(
		(await world.sem('stat', name)).stdout.toString(),
		/; [0-9]+ has ended, a process that it started holds the unit\n/,
	);
	await world.shell(`echo >${fifo}`);
	assert.equal((await next.end()).status, 0);
	assert.match(next.errors, /has ended, a process that it started holds the unit\nipc-sem: took a unit/);
	await world.assertAtRest(name, 1);
});

test('what the command leaves running keeps the unit until it ends; `run` itself ends with the command', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	const fifo = world.file('fifo');
	const script = `mkfifo ${fifo}; sh -c 'exec >/dev/null 2>&1 3>&-; read line <${fifo}' & exit 6`;
	const {status, stderr} = await world.sem('run', name, '-v', '--', 'bash', '-c', script);
	assert.equal(status, 6);
	assert.match(stderr, /\nipc-sem: a process that 'bash' left running keeps the unit\n$/);
	assert.equal(await world.value(name), 0);
	assert.equal((await world.holders(name))[0]?.state, 'left');
	assertFails(await world.sem('run', name, '-n', '--', 'true'), 3, notRun(name));
	const next = world.startSem('run', name, '--', 'echo', 'next');
	await untilWaiting(name);
	await world.shell(`echo >${fifo}`);
	assertDone(await next.end(), 'next\n');
	await world.assertAtRest(name, 1);
});

test('one `run` inside another takes two units; a command that Node runs hands them on as well', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(3);
	const inner = ['ipc-sem', 'run', name, '--', 'node', '-e'];
	const script = `const {status} = require("child_process").spawnSync("ipc-sem", ["value", "${name}"], {stdio: "inherit"}); process.exit(status)`;
	assertDone(await world.sem('run', name, '--', ...inner, script), '1\n');
	await world.assertAtRest(name, 3);
});

test('six on two units: never more than two at once, and both at once', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(2);
	const log = world.file('log');
	// The first two wait for each other.
	const both = `${peer('sem-peer')} work ${log} 30; touch ${world.file('at')}.$$; until [ $(ls ${world.file('at')}.* | wc -l) -ge 2 ]; do sleep 0.01; done`;
	const runs = Array.from({length: 6}, () => world.startSem('run', name, '--', 'bash', '-c', both));
	for (const run of runs) assertDone(await run.end(), '');
	const text = readFileSync(log, 'utf8');
	assert.equal(text.split('\n').length, 13);
	assert.ok(mostInside(text) <= 2, text);
	await world.assertAtRest(name, 2);
});

test('a semaphore that is removed and made again while it is held: the unit goes back to its own, not to the new one', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	const holder = await world.holding(name);
	assertDone(await world.sem('rm', name), '');
	assertDone(await world.sem('create', name, '--value', '1'), '');
	assertDone(await holder.end());
	await world.assertAtRest(name, 1);
});

test('a semaphore that is removed while one waits: it has the unit of the removed one that comes back', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	const holder = await world.holding(name);
	const waiter = world.startSem('run', name, '--', 'echo', 'mine');
	await untilWaiting(name);
	assertDone(await world.sem('rm', name), '');
	holder.killGroup();
	assertDone(await waiter.end(), 'mine\n');
	assert.ok(!world.exists(name));
});

test('more holders than a page of the list has room for, each shown once, and no trace of them afterwards', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(40);
	const {Semaphore} = await import('../../src/objects/semaphore/semaphore.js');
	using semaphore = Semaphore.open(name);
	const holdings = Array.from({length: 40}, (_, i) => semaphore.hold({timeoutMs: 0, command: `number ${i}`}));
	assert.equal(semaphore.hold({timeoutMs: 0}), undefined);
	assert.deepEqual(
		(await world.holders(name)).map(({command, state}) => `${command} ${state}`),
		holdings.map((_, i) => `number ${i} held`),
	);
	for (const holding of holdings) assert.equal(holding?.letGo(), true);
	await world.assertAtRest(name, 40);
});

test('reap prints of which semaphores and how many units came back; nothing where nothing did', async (t) => {
	const world = new SemaphoreWorld(t);
	const [a, b, nope] = [await world.semaphore(2), await world.semaphore(1), world.name()];
	const holder = await world.holding(a);
	const dead = await world.holding(a);
	dead.killGroup();
	await dead.end();
	assertDone(await world.sem('reap', b), '');
	const all = await world.sem('reap', a, nope, b, '--json');
	assert.deepEqual(
		[all.status, all.stdout.toString(), all.stderr],
		[
			1,
			`{"name":"${a}","reaped":1}\n{"name":"${b}","reaped":0}\n`,
			`ipc-sem: cannot open '${nope}': no such semaphore (make it with: ipc-sem create ${nope})\n`,
		],
	);
	assert.equal(await world.value(a), 1);
	holder.killGroup();
	await holder.end();
	// Without names it would take the dead of other tests too, which look for them: limits.test.ts does that alone.
	assertDone(await world.sem('reap', a), `${a} 1\n`);
	await world.assertAtRest(a, 2);
});

test('SIGTERM and the unit at the same moment: whichever comes first, the signal ends both', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(0);
	for (let round = 0; round < 8; round++) {
		const run = world.startSem('run', name, '--', 'sleep', '1000');
		await untilWaiting(name);
		await world.shell(`kill -TERM ${run.pid} & ${peer('sem-peer')} post ${name}; wait`);
		assert.equal((await run.end()).signal, 'SIGTERM', `in round ${round}`);
		// The unit was given back, or never taken.
		assertDone(await world.sem('wait', name), '');
	}
	await world.assertAtRest(name, 0);
});

test('Ctrl-C at a terminal reaches the command once, and ends both; the unit is back', needs('script'), async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	const command = `trap "echo caught >>${world.file('caught')}; exit 3" INT; echo runs; while sleep 0.05; do :; done`;
	const line = `ipc-sem run ${name} -- bash -c '${command}'; echo "status $?"`;
	const terminal = await world.startOther('script', ['-qc', line, '/dev/null']).printed('runs');
	terminal.stdin.write('\x03');
	await terminal.end();
	assert.equal(readFileSync(world.file('caught'), 'utf8'), 'caught\n');
	await world.assertAtRest(name, 1);
});

test('one that is stopped (Ctrl-Z) keeps its unit, and goes on where it was', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	const holder = await world.holding(name);
	process.kill(-holder.pid, 'SIGSTOP');
	await until('it stands still', () => isStopped(holder.pid));
	assertFails(await world.sem('run', name, '-t', '600ms', '--', 'true'), 124, '');
	assert.equal((await world.holders(name))[0]?.state, 'held');
	process.kill(-holder.pid, 'SIGCONT');
	assertDone(await holder.end());
	await world.assertAtRest(name, 1);
});
