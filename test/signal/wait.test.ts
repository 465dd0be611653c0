import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import test from 'node:test';
import {needs} from '../support/needs.js';
import {isStopped, sleepsIn} from '../support/proc.js';
import {runtime} from '../support/runtime.js';
import {blockedByThreads, queueLimit, rtmin, SignalWorld} from '../support/signals.js';
import {until} from '../support/until.js';
import {assertDone, assertFails} from '../support/world.js';

const python = needs('python3');
const uid = process.getuid?.() ?? 0;

test("a C program's sigqueue arrives with its pid, uid and value", async (t) => {
	const world = new SignalWorld(t);
	const receiver = await world.receiver('wait', 'RTMIN+2', '--json');
	const sender = world.startOther('bash', [
		'-c',
		`echo $$; exec dist/test/peers/signal-peer queue ${receiver.pid} ${rtmin + 2} -77`,
	]);
	const {stdout} = await sender.end();
	const ended = await receiver.end();
	assertDone(ended);
	assert.deepEqual(JSON.parse(ended.stdout.toString()), {
		signal: 'RTMIN+2',
		pid: Number(stdout),
		uid,
		value: -77,
		code: 'QUEUE',
	});
});

test("a shell's kill arrives too, without a value", async (t) => {
	const world = new SignalWorld(t);
	const receiver = await world.receiver('wait', 'SIGUSR1', '10', 'usr2');
	const {stdout} = await world.shell(`echo $$; kill -USR2 ${receiver.pid}`);
	assertDone(await receiver.end(), `USR2 ${stdout.toString().trim()} ${uid} -\n`);
	const json = await world.receiver('wait', 'USR1', '--json');
	await world.shell(`kill -USR1 ${json.pid}`);
	const {value, code} = JSON.parse((await json.end()).stdout.toString());
	assert.deepEqual({value, code}, {value: null, code: 'USER'});
});

test('10,000 queued in a burst: all of them, in order, each with its value', async (t) => {
	const world = new SignalWorld(t);
	const most = Math.min(10_000, Math.floor(queueLimit() / 2));
	if (most < 10_000) t.diagnostic(`only ${most}: no more may be queued here (ulimit -i)`);
	const receiver = await world.receiver('wait', 'RTMIN', '--count', String(most));
	// Stopped, so that the queue of the kernel really holds them all.
	receiver.kill('SIGSTOP');
	await until('it is stopped', () => isStopped(receiver.pid));
	await world.did('burst', receiver.pid, rtmin, most);
	receiver.kill('SIGCONT');
	const {status, stdout} = await receiver.end();
	assert.equal(status, 0);
	assert.deepEqual(
		stdout
			.toString()
			.split('\n')
			.slice(0, -1)
			.map((line) => Number(line.split(' ')[3])),
		Array.from({length: most}, (_, i) => i),
	);
});

test('equal ordinary signals merge while no process takes them; real-time signals do not', async (t) => {
	const world = new SignalWorld(t);
	const receiver = await world.receiver('wait', 'USR1', 'RTMAX', '--count', '4');
	receiver.kill('SIGSTOP');
	await until('it is stopped', () => isStopped(receiver.pid));
	for (let i = 0; i < 3; i++) {
		await world.did('queue', receiver.pid, 10, i);
		await world.did('queue', receiver.pid, 64, i);
	}
	receiver.kill('SIGCONT');
	const {status, stdout} = await receiver.end();
	const lines = stdout
		.toString()
		.replace(/ [0-9]+ [0-9]+ /g, ' ')
		.split('\n')
		.slice(0, -1);
	assert.deepEqual([status, lines], [0, ['USR1 0', 'RTMAX 0', 'RTMAX 1', 'RTMAX 2']]);
});

test('every thread blocks what is waited for, whatever signals those are', async (t) => {
	const world = new SignalWorld(t);
	for (const words of [
		['USR1', 'RTMIN+3'],
		['URG', 'WINCH', 'CONT', 'CHLD', 'INT'],
	]) {
		const receiver = await world.receiver('wait', ...words);
		const numbers = words.includes('URG') ? [23, 28, 18, 17, 2] : [10, rtmin + 3];
		const threads = blockedByThreads(receiver.pid);
		assert.ok(threads.length > (runtime === 'node' ? 2 : 0));
		for (const blocked of threads)
			assert.ok(
				numbers.every((number) => blocked.includes(number)),
				`${blocked}`,
			);
		await world.shell(`kill -${numbers[0]} ${receiver.pid}`);
		assert.match((await receiver.end()).stdout.toString(), new RegExp(`^${words[0]} [0-9]+ ${uid} -\n$`));
	}
});

