import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import test from 'node:test';
import {QueueWorld} from '../support/queues.js';
import {assertDone, assertFails} from '../support/world.js';

/** A queue with one message, `precious`, of priority 7. */
async function withMessage(world: QueueWorld): Promise<string> {
	const name = await world.queue();
	assertDone(await world.mq('send', name, 'precious', '-p', '7'), '');
	return name;
}

const isBack = async (world: QueueWorld, name: string) =>
	assert.equal(await world.stranger('recv', name), '7 8 precious\n');

test('the command gets the message on stdin, with its priority and its queue in the environment', async (t) => {
	const world = new QueueWorld(t);
	const name = await withMessage(world);
	assertDone(
		await world.mq('recv', name, '--', 'sh', '-c', 'printf "%s %s %s" "$(cat)" "$IPC_PRIORITY" "$IPC_QUEUE"'),
		`precious 7 ${name}`,
	);
	assert.equal(await world.level(name), 0);
});

test('the command gets any bytes as they are, and none for an empty message', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	const input = Buffer.from(Array.from({length: 256}, (_, i) => i));
	await world.run('ipc-mq', ['send', name, '--raw'], {input});
	assertDone(await world.mq('recv', name, '--', 'cat'), input);
	await world.mq('send', name, '');
	assertDone(await world.mq('recv', name, '--', 'wc', '-c'), '0\n');
});

test('a command that reads nothing has done its work all the same', async (t) => {
	const world = new QueueWorld(t);
	const name = await withMessage(world);
	assertDone(await world.mq('recv', name, '--', 'true'), '');
	assert.equal(await world.level(name), 0);
});

test('a command that a real-time signal ends has failed: Node takes it for one that succeeded', async (t) => {
	const world = new QueueWorld(t);
	const name = await withMessage(world);
	assertFails(
		await world.mq('recv', name, '--', 'bash', '-c', 'kill -RTMAX $$'),
		1,
		`ipc-mq: 'bash' was killed by SIGRTMAX: returned the message to '${name}' (message 1, priority 7: 'precious')\n`,
	);
	await isBack(world, name);
	const ends = '64 65 66 67 68 69 70 71'.split(' ');
	await world.run('ipc-mq', ['send', name], {input: `${ends.join('\n')}\n`});
	const failed = world.name();
	const words = [
		'--all',
		'--jobs',
		'8',
		'--dead-letter',
		failed,
		'--',
		'bash',
		'-c',
		'read n; kill -$((n % 31 + 33)) $$',
	];
	assert.equal((await world.mq('recv', name, ...words)).status, 0);
	assert.deepEqual(await world.sortedLines(failed), ends);
});

test('--all runs it for each message that is there, --count for N', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	await world.mq('send', name, 'a', 'b', 'c', 'd');
	assertDone(await world.mq('recv', name, '--count', '2', '--', 'cat'), 'ab');
	assertDone(await world.mq('recv', name, '--all', '--', 'cat'), 'cd');
	assertDone(await world.mq('recv', name, '--all', '--', 'cat'), '');
});

test('no message: 3 with -n, 124 with -t, and the command is not run', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	assertFails(await world.mq('recv', name, '-n', '--', 'echo', 'run'), 3, '');
	assertFails(await world.mq('recv', name, '-t', '50ms', '--', 'echo', 'run'), 124, '');
});

test('a failed message is tried again as often as --retry says, and then is back', async (t) => {
	const world = new QueueWorld(t);
	const name = await withMessage(world);
	assertFails(
		await world.mq('recv', name, '--follow', '--retry', '2', '--', 'sh', '-c', `cat >>${world.file('tries')}; exit 5`),
		1,
		`ipc-mq: 'sh' exited with status 5: returned the message to '${name}' (message 1, priority 7: 'precious')\n`,
	);
	assert.equal(readFileSync(world.file('tries'), 'utf8'), 'precious'.repeat(3));
	await isBack(world, name);
});

