import assert from 'node:assert/strict';
import test from 'node:test';
import {isStopped, processes} from '../support/proc.js';
import {runtime} from '../support/runtime.js';
import {rtmin, SignalWorld} from '../support/signals.js';
import {until} from '../support/until.js';
import {assertDone, assertFails} from '../support/world.js';

const shown = async (world: SignalWorld, pid: number, ...words: string[]) =>
	JSON.parse((await world.signal('show', String(pid), '--json', ...words)).stdout.toString());

test('show: pending, blocked, ignored, caught by name, and what TERM would do', async (t) => {
	const world = new SignalWorld(t);
	const holder = await world.stranger('hold', rtmin + 4);
	await world.did('queue', holder.pid, rtmin + 4, 1);
	const status = await shown(world, holder.pid);
	assert.deepEqual(
		[status.pid, status.command, status.pending, status.blocked, status.ignored, status.caught, status.onTerm],
		[holder.pid, 'signal-peer', ['RTMIN+4'], ['RTMIN+4'], [], [], 'ends'],
	);
	assert.ok(status.queued >= 1 && status.queueLimit > status.queued);
	const {stdout} = await world.signal('show', String(holder.pid));
	assert.match(
		stdout.toString(),
		/^process: [0-9]+ signal-peer\npending: RTMIN\+4\nblocked: RTMIN\+4\nignored: none\ncaught: +none\nqueued: +[0-9]+ of [0-9]+, .*\nTERM: +would end the process\n$/,
	);
});

test('show @NAME: the process that has that name', async (t) => {
	const world = new SignalWorld(t);
	const receiver = await world.receiver('wait', 'RTMIN', '--name', 'events');
	const {status, stdout} = await world.signal('show', '@events', '--json');
	assert.deepEqual([status, JSON.parse(stdout.toString()).pid], [0, receiver.pid]);
	receiver.kill();
	await receiver.closed;
	assertFails(
		await world.signal('show', '@events'),
		1,
		"ipc-signal: cannot show @events: no process is registered as '@events'\n",
	);
	assertFails(await world.signal('show', '@a/b'), 2, /'\/' is not allowed/);
});

const tells = (what: string, expected: string, prepare: (world: SignalWorld) => Promise<number>) =>
	test(`what TERM would do to ${what}: ${expected}`, async (t) => {
		const world = new SignalWorld(t);
		assert.equal((await shown(world, await prepare(world))).onTerm, expected);
	});
tells('who ignores it', 'ignored', async (world) => (await world.stranger('ignore', 15)).pid);
tells('who catches it', 'caught', async (world) => (await world.stranger('stop', 15)).pid);
tells('who blocks it', 'blocked', async (world) => (await world.stranger('hold', 15)).pid);
tells('who is stopped', 'stopped', async (world) => {
	const sleeper = world.sleeper();
	process.kill(sleeper.pid, 'SIGSTOP');
	await until('it is stopped', () => isStopped(sleeper.pid));
	return sleeper.pid;
});
tells('a zombie', 'zombie', async (world) => {
	// It ends once its parent has become a program that takes the end of no child.
	const child = 'while ! grep -qx sleep /proc/$$/comm; do :; done';
	const parent = await world.startOther('bash', ['-c', `{ ${child}; } & echo $!; exec sleep 60`]).printed('\n');
	const pid = Number(parent.output.toString());
	await until('it is a zombie', async () => / Z /.test((await world.shell(`cat /proc/${pid}/stat`)).stdout.toString()));
	return pid;
});
const kernelThread = processes().find(({name}) => name === 'kthreadd')?.pid ?? 0;
test(
	'what TERM would do to a thread of the kernel: nothing',
	{skip: kernelThread ? false : 'none can be seen here'},
	async (t) => assert.equal((await shown(new SignalWorld(t), kernelThread)).onTerm, 'kernel-thread'),
);

test('show --threads: each by itself; a process that is not there', async (t) => {
	const world = new SignalWorld(t);
	const receiver = await world.receiver('wait', 'USR1', 'RTMIN');
	const {threads, blocked} = await shown(world, receiver.pid, '--threads');
	assert.ok(threads.length > (runtime === 'node' ? 2 : 0) && threads[0].tid === receiver.pid);
	assert.ok(threads.every((one: {blocked: string[]}) => one.blocked.includes('USR1') && one.blocked.includes('RTMIN')));
	assert.deepEqual(blocked, ['USR1', 'RTMIN']);
	const both = await world.signal('show', '4194304', String(receiver.pid), '--json');
	assert.deepEqual([both.status, both.stderr], [1, 'ipc-signal: cannot show 4194304: no such process\n']);
	assert.equal(JSON.parse(both.stdout.toString()).pid, receiver.pid);
	if (runtime === 'node')
		assertFails(
			await world.signal('show', String(threads.at(-1).tid)),
			1,
			new RegExp(`cannot show [0-9]+: it is a thread, of process ${receiver.pid} `),
		);
	assertFails(await world.signal('show', 'x'), 2, /'x' is not a number: only digits are expected/);
});

test("list converts both ways, statuses too, as the shell's kill does", async (t) => {
	const world = new SignalWorld(t);
	assertDone(
		await world.signal('list', '9', 'KILL', '137', 'SIGTERM', 'RTMIN+3', '64', 'iot'),
		'KILL\n9\nKILL\n15\n37\nRTMAX\n6\n',
	);
	const numbers = Array.from({length: 64}, (_, i) => i + 1).filter((number) => number < 32 || number > 33);
	const {stdout} = await world.shell(`for n in ${numbers.join(' ')}; do kill -l $n; done`);
	assertDone(await world.signal('list', ...numbers.map(String)), stdout);
	assertFails(await world.signal('list', '0'), 2, /'0' is not a signal: the lowest is 1/);
	assertFails(await world.signal('list', '200'), 2, /'200' is neither a signal, 1 to 64, nor a status, 129 to 192/);
});

test('list as a table and as JSON', async (t) => {
	const world = new SignalWorld(t);
	const {stdout} = await world.signal('list');
	assert.match(stdout.toString(), /^NUMBER {2}NAME +ACTION +DESCRIPTION\n {5}1 {2}HUP +terminate +/);
	assert.equal(stdout.toString().split('\n').length, 1 + 62 + 1);
	assertDone(
		await world.signal('list', '-o', 'name,action', '--no-headings', 'CHLD', '131'),
		'CHLD  ignore\nQUIT  core\n',
	);
	const rows = (await world.signal('list', '--json')).stdout
		.toString()
		.split('\n')
		.slice(0, -1)
		.map((line) => JSON.parse(line));
	assert.deepEqual(Object.keys(rows[0]), ['number', 'name', 'action', 'description']);
	assertFails(await world.signal('list', '-o', 'nam'), 2, /unknown column 'nam'/);
});