for (const words of [[], ['--timeout', '250']])
	test(`wait --count 3 ${words.join(' ')}: each signal has the whole time anew, and without --timeout for ever`, async (t) => {
		const world = new SignalWorld(t);
		const receiver = await world.receiver('wait', 'USR1', '--count', '3', ...words);
		for (let i = 1; i <= 3; i++) {
			await until('it sleeps', () => sleepsIn(receiver.pid, /poll/));
			await world.shell(`kill -USR1 ${receiver.pid}`);
			await until('it is printed', () => receiver.output.toString().split('\n').length === i + 1);
		}
		const {status, stderr} = await receiver.end();
		assert.deepEqual([status, stderr], [0, '']);
	});

test('URG that is waited for is not taken for what ends our own waits', async (t) => {
	const world = new SignalWorld(t);
	const receiver = await world.receiver('wait', 'URG', '--follow', '--name', 'urgent');
	await world.did('queue', receiver.pid, 23, 5);
	await receiver.printed('URG');
	receiver.kill();
	const {signal, stdout} = await receiver.end();
	assert.equal(signal, 'SIGTERM');
	assert.equal(stdout.toString().split('\n').length, 2);
	world.assertNothingLeft();
});

test('--from: only what this process sent; what others sent is reported at the end', async (t) => {
	const world = new SignalWorld(t);
	const friend = world.startOther('bash', ['-c', 'while read -r line; do eval "$line"; done']);
	const receiver = await world.receiver('wait', 'USR1', 'USR2', '--from', String(friend.pid));
	await world.shell(`kill -USR2 ${receiver.pid}`);
	await until('the stranger has been passed over', () => !/^ShdPnd:.*[1-9a-f]/m.test(statusOf(receiver.pid)));
	friend.stdin.write(`kill -USR1 ${receiver.pid}\n`);
	const {status, stdout, stderr} = await receiver.end();
	assert.deepEqual([status, stdout.toString()], [0, `USR1 ${friend.pid} ${uid} -\n`]);
	assert.equal(stderr, 'ipc-signal: ignored 1 signal of other senders\n');
});

const statusOf = (pid: number): string => readFileSync(`/proc/${pid}/status`, 'utf8');

test('nothing came: 3 with --nonblock, 124 after the time, another number if asked', async (t) => {
	const world = new SignalWorld(t);
	assertFails(await world.signal('wait', 'USR1', '-n'), 3, '');
	assertFails(await world.signal('wait', 'USR1', '-t', '20ms'), 124, '');
	assertFails(await world.signal('wait', 'USR1', '-t', '20ms', '-E', '9'), 9, '');
	const receiver = await world.receiver('wait', 'USR1', '--count', '2', '-t', '1');
	const {status, stderr} = await receiver.kill('SIGUSR1').end();
	assert.deepEqual([status, stderr], [124, 'ipc-signal: gave up: 1 signal received\n']);
});

test('INT and TERM end the wait for others, and are taken where they are waited for', async (t) => {
	const world = new SignalWorld(t);
	for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
		const receiver = await world.receiver('wait', 'USR1', '--name', 'x');
		assert.deepEqual(world.leftovers(), ['x.receiver']);
		const ended = await receiver.kill(signal).end();
		assert.deepEqual([ended.signal, ended.stderr], [signal, '']);
		world.assertNothingLeft();
		const waiting = await world.receiver('wait', signal);
		assertDone(await waiting.kill(signal).end(), `${signal.slice(3)} ${process.pid} ${uid} -\n`);
	}
});

const refuses = (words: string[], why: string) =>
	test(`wait ${words.join(' ')}: ${why}`, async (t) =>
		assertFails(
			await new SignalWorld(t).signal('wait', ...words),
			2,
			`ipc-signal: ${why}\nTry 'ipc-signal wait --help'.\n`,
		));
refuses([], 'SIGNAL is missing');
refuses(['KILL'], 'KILL cannot be received: no process can catch it');
refuses(['USR1', '19'], 'STOP cannot be received: no process can catch it');
refuses(['33'], 'signal 33 cannot be received: the C library reserves it');
refuses(['USRI'], "'USRI' is not a signal; did you mean 'USR1'?");
refuses(['TREM'], "'TREM' is not a signal; did you mean 'TERM'?");
refuses(['65'], "'65' is not a signal: the highest is 64");
refuses(['0'], "'0' is not a signal: the lowest is 1");
refuses(['USR1', '-f', '-c', '2'], '--count and --follow cannot be combined');
refuses(['USR1', '--name', 'a/b'], "--name: invalid receiver name 'a/b': '/' is not allowed");

