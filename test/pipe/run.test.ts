import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import test from 'node:test';
import {isAlive} from '../support/proc.js';
import {until} from '../support/until.js';
import {assertDone, assertFails, World} from '../support/world.js';

test('commands joined by pipes, without a shell', async (t) => {
	const world = new World(t);
	assertDone(
		await world.pipe('run', '--', 'printf', 'b\\na\\nb\\n', '|', 'sort', '|', 'uniq', '-c'),
		'      1 a\n      2 b\n',
	);
	assertDone(await world.pipe('run', 'echo', '$HOME *'), '$HOME *\n');
	assertDone(await world.run('ipc-pipe', ['run', 'cat', '|', 'tr', 'a-z', 'A-Z'], {input: 'stdin\n'}), 'STDIN\n');
	assertDone(await world.pipe('run', 'printf', '%s', '\\|'), '|');
});

for (const [title, words, status] of [
	['the last failure counts, as with pipefail', ['sh', '-c', 'exit 3', '|', 'sh', '-c', 'cat; exit 4', '|', 'cat'], 4],
	['without pipefail the last command alone', ['--no-pipefail', '--', 'sh', '-c', 'exit 3', '|', 'cat'], 0],
	['a signal is 128 and its number', ['sh', '-c', 'kill -KILL $$'], 137],
	['a real-time signal too, of which Node knows nothing', ['bash', '-c', 'kill -RTMIN+3 $$', '|', 'cat'], 165],
	["a status of 124 is the command's own", ['sh', '-c', 'exit 124'], 124],
] as const) {
	test(title, async (t) => {
		const world = new World(t);
		assertFails(await world.pipe('run', ...words), status, status === 0 ? '' : '');
	});
}

test('a stage whose reader has enough ends by SIGPIPE', async (t) => {
	const world = new World(t);
	const {status, stdout} = await world.pipe('run', 'yes', '|', 'head', '-1');
	assert.deepEqual({status, stdout: stdout.toString()}, {status: 141, stdout: 'y\n'});
});

test('not found is 127, not runnable 126', async (t) => {
	const world = new World(t);
	assertFails(
		await world.pipe('run', 'no-such-command', '|', 'cat'),
		127,
		"ipc-pipe: cannot run 'no-such-command': not found\n",
	);
	assertFails(await world.pipe('run', '/etc/passwd'), 126, "ipc-pipe: cannot run '/etc/passwd': permission denied\n");
});

test('an empty stage, or none at all, is a mistake', async (t) => {
	const world = new World(t);
	assertFails(
		await world.pipe('run', 'a', '|', '|', 'b'),
		2,
		"ipc-pipe: command 2 of the pipeline is empty\nTry 'ipc-pipe run --help'.\n",
	);
	assertFails(await world.pipe('run', 'a', '|'), 2, /command 2 of the pipeline is empty/);
	assertFails(await world.pipe('run'), 2, /the command to run is missing/);
	assertFails(await world.pipe('run', '--'), 2, /the command to run is missing/);
});

test('--json tells pids, statuses, times and the bytes that crossed each link, on stderr', async (t) => {
	const world = new World(t);
	const {status, stdout, stderr} = await world.pipe(
		'run',
		'--json',
		'--',
		'head',
		'-c',
		'5000000',
		'/dev/zero',
		'|',
		'cat',
		'|',
		'head',
		'-c',
		'10',
	);
	assert.equal(stdout.length, 10);
	const report = JSON.parse(stderr);
	assert.deepEqual(Object.keys(report), ['stages', 'links', 'status']);
	assert.equal(report.status, status);
	assert.deepEqual(Object.keys(report.stages[0]), ['command', 'pid', 'status', 'signal', 'wallMs']);
	assert.deepEqual(report.stages[2].status, 0);
	assert.equal(report.links.length, 2);
	const exact = await world.pipe(
		'run',
		'--json',
		'--',
		'head',
		'-c',
		'5000000',
		'/dev/zero',
		'|',
		'cat',
		'|',
		'wc',
		'-c',
	);
	assert.equal(exact.stdout.toString(), '5000000\n');
	assert.deepEqual(JSON.parse(exact.stderr).links, [5_000_000, 5_000_000]);
});

test('--stats is a table on stderr', async (t) => {
	const world = new World(t);
	const {stderr} = await world.pipe('run', '--stats', 'echo', 'hello', '|', 'cat');
	assert.match(
		stderr,
		/^STAGE +PID +STATUS +TIME +OUT +COMMAND\n +1 +[0-9]+ +0 +[0-9.]+m?s +6 +echo hello\n +2 +[0-9]+ +0 +[0-9.]+m?s +- +cat\n$/,
	);
});

test('--timeout ends all of it, with what it has started: 124', async (t) => {
	const world = new World(t);
	const ended = await world.pipe(
		'run',
		'-t',
		'300ms',
		'--',
		'sleep',
		'1000',
		'|',
		'sh',
		'-c',
		'sleep 1001 & echo $! >&2; cat',
	);
	assert.equal(ended.status, 124);
	await until('the grandchild is gone', () => !isAlive(Number(ended.stderr)));
});

test('--timeout kills what does not listen to TERM', async (t) => {
	const world = new World(t);
	const ended = await world.pipe(
		'run',
		'-t',
		'100ms',
		'-E',
		'9',
		'--',
		'sh',
		'-c',
		'trap "" TERM; while :; do sleep 0.05; done',
	);
	assert.equal(ended.status, 9);
});

test('TERM is passed on to the commands, and ends us once they have ended', async (t) => {
	const world = new World(t);
	const pipeline = await world
		.start('ipc-pipe', ['run', 'sh', '-c', "trap 'echo cleaned; exit 0' TERM; echo on; while :; do sleep 0.02; done"])
		.printed('on\n');
	pipeline.kill('SIGTERM');
	const {signal, stdout} = await pipeline.end();
	assert.deepEqual({signal, stdout: stdout.toString()}, {signal: 'SIGTERM', stdout: 'on\ncleaned\n'});
});

test('the commands inherit nothing but the standard streams', async (t) => {
	const world = new World(t);
	const {stdout} = await world.pipe('run', '--stats', '--', 'ls', '/proc/self/fd', '|', 'cat');
	const descriptors = stdout
		.toString()
		.trimEnd()
		.split('\n')
		.map(Number)
		.filter((number) => number > 2);
	// ls has the folder itself open, and the test gives descriptor 3 to the process it starts.
	assert.ok(descriptors.length <= 2, stdout.toString());
	assert.ok(readFileSync('/proc/self/stat'));
});