test('a message that succeeds at the second try is done', async (t) => {
	const world = new QueueWorld(t);
	const name = await withMessage(world);
	const tries = world.file('tries');
	assertDone(
		await world.mq('recv', name, '--retry', '5', '--', 'sh', '-c', `echo x >>${tries}; test $(wc -l <${tries}) = 2`),
		'',
	);
	assert.equal(await world.level(name), 0);
});

test('without --retry and --dead-letter a failure puts the message back and stops the worker', async (t) => {
	const world = new QueueWorld(t);
	const name = await withMessage(world);
	await world.mq('send', name, 'later');
	assertFails(
		await world.mq('recv', name, '--follow', '--', 'false'),
		1,
		`ipc-mq: 'false' exited with status 1: returned the message to '${name}' (message 1, priority 7: 'precious')\n`,
	);
	await isBack(world, name);
	assert.equal(await world.stranger('recv', name), '0 5 later\n');
});

test('--dead-letter gets what failed for good, with its priority, and the worker goes on', async (t) => {
	const world = new QueueWorld(t);
	const [name, dead] = [await withMessage(world), world.name()];
	await world.mq('send', name, 'good');
	const {status, stdout, stderr} = await world.mq(
		...['recv', name, '--all', '--dead-letter', dead, '--', 'grep', 'good'],
	);
	assert.deepEqual(
		[status, stdout.toString(), stderr],
		[
			0,
			'good\n',
			`ipc-mq: 'grep' exited with status 1: moved the message to '${dead}' (message 1, priority 7: 'precious')\n`,
		],
	);
	assert.equal(await world.stranger('attributes', dead), '10 256 1\n');
	await isBack(world, dead);
	assert.equal(await world.level(name), 0);
});

test('a dead-letter queue that is full, or takes less: the message is back in its own', async (t) => {
	const world = new QueueWorld(t);
	const [name, full, narrow] = [
		await withMessage(world),
		await world.queue('--maxmsg', '1'),
		await world.queue('--msgsize', '3'),
	];
	await world.mq('send', full, 'x');
	const wentBack = `ipc-mq: 'false' exited with status 1: returned the message to '${name}' (message 1, priority 7: 'precious')\n`;
	assertFails(
		await world.mq('recv', name, '--dead-letter', full, '--', 'false'),
		1,
		`ipc-mq: cannot send to '${full}': the queue is full\n${wentBack}`,
	);
	const ended = await world.mq('recv', name, '--dead-letter', narrow, '--', 'false');
	assertFails(
		ended,
		1,
		new RegExp(
			`^ipc-mq: cannot send to '${narrow}': the message has 8 bytes and the queue takes 3 .*\n${wentBack.replace(/[()]/g, '\\$&')}$`,
		),
	);
	await isBack(world, name);
});

test('--jobs 3 runs three at the same time', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	await world.mq('send', name, 'a', 'b', 'c');
	// Each waits until all three are there.
	const command = `touch ${world.scratch}/at.$$; until [ $(ls ${world.scratch}/at.* | wc -l) = 3 ]; do sleep 0.01; done; printf "%s\\n" "$(cat)"`;
	const {status, stdout, stderr} = await world.mq(
		'recv',
		name,
		'--count',
		'3',
		'--jobs',
		'3',
		'--',
		'sh',
		'-c',
		command,
	);
	assert.deepEqual([status, stderr], [0, '']);
	assert.deepEqual(stdout.toString().trim().split('\n').sort(), ['a', 'b', 'c']);
});

test('--jobs 3: one fails, the others finish theirs, and only the failed message is back', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	await world.mq('send', name, 'good', 'bad', 'fine');
	const command = `read line; touch ${world.scratch}/at.$$; until [ $(ls ${world.scratch}/at.* | wc -l) = 3 ]; do sleep 0.01; done; test $line != bad`;
	assertFails(
		await world.mq(
			'recv',
			name,
			'--count',
			'3',
			'--jobs',
			'3',
			'--',
			'bash',
			'-c',
			command.replace('read line', 'read line || true'),
		),
		1,
		new RegExp(
			`^ipc-mq: 'bash' exited with status 1: returned the message to '${name}' \\(message \\d, priority 0: 'bad'\\)\n$`,
		),
	);
	assert.equal(await world.stranger('recv', name), '0 3 bad\n');
	assert.equal(await world.level(name), 0);
});