test('a reader that leaves ends the wait at once, as any filter', async (t) => {
	const world = new SignalWorld(t);
	const {stdout, stderr} = await world.shell('ipc-signal wait USR1 | true; echo $PIPESTATUS');
	assert.deepEqual([stdout.toString(), stderr], ['141\n', '']);
});

test('what was taken and could not be printed is reported', async (t) => {
	const world = new SignalWorld(t);
	const receiver = await world
		.startOther('bash', ['-c', 'exec ipc-signal wait RTMIN --count 3 --ready-fd 3 >/dev/full'])
		.ready();
	receiver.kill('SIGSTOP');
	await until('it is stopped', () => isStopped(receiver.pid));
	await world.did('burst', receiver.pid, rtmin, 3);
	receiver.kill('SIGCONT');
	assertFails(
		await receiver.end(),
		1,
		'ipc-signal: lost 3 signals: received, but stdout cannot be written\nipc-signal: cannot write to stdout: no space left on the device\n',
	);
});

test('a stdout that takes nothing is an error before anything is taken', async (t) => {
	const world = new SignalWorld(t);
	assertFails(
		await world.shell('ipc-signal wait USR1 1</dev/null'),
		1,
		'ipc-signal: cannot write to stdout: it is not open for writing\n',
	);
});

test('what was taken before TERM comes is printed, and then TERM ends us', async (t) => {
	const world = new SignalWorld(t);
	const most = Math.min(5000, Math.floor(queueLimit() / 2));
	for (let round = 0; round < 4; round++) {
		const receiver = await world.receiver('wait', 'RTMIN', '--follow', '--json');
		receiver.kill('SIGSTOP');
		await until('it is stopped', () => isStopped(receiver.pid));
		await world.did('burst', receiver.pid, rtmin, most);
		receiver.kill('SIGCONT');
		// In the middle of its work.
		await receiver.printed('"value":0');
		receiver.kill('SIGTERM');
		const {signal, stdout, stderr} = await receiver.end();
		assert.deepEqual([signal, stderr], ['SIGTERM', '']);
		const values = stdout.toString().split('\n').slice(0, -1);
		assert.deepEqual(
			values.map((line) => JSON.parse(line).value),
			Array.from(values, (_, i) => i),
		);
	}
});

/** A receiver whose stdout is a full pipe has taken three signals; what happens then, in python. */
const withFullPipe = (then: string): string[] => [
	'-c',
	[
		'import fcntl, os, signal, subprocess, time',
		// F_SETPIPE_SZ
		'r, w = os.pipe(); fcntl.fcntl(w, 1031, 4096)',
		'os.write(w, b"x" * 4096); a, b = os.pipe()',
		'words = ["ipc-signal", "wait", "RTMIN", "--count", "3", "--ready-fd", str(b)]',
		'p = subprocess.Popen(words, stdout=w, pass_fds=[b])',
		'os.close(w); os.read(a, 1)',
		'def field(name): return [l for l in open("/proc/%d/status" % p.pid) if l.startswith(name)][0].split()[1]',
		// Stopped meanwhile: it takes all of them at once, before it waits for room for the first.
		'os.kill(p.pid, signal.SIGSTOP)',
		'while field("State") != "T": time.sleep(0.001)',
		`for i in range(3): os.kill(p.pid, ${rtmin})`,
		'os.kill(p.pid, signal.SIGCONT)',
		'while field("ShdPnd") != "0" * 16: time.sleep(0.001)',
		then,
	].join('\n'),
];

test('one that TERM ends does not wait long for a reader, and says what was not printed', python, async (t) => {
	const {stdout, stderr} = await new SignalWorld(t)
		.startOther('python3', withFullPipe('p.terminate(); p.wait(); print(p.returncode)'))
		.end();
	assert.deepEqual(
		[stdout.toString(), stderr],
		['-15\n', 'ipc-signal: lost 3 signals: received, but stdout cannot be written\n'],
	);
});

test('where all that was wanted could be printed TERM comes too late', python, async (t) => {
	const then = [
		'while field("State") != "S": time.sleep(0.001)',
		'os.kill(p.pid, signal.SIGSTOP)',
		'while field("State") != "T": time.sleep(0.001)',
		// Both are there when it goes on.
		'p.terminate(); os.read(r, 4096); os.kill(p.pid, signal.SIGCONT)',
		'p.wait(); print(p.returncode, os.read(r, 4096).decode().count("RTMIN"))',
	].join('\n');
	const {stdout, stderr} = await new SignalWorld(t).startOther('python3', withFullPipe(then)).end();
	assert.deepEqual([stdout.toString(), stderr], ['0 3\n', '']);
});
