import assert from 'node:assert/strict';
import {mkdirSync, statSync, symlinkSync} from 'node:fs';
import test from 'node:test';
import {isStopped} from '../support/proc.js';
import {peer} from '../support/run.js';
import {onlyOnNode, runtime} from '../support/runtime.js';
import {until} from '../support/until.js';
import {assertDone, assertFails, World} from '../support/world.js';

// Each of these went wrong once.

test('SIGUSR1 ends us as it ends any program, and opens no debugger', async (t) => {
	const world = new World(t);
	for (const words of [
		['recv', 'x', '--ready-fd', '3'],
		['wait', 'x', '--reader', '--ready-fd', '3'],
	]) {
		const running = await world.start('ipc-pipe', words).ready();
		running.kill('SIGUSR1');
		const {signal, stderr} = await running.end();
		assert.deepEqual({signal, stderr}, {signal: 'SIGUSR1', stderr: ''});
	}
});

test('recv -n leaves a sender that waits alone', async (t) => {
	const world = new World(t);
	await world.pipe('create', 'x');
	const sender = world.start('ipc-pipe', ['send', 'x'], {input: 'hello\n'});
	assertDone(await world.pipe('wait', 'x', '--writer'), '');
	assertFails(await world.pipe('recv', 'x', '-n'), 3, '');
	assertDone(await world.pipe('recv', 'x'), 'hello\n');
	assertDone(await sender.end());
});

test('another receiver that does not release the lock is waited for no longer than -t and -n say', async (t) => {
	const world = new World(t);
	await world.pipe('create', 'x');
	const first = await world.start('ipc-pipe', ['recv', 'x', '--framing', 'lines', '--ready-fd', '3']).ready();
	const writer = await world.startOther(peer('fifo-peer'), ['write', world.path('x')]).printed('open');
	writer.stdin.write('w 5\n');
	await first.printed('xxxxx');
	// Inside a record the first one keeps the lock; the next bytes belong to it.
	first.kill('SIGSTOP');
	await until('it has stopped', () => isStopped(first.pid));
	writer.stdin.write('w 5\n');
	await until(
		'there is something',
		async () => JSON.parse((await world.pipe('stat', 'x', '--json')).stdout.toString()).queued >= 5,
	);
	assertFails(await world.pipe('recv', 'x', '--framing', 'lines', '-n'), 3, '');
	assertFails(await world.pipe('recv', 'x', '--framing', 'lines', '-t', '50ms'), 124, '');
	first.kill('SIGCONT');
	await writer.end();
	assertDone(await first.end(), 'xxxxxxxxxx\n');
});

test("--ready-fd does not write into Node's own descriptors", onlyOnNode, async (t) => {
	const world = new World(t);
	for (let descriptor = 4; descriptor < 18; descriptor++) {
		const ended = await world.pipe('recv', 'x', '-n', '--ready-fd', String(descriptor));
		assertFails(
			ended,
			1,
			/^ipc-pipe: cannot write to descriptor [0-9]+ \(--ready-fd\): (it is not open(, or not for writing)?|invalid argument)\n$/,
		);
	}
	world.assertNothingLeft();
});

test('descriptors used up: one line, the right status, and nothing is left', async (t) => {
	const world = new World(t);
	const tee = await world.shell(`ulimit -n ${runtime === 'node' ? 24 : 10}; ipc-pipe tee -t .1 a b c d e f g h`);
	assertFails(tee, 1, /^ipc-pipe: .*too many open files in this process .*\n$/);
	world.assertNothingLeft();
	const run = await world.shell("ulimit -n 22; ipc-pipe run --stats -- true '|' true '|' true '|' true");
	assert.equal(run.status, 125);
	assert.match(run.stderr, /^ipc-pipe: .*too many open files.*\n$/);
});