for (const [end, status] of [
	['fails', 1],
	['succeeds', 0],
] as const) {
	test(`SIGTERM while the command runs reaches it; the command ${end}, so the message is ${status ? 'back' : 'done'}`, async (t) => {
		const world = new QueueWorld(t);
		const name = await withMessage(world);
		await world.mq('send', name, 'later');
		const worker = await world
			.start('ipc-mq', [
				'recv',
				name,
				'--follow',
				'--',
				'bash',
				'-c',
				`trap 'kill $!; exit ${status}' TERM; sleep 100 & echo runs; wait`,
			])
			.printed('runs\n');
		worker.kill();
		const {signal, stdout, stderr} = await worker.end();
		assert.deepEqual([signal, stdout.toString(), stderr], ['SIGTERM', 'runs\n', '']);
		if (status) await isBack(world, name);
		assert.equal(await world.stranger('recv', name), '0 5 later\n');
		assert.equal(await world.level(name), 0);
	});
}

test('SIGTERM while no message is there ends by that signal', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	// It has printed before it has ended, and a command that TERM ends has failed: this one does not listen to it.
	const command = ['sh', '-c', 'trap "" TERM; cat'];
	const worker = await world.start('ipc-mq', ['recv', name, '--follow', '--ready-fd', '3', '--', ...command]).ready();
	await world.mq('send', name, 'a');
	await worker.printed('a');
	worker.kill();
	const {signal, stderr} = await worker.end();
	assert.deepEqual({signal, stderr}, {signal: 'SIGTERM', stderr: ''});
	await world.mq('send', name, 'b');
	assert.equal(await world.stranger('recv', name), '0 1 b\n');
});

test('a command that is not found, or cannot be run, costs no message', async (t) => {
	const world = new QueueWorld(t);
	const name = await withMessage(world);
	assertFails(
		await world.mq('recv', name, '--', 'no-such-command'),
		127,
		`ipc-mq: cannot run 'no-such-command': not found\n`,
	);
	assertFails(
		await world.mq('recv', name, '--', '/etc/passwd'),
		126,
		`ipc-mq: cannot run '/etc/passwd': permission denied\n`,
	);
	await isBack(world, name);
});

test('a failure shows which message it was: its number, its priority, how it begins', async (t) => {
	const world = new QueueWorld(t);
	const [name, dead] = [await world.queue(), await world.queue()];
	const input = Buffer.from(`one\n${'ä'.repeat(41)}\n\x1b[2J\xff\n`, 'utf8');
	await world.run('ipc-mq', ['send', name], {input});
	const {status, stderr} = await world.mq('recv', name, '--all', '--dead-letter', dead, '--', 'false');
	const moved = (which: string) =>
		`ipc-mq: 'false' exited with status 1: moved the message to '${dead}' (message ${which})\n`;
	assert.deepEqual(
		[status, stderr],
		[
			0,
			moved("1, priority 0: 'one'") +
				moved(`2, priority 0: '${'ä'.repeat(40)}' ...`) +
				moved("3, priority 0: '\\e[2Jÿ'"),
		],
	);
});

test('a command that a signal ends has failed', async (t) => {
	const world = new QueueWorld(t);
	const name = await withMessage(world);
	assertFails(
		await world.mq('recv', name, '--', 'sh', '-c', 'kill -9 $$'),
		1,
		`ipc-mq: 'sh' was killed by SIGKILL: returned the message to '${name}' (message 1, priority 7: 'precious')\n`,
	);
	await isBack(world, name);
});

test('no queue to work on: we failed ourselves', async (t) => {
	const world = new QueueWorld(t);
	const nope = world.name();
	assertFails(
		await world.mq('recv', nope, '--', 'cat'),
		125,
		`ipc-mq: cannot open '${nope}': no such queue (make it with: ipc-mq create ${nope})\n`,
	);
});
