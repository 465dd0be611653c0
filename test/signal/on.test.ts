import assert from 'node:assert/strict';
import {readFileSync, writeFileSync} from 'node:fs';
import test from 'node:test';
import {isStopped} from '../support/proc.js';
import {rtmin, SignalWorld} from '../support/signals.js';
import {until} from '../support/until.js';
import {assertDone, assertFails} from '../support/world.js';

const uid = process.getuid?.() ?? 0;
const print = ['--', 'sh', '-c', 'echo "$IPC_SIGNAL $IPC_SENDER_UID $(printenv IPC_VALUE || echo none)"'];

test('a command for each signal, in order, told who and what', async (t) => {
	const world = new SignalWorld(t);
	const handler = await world.receiver('on', 'RTMIN', 'USR1', '--count', '5', ...print);
	handler.kill('SIGSTOP');
	await until('it is stopped', () => isStopped(handler.pid));
	await world.did('burst', handler.pid, rtmin, 4);
	const sender = await world.shell(`echo $$; kill -USR1 ${handler.pid}`);
	assert.equal(sender.status, 0);
	handler.kill('SIGCONT');
	assertDone(await handler.end(), `USR1 ${uid} none\n${[0, 1, 2, 3].map((n) => `RTMIN ${uid} ${n}\n`).join('')}`);
});

test('the sender is named by its pid, and an IPC_VALUE of ours is not passed on', async (t) => {
	const world = new SignalWorld(t);
	const handler = await world
		.start(
			'ipc-signal',
			[
				'on',
				'HUP',
				'-c',
				'1',
				'--ready-fd',
				'3',
				'--',
				'sh',
				'-c',
				'echo $IPC_SENDER_PID $(printenv IPC_VALUE || echo none)',
			],
			{
				env: {IPC_VALUE: '7'},
			},
		)
		.ready();
	const {stdout} = await world.shell(`echo $$; kill -HUP ${handler.pid}`);
	assertDone(await handler.end(), `${stdout.toString().trim()} none\n`);
});

test('signals that come while a command runs are kept; --jobs runs several at a time', async (t) => {
	const world = new SignalWorld(t);
	const command = `touch ${world.scratch}/at.$$; until [ $(ls ${world.scratch}/at.* | wc -l) = 3 ]; do sleep 0.01; done; echo $IPC_VALUE`;
	const handler = await world.receiver('on', 'RTMIN', '-c', '3', '-j', '3', '--', 'sh', '-c', command);
	await world.did('burst', handler.pid, rtmin, 3);
	const {status, stdout} = await handler.end();
	assert.deepEqual([status, stdout.toString().trim().split('\n').sort()], [0, ['0', '1', '2']]);
	const one = await world.receiver('on', 'USR1', '-c', '2', '--', 'sh', '-c', 'echo runs; read -r line; echo $line');
	await world.did('queue', one.pid, 10, 0);
	await one.printed('runs\n');
	// The first command runs still.
	await world.did('queue', one.pid, 10, 0);
	one.stdin.write('a\nb\n');
	assertDone(await one.end(), 'runs\na\nruns\nb\n');
});

test('a command that fails is reported, the next ones run, and the status tells', async (t) => {
	const world = new SignalWorld(t);
	const handler = await world.receiver(
		'on',
		'RTMIN',
		'-c',
		'3',
		'--',
		'sh',
		'-c',
		'test $IPC_VALUE != 1 && echo $IPC_VALUE',
	);
	await world.did('burst', handler.pid, rtmin, 3);
	const {status, stdout, stderr} = await handler.end();
	assert.deepEqual([status, stdout.toString(), stderr], [1, '0\n2\n', "ipc-signal: 'sh' exited with status 1\n"]);
});

test('a command that cannot be run ends it; what came is reported', async (t) => {
	const world = new SignalWorld(t);
	const script = world.file('script');
	writeFileSync(script, '#!/no/such/interpreter\n', {mode: 0o755});
	const handler = await world.receiver('on', 'USR1', '--', script);
	handler.kill('SIGUSR1');
	assertFails(
		await handler.end(),
		127,
		`ipc-signal: cannot run '${script}': the interpreter that it names was not found\nipc-signal: received 1 signal without running the command\n`,
	);
	// These are refused before a signal is awaited.
	for (const [program, status, why] of [
		['no-such-command', 127, 'not found'],
		['/etc/passwd', 126, 'permission denied'],
	] as const)
		assertFails(
			await world.signal('on', 'USR1', '--', program),
			status,
			`ipc-signal: cannot run '${program}': ${why}\n`,
		);
	assertFails(await world.signal('on', 'USR1'), 2, /the command to run is missing/);
	assertFails(await world.signal('on', '--', 'true'), 2, /SIGNAL is missing/);
});

test('TERM reaches the command that runs; then it ends us, and what was not run is reported', async (t) => {
	const world = new SignalWorld(t);
	const handler = await world.receiver(
		'on',
		'RTMIN',
		'--name',
		'x',
		'--',
		'bash',
		'-c',
		// What it leaves behind would keep our end of its stdout open.
		'trap "kill \\$!; echo told; exit 0" TERM; sleep 60 & echo runs; wait',
	);
	await world.did('burst', handler.pid, rtmin, 3);
	await handler.printed('runs\n');
	handler.kill();
	const {signal, stdout, stderr} = await handler.end();
	assert.deepEqual(
		[signal, stdout.toString(), stderr],
		['SIGTERM', 'runs\ntold\n', 'ipc-signal: received 2 signals without running the command\n'],
	);
	world.assertNothingLeft();
});

test('TERM and INT can be what is waited for', async (t) => {
	const world = new SignalWorld(t);
	const handler = await world.receiver('on', 'TERM', 'INT', '-c', '2', ...print);
	handler.kill('SIGTERM');
	await handler.printed('TERM');
	handler.kill('SIGINT');
	assertDone(await handler.end(), `TERM ${uid} none\nINT ${uid} none\n`);
});

test('CHLD from elsewhere is a signal, the end of a command is not', async (t) => {
	const world = new SignalWorld(t);
	const handler = await world.receiver('on', 'CHLD', 'USR1', '-c', '3', ...print);
	for (const [signal, text] of [
		['SIGUSR1', `USR1 ${uid} none\n`],
		['SIGCHLD', `CHLD ${uid} none\n`],
		['SIGUSR1', ''],
	] as const) {
		handler.kill(signal);
		await handler.printed(text);
		// While it has a child that ends, the kernel may merge that signal with ours.
		await until('its command has ended', () => childrenOf(handler.pid) === '');
	}
	assertDone(await handler.end(), `USR1 ${uid} none\nCHLD ${uid} none\nUSR1 ${uid} none\n`);
});

/** None once it has ended itself. */
function childrenOf(pid: number): string {
	try {
		return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
	} catch {
		return '';
	}
}

test('nothing came in time: 124', async (t) => {
	const world = new SignalWorld(t);
	assertFails(await world.signal('on', 'USR1', '-t', '30ms', '--', 'true'), 124, '');
});