test('bytes that are no UTF-8 are refused where they would be changed', async (t) => {
	const world = new World(t);
	const receiver = world.start('ipc-pipe', ['recv', 'x']);
	assertFails(
		await world.run('ipc-pipe', ['send', 'x', '--json'], {input: Buffer.from('{"data":"\xff"}\n', 'latin1')}),
		1,
		'ipc-pipe: cannot send record 1 of stdin: it is not valid UTF-8, as JSON must be (0 records sent)\n',
	);
	assertDone(await receiver.end(), '');
	assertFails(await world.shell("ipc-pipe run -- printf %s $'a\\xffb'"), 2, /the command line is not valid UTF-8/);
	assertDone(await world.shell("ipc-pipe run -- printf %s 'a\ufffdb'"), 'a\ufffdb');
});

test('create -x does not make a temporary FIFO permanent', async (t) => {
	const world = new World(t);
	const receiver = await world.start('ipc-pipe', ['recv', 'x', '--ready-fd', '3']).ready();
	assertFails(await world.pipe('create', '-x', 'x'), 1, "ipc-pipe: cannot create 'x': it already exists\n");
	assert.ok(statSync(world.path('x')).mode & 0o1000);
	receiver.kill();
	await receiver.end();
	world.assertNothingLeft();
});

test('a slash behind a runtime folder that is a link does not hide the link', async (t) => {
	const world = new World(t);
	mkdirSync(world.file('elsewhere'), {mode: 0o700});
	symlinkSync(world.file('elsewhere'), world.folder);
	assertFails(
		await world.run('ipc-pipe', ['list'], {env: {IPC_RUNTIME_DIR: `${world.folder}/`}}),
		1,
		/it is a symbolic link/,
	);
	symlinkSync('nowhere', world.file('dangling'));
	assertFails(
		await world.run('ipc-pipe', ['list'], {env: {IPC_RUNTIME_DIR: world.file('dangling')}}),
		1,
		/it is a symbolic link/,
	);
});

test('create says that a link to nothing is in its way', async (t) => {
	const world = new World(t);
	const link = world.file('dangling');
	symlinkSync('nowhere', link);
	assertFails(await world.pipe('create', link), 1, `ipc-pipe: '${link}' is a symbolic link, not a FIFO\n`);
});

test('a runtime folder with an impossible name is explained', async (t) => {
	const world = new World(t);
	assertFails(
		await world.run('ipc-pipe', ['list'], {env: {IPC_RUNTIME_DIR: `/${'x'.repeat(300)}`}}),
		1,
		/cannot open the runtime folder '\/x+': the name is too long\n$/,
	);
});

test('a folder that has been removed is as good as any', async (t) => {
	const world = new World(t);
	assertDone(await world.shell('mkdir d; cd d; rmdir ../d; ipc-pipe run -- echo hi', {cwd: world.scratch}), 'hi\n');
});

test('an empty command is not found, and stdin that cannot be read is reported', async (t) => {
	const world = new World(t);
	assertFails(await world.pipe('run', '--', ''), 127, "ipc-pipe: cannot run '': not found\n");
	assertFails(
		await world.shell('ipc-pipe send x 0>/dev/null'),
		1,
		'ipc-pipe: cannot read stdin: it is not open for reading\n',
	);
	world.assertNothingLeft();
});

test('the size that one side asked for is not changed by the other', async (t) => {
	const world = new World(t);
	const receiver = await world.start('ipc-pipe', ['recv', 'x', '--size', '8K', '--ready-fd', '3']).ready();
	const sender = world.start('ipc-pipe', ['send', 'x']);
	sender.stdin.write('hello');
	await receiver.printed('hello');
	assert.equal(JSON.parse((await world.pipe('stat', 'x', '--json')).stdout.toString()).capacity, 8192);
	await sender.end();
	assertDone(await receiver.end(), 'hello');
});

test('watch notices that its reader has gone, though nothing changes', async (t) => {
	const world = new World(t);
	await world.pipe('create', 'x');
	assertDone(
		await world.shell('(ipc-pipe watch x -i 20ms; echo $? >&2) 2>status | head -c 1; cat status', {cwd: world.scratch}),
		'{141\n',
	);
});
