import assert from 'node:assert/strict';
import {spawnSync} from 'node:child_process';
import {readdirSync, readFileSync} from 'node:fs';
import test from 'node:test';
import {ProcessHandle} from '../../src/objects/signals/process-handle.js';
import {needs} from '../support/needs.js';
import {isAlive, processes} from '../support/proc.js';
import {rtmin, SignalWorld} from '../support/signals.js';
import {until} from '../support/until.js';
import {asAnother, needsRoot} from '../support/users.js';
import {assertDone, assertFails} from '../support/world.js';

const uid = process.getuid?.() ?? 0;
const gone = 4_194_304;

test("our value arrives in a C program's sigwaitinfo, with our pid and uid", async (t) => {
	const world = new SignalWorld(t);
	const stranger = await world.stranger('receive', rtmin + 1, 3);
	const pid = String(stranger.pid);
	const sender = world.startOther('bash', ['-c', `echo $$; exec ipc-signal send RTMIN+1 ${pid} --value -2147483648`]);
	const {stdout} = await sender.end();
	assertDone(await world.signal('send', 'RTMIN+1', pid, '--value', '2147483647'), '');
	assertDone(await world.signal('send', 'RTMIN+1', pid), '');
	const lines = (await stranger.end()).stdout.toString().split('\n').slice(1, -1);
	assert.equal(lines[0], `${rtmin + 1} ${stdout.toString().trim()} ${uid} -2147483648 -1`);
	assert.match(lines[1] as string, / 2147483647 -1$/);
	assert.match(lines[2] as string, / 0 0$/, 'without a value it is sent as kill does');
});

for (const words of [
	['HUP'],
	['hup'],
	['SIGHUP'],
	['1'],
	['-1'],
	['-HUP'],
	['-SIGHUP'],
	['-hup'],
	['-sigHup'],
	['-s', 'HUP'],
	['--signal=1'],
])
	test(`send ${words.join(' ')} sends HUP`, async (t) => {
		const world = new SignalWorld(t);
		const stranger = await world.stranger('receive', 1, 1);
		assertDone(await world.signal('send', ...words, String(stranger.pid)), '');
		assert.match((await stranger.end()).stdout.toString(), /^ready\n1 /);
	});

test('a full stdout is reported once, and all targets have got the signal', async (t) => {
	const world = new SignalWorld(t);
	const strangers = [await world.stranger('receive', 1, 1), await world.stranger('receive', 1, 1)];
	const pids = strangers.map(({pid}) => pid).join(' ');
	assertFails(
		await world.shell(`ipc-signal send HUP ${pids} --json >/dev/full`),
		1,
		'ipc-signal: cannot write to stdout: no space left on the device\n',
	);
	for (const stranger of strangers) assert.match((await stranger.end()).stdout.toString(), /^ready\n1 /);
});

test('a reader that leaves does not keep a tree that is to be killed stopped', async (t) => {
	const world = new SignalWorld(t);
	const root = world.startOther('bash', ['-c', 'sleep 1000 & sleep 1000 & echo ready; wait']);
	await root.printed('ready');
	const gone = world.file('gone');
	const sent = await world.shell(
		`{ until [ -e ${gone} ]; do sleep 0.01; done; ipc-signal send --tree KILL ${root.pid} --json; echo $? >&2; } | { exec <&-; touch ${gone}; }`,
	);
	assert.equal(sent.stderr, '141\n');
	assert.equal((await root.end()).signal, 'SIGKILL');
});

test('send -RTMIN+3 and -RTMAX-1', async (t) => {
	const world = new SignalWorld(t);
	for (const [word, number] of [
		['-RTMIN+3', rtmin + 3],
		['-RTMAX-1', 63],
	] as const) {
		const stranger = await world.stranger('receive', number, 1);
		assertDone(await world.signal('send', word, String(stranger.pid)), '');
		assert.match((await stranger.end()).stdout.toString(), new RegExp(`^ready\n${number} `));
	}
});

test('targets from stdin; what fails is reported, the rest is done', async (t) => {
	const world = new SignalWorld(t);
	const all = [world.sleeper(), world.sleeper(), world.sleeper()];
	const [a, b, c] = all.map(({pid}) => pid);
	const {status, stdout, stderr} = await world.run('ipc-signal', ['send', 'TERM', '--json'], {
		input: `${a} ${gone}\n\n  ${b}\tfrob ${c}`,
	});
	assert.deepEqual(
		[status, stderr.split('\n')],
		[
			1,
			[
				`ipc-signal: cannot send TERM to ${gone}: no such process`,
				"ipc-signal: 'frob' is not a process: a PID or @NAME is expected",
				'',
			],
		],
	);
	const results = stdout
		.toString()
		.split('\n')
		.slice(0, -1)
		.map((line) => JSON.parse(line));
	assert.deepEqual(
		results.map(({target, result}) => [target, result]),
		[
			[`${a}`, 'sent'],
			[`${gone}`, 'failed'],
			[`${b}`, 'sent'],
			['frob', 'failed'],
			[`${c}`, 'sent'],
		],
	);
	for (const one of all) assert.equal((await one.end()).signal, 'SIGTERM');
});

test('no target at all', async (t) => {
	const world = new SignalWorld(t);
	assertFails(
		await world.signal('send', 'TERM'),
		1,
		'ipc-signal: nothing was sent: no TARGET is given, and stdin is empty\n',
	);
});

test('signal 0 only checks its target', async (t) => {
	const world = new SignalWorld(t);
	const sleeper = world.sleeper();
	assertDone(await world.signal('send', '0', String(sleeper.pid)), '');
	assert.ok(isAlive(sleeper.pid));
	assertFails(await world.signal('send', '0', String(gone)), 1, `ipc-signal: cannot find ${gone}: no such process\n`);
	const tid = await threadOf(world);
	assertFails(
		await world.signal('send', '0', String(tid)),
		1,
		`ipc-signal: cannot find ${tid}: it is a thread, not a process\n`,
	);
});

/** A thread of a process of Node's that is not its first. */
async function threadOf(world: SignalWorld): Promise<number> {
	const {pid} = world.startOther(process.execPath, ['-e', 'setInterval(() => {}, 1000)']);
	const threads = () => readdirSync(`/proc/${pid}/task`);
	await until('Node has started its threads', () => threads().length > 1);
	return Number(threads().at(-1));
}

test("another user's process: not permitted, and whose it is", needsRoot, async (t) => {
	const world = new SignalWorld(t);
	const sleeper = world.sleeper();
	assertFails(
		await world.shell(`chmod 755 ${world.scratch}; ${asAnother} ipc-signal send TERM ${sleeper.pid}`),
		1,
		`ipc-signal: cannot send TERM to ${sleeper.pid}: not permitted (it belongs to root)\n`,
	);
	assert.ok(isAlive(sleeper.pid));
});

const refuses = (words: string[], why: string) =>
	test(`send ${words.join(' ')}: ${why}`, async (t) =>
		assertFails(
			await new SignalWorld(t).signal('send', ...words),
			2,
			`ipc-signal: ${why}\nTry 'ipc-signal send --help'.\n`,
		));
refuses([], 'SIGNAL is missing');
refuses(['TREM', '1'], "'TREM' is not a signal; did you mean 'TERM'?");
refuses(['-HUPP', '1'], "--signal: 'HUPP' is not a signal; did you mean 'HUP'?");
refuses(['-65', '1'], "--signal: '65' is not a signal: the highest is 64");
refuses(
	['RTMIN+40', '1'],
	`'RTMIN+40' is not a signal: real-time signals are RTMIN to RTMIN+${64 - rtmin}, which is RTMAX, and RTMAX-${64 - rtmin} to RTMAX`,
);
refuses(['TERM', 'abc'], "'abc' is not a process: a PID or @NAME is expected");
refuses(['TERM', '0'], "'0' is not a process (for the process group of this shell: --group $$)");
refuses(['TERM', '--', '-5'], "'-5' is not a process: for the process group of 5 use --group");
refuses(['TERM', '99999999'], "'99999999' is not a process: the highest PID is 4194304");
refuses(
	['TERM', '1', '--value', '2147483648'],
	"--value: '2147483648' is not a valid value: it is an integer of 32 bits, -2147483648 to 2147483647",
);
refuses(['TERM', '1', '--value', '1.5'], "--value: '1.5' is not a value: a whole number is expected");
refuses(['TERM', '1', '--group', '--tree'], '--group and --tree cannot be combined');
refuses(['--escalate', 'TERM,KILL', '1'], "--escalate: 'TERM,KILL' has no waiting time for TERM: write TERM:5s");
refuses(
	['--escalate', 'TERM:5x,KILL', '1'],
	"--escalate: '5x' is not a duration: unknown unit 'x' (use ms, s, m, h or d)",
);
refuses(['HUP', '1', '--escalate', 'TERM:250s,KILL'], '--escalate begins with TERM, not with HUP');
refuses(
	['15', '1', '--escalate', 'TERM:250s,KILL'],
	"'15' could be a signal or a process: --escalate names the signals, so leave it out",
);

test('--wait until it has ended; on a living process 124', async (t) => {
	const world = new SignalWorld(t);
	const sleeper = world.sleeper();
	assertFails(await world.signal('send', '0', String(sleeper.pid), '--wait', '-t', '50ms'), 124, '');
	assertFails(await world.signal('send', 'CONT', String(sleeper.pid), '--wait', '-t', '50ms', '-E', '5'), 5, '');
	assertDone(await world.signal('send', 'TERM', String(sleeper.pid), '--wait', '-t', '250'), '');
	assert.ok(!isAlive(sleeper.pid));
});

test('--wait for several: how many are still there', async (t) => {
	const world = new SignalWorld(t);
	const [deaf, sleeper] = [await world.stranger('ignore', 15), world.sleeper()];
	const {status, stderr, stdout} = await world.signal(
		'send',
		'TERM',
		`${deaf.pid}`,
		`${sleeper.pid}`,
		'--wait',
		'-t',
		'3',
		'--json',
	);
	assert.deepEqual([status, stderr], [124, 'ipc-signal: 1 of 2 processes still running\n']);
	assert.deepEqual(
		stdout
			.toString()
			.split('\n')
			.slice(0, -1)
			.map((line) => JSON.parse(line).result),
		['alive', 'ended'],
	);
});

test('TERM ignored: --escalate goes on to KILL, and says what it took', async (t) => {
	const world = new SignalWorld(t);
	const deaf = await world.stranger('ignore', 15);
	const {status, stdout, stderr} = await world.signal(
		'send',
		'--escalate',
		'TERM:100ms,INT:250s,KILL',
		`${deaf.pid}`,
		'--json',
	);
	assert.equal(status, 0);
	assert.match(
		stderr,
		new RegExp(`^ipc-signal: ${deaf.pid} ended on INT after [0-9.]+m?s \\(TERM had no effect\\)\n$`),
	);
	const {result, signal, elapsedMs} = JSON.parse(stdout.toString());
	assert.deepEqual([result, signal], ['ended', 'INT']);
	assert.ok(elapsedMs >= 100);
	assert.equal((await deaf.end()).signal, 'SIGINT');
});

test('--escalate with its first signal named as well, and one that is not enough', async (t) => {
	const world = new SignalWorld(t);
	const deaf = await world.stranger('ignore', 15);
	assertFails(
		await world.signal('send', 'TERM', `${deaf.pid}`, '--escalate', 'TERM:20ms,WINCH:20ms'),
		124,
		`ipc-signal: ${deaf.pid} (signal-peer) is still running after TERM, WINCH\n`,
	);
	assertFails(await world.signal('send', `-TERM`, `${gone}`, '--escalate', 'TERM:1s,KILL'), 1, /no such process/);
	const quick = await world.signal('send', '--escalate', 'TERM:20ms,KILL', '-q', `${deaf.pid}`);
	assertDone(quick, '');
	assert.equal((await deaf.end()).signal, 'SIGKILL');
});

test('--tree: the process and all its descendants', async (t) => {
	const world = new SignalWorld(t);
	const tree = await world
		.startOther('bash', [
			'-c',
			'sleep 60 & (sleep 60 & sleep 60; :) & setsid sh -c "sleep 60; :" & echo $(jobs -p); wait',
		])
		.printed('\n');
	await until('the tree has grown', () => descendants(tree.pid).length === 6);
	const pids = [tree.pid, ...descendants(tree.pid)];
	const dry = await world.signal('send', 'TERM', `${tree.pid}`, '--tree', '--dry-run');
	assert.equal(dry.stdout.toString().split('\n').length - 1, pids.length);
	assert.ok(pids.every(isAlive));
	assertDone(await world.signal('send', 'TERM', `${tree.pid}`, '--tree', '--wait', '-t', '250'), '');
	assert.deepEqual(pids.filter(isAlive), []);
});

test('--tree on one that has children all the time', async (t) => {
	const world = new SignalWorld(t);
	const storm = await world
		.startOther('bash', ['-c', 'echo; while :; do (sleep 60 & sleep 60; :) & sleep 0.01; done'])
		.printed('\n');
	await until('some are there', () => descendants(storm.pid).length > 20);
	assertDone(await world.signal('send', 'KILL', `${storm.pid}`, '--tree', '--wait', '-t', '250'), '');
	assert.deepEqual(
		processes().filter(({group, state}) => group === storm.pid && state !== 'Z'),
		[],
	);
});

function descendants(pid: number): number[] {
	const rows = processes();
	const found = [pid];
	for (let i = 0; i < found.length; i++)
		found.push(...rows.filter(({parent}) => parent === found[i]).map((row) => row.pid));
	return found.slice(1);
}

test('--group: the whole process group in one step, others untouched', async (t) => {
	const world = new SignalWorld(t);
	const group = await world.startOther('bash', ['-c', 'sleep 60 & echo $!; wait']).printed('\n');
	const child = Number(group.output.toString());
	const other = world.sleeper();
	// The group of any member is meant.
	assertDone(await world.signal('send', 'KILL', String(child), '--group', '--wait', '-t', '250'), '');
	assert.equal((await group.end()).signal, 'SIGKILL');
	assert.ok(!isAlive(child) && isAlive(other.pid));
});

test('--group with a value: every member gets it', async (t) => {
	const world = new SignalWorld(t);
	const group = await world
		.startOther('bash', ['-c', `for i in 1 2; do dist/test/peers/signal-peer receive ${rtmin} 1 & done; wait`])
		.printed('ready\nready\n');
	// The shell, which leads it, would not survive: its descendants are told beforehand, it afterwards.
	const {status, stderr} = await world.signal('send', 'RTMIN', String(group.pid), '--group', '--value', '6');
	if (status === 1 && /this kernel cannot/.test(stderr)) return t.skip('needs Linux 6.9');
	assert.deepEqual([status, stderr], [0, '']);
	await until('both have printed', () => group.output.toString().match(/ 6 -1\n/g)?.length === 2);
});

// Signals are counted for a user, and others of this user come and go: a user namespace has a count of its own.
const canUnshare = spawnSync('unshare', ['--user', '--map-root-user', 'true']).status === 0;
const skipFull = canUnshare ? false : 'needs the right to make a user namespace';
test('a full queue: 3 with --nonblock, 124 after the time, waits otherwise', {skip: skipFull}, async (t) => {
	const world = new SignalWorld(t);
	const hold = `ulimit -i 8; exec dist/test/peers/signal-peer hold ${rtmin}`;
	const holder = await world
		.startOther('unshare', ['--user', '--map-root-user', 'bash', '-c', hold])
		.printed('ready\n');
	const pid = String(holder.pid);
	let sent = 0;
	let last = await world.signal('send', 'RTMIN', pid, '--value', '1', '-n');
	for (; last.status === 0; sent++) last = await world.signal('send', 'RTMIN', pid, '--value', '1', '-n');
	assert.equal(sent, 8);
	assertFails(last, 3, '');
	assert.equal(await world.did('queue', pid, rtmin, 1), 'EAGAIN\n');
	// Without a value the kernel would take it, and lose all it carries.
	assertFails(await world.signal('send', 'RTMIN', pid, '-n'), 3, '');
	assertFails(await world.signal('send', 'RTMIN', pid, '-t', '30ms'), 124, '');
	const {stderr} = await world.signal('send', 'RTMIN', pid, '--value', '1', '-n', '-v');
	assert.match(
		stderr,
		/^ipc-signal: no room in the queue of [0-9]+ \(RLIMIT_SIGPENDING; see: ipc-signal show [0-9]+\)\n$/,
	);
	const waiting = world.start('ipc-signal', ['send', 'RTMIN', pid, '--value', '9', '-v']);
	await until('it waits for room', () => waiting.errors.includes('waiting for room in the queue of'));
	holder.stdin.write('\n');
	assert.equal((await waiting.end()).status, 0);
	holder.stdin.end();
	assert.equal((await holder.end()).stdout.toString(), `ready\n${sent + 1}\n`);
});

test('--dry-run names them and sends nothing', async (t) => {
	const world = new SignalWorld(t);
	const sleeper = world.sleeper();
	await until(
		'it is sleep',
		async () => (await world.shell(`cat /proc/${sleeper.pid}/comm`)).stdout.toString() === 'sleep\n',
	);
	assertDone(await world.signal('send', '-9', String(sleeper.pid), '--dry-run'), `KILL to ${sleeper.pid} (sleep)\n`);
	assert.ok(isAlive(sleeper.pid));
});

test('a kernel without pidfd: the start time is compared', async (t) => {
	const world = new SignalWorld(t);
	const sleeper = world.sleeper();
	const missing = () => {
		throw Object.assign(new Error('pidfd_open: ENOSYS'), {code: 'ENOSYS', errno: 38, syscall: 'pidfd_open'});
	};
	const handle = ProcessHandle.open(sleeper.pid, undefined, missing);
	assert.equal(handle.pidfd, undefined);
	assert.equal(handle.isGone(), false);
	assert.equal(handle.waitUntilGone(30), false);
	assert.ok(handle.trySend(0) && handle.trySend(15));
	assert.ok(handle.waitUntilGone(-1));
	await sleeper.end();
	assert.throws(() => handle.trySend(15), /cannot send TERM to [0-9]+: the process has ended/);
	assert.throws(() => ProcessHandle.open(gone, 'cannot send', missing), /cannot send: no such process/);
	// The number is in use, by one that was started later: the first process here is not who was opened.
	const recycled = Object.assign(Object.create(ProcessHandle.prototype), {
		pid: process.pid,
		startTime: 1,
		pidfd: undefined,
	});
	assert.throws(() => recycled.trySend(9), /the process has ended/);
	assert.equal(recycled.isGone(), true);
});

test('a target given twice is waited for, and told about, once; a group gets its signal once', async (t) => {
	const world = new SignalWorld(t);
	const pid = world.sleeper().pid;
	const {status, stderr} = await world.signal('send', '--escalate', 'TERM:250s,KILL', `${pid}`, `${pid}`);
	assert.equal(status, 0);
	assert.match(stderr, new RegExp(`^ipc-signal: ${pid} ended on TERM after [0-9.]+m?s\n$`));
	const leader = await world.startOther('bash', ['-c', 'sleep 60 & echo $!; wait']).printed('\n');
	const words = ['--group', `${leader.pid}`, leader.output.toString().trim()];
	assertDone(await world.signal('send', 'TERM', ...words, '--dry-run'), `TERM to the process group ${leader.pid}\n`);
	const tree = ['--tree', `${leader.pid}`, leader.output.toString().trim()];
	const dry = await world.signal('send', 'TERM', ...tree, '--dry-run', '--json');
	assert.equal(dry.stdout.toString().split('\n').length - 1, 2);
	const ended = await world.signal('send', '--escalate', 'TERM:250s,KILL', ...words);
	assert.equal(ended.status, 0);
	assert.match(ended.stderr, new RegExp(`^ipc-signal: the process group ${leader.pid} ended on TERM after [^\n]*\n$`));
	// Without waiting each target is one signal, as with kill(1).
	const receiver = await world.receiver('wait', 'RTMIN', '--count', '2');
	assertDone(await world.signal('send', 'RTMIN', `${receiver.pid}`, `${receiver.pid}`), '');
	assert.equal((await receiver.end()).stdout.toString().split('\n').length, 3);
});

for (const scope of [[], ['--tree'], ['--group']])
	test(`a target given twice${scope.map((word) => ` with ${word}`)}: that it has ended and is gone before its second mention is no failure`, async (t) => {
		const world = new SignalWorld(t);
		const sleeper = world.sleeper();
		const sender = world.start('ipc-signal', ['send', '--escalate', 'TERM:250s,KILL', ...scope]);
		sender.stdin.write(`${sleeper.pid}\n`);
		// Gone, not only ended: we have asked for its status.
		await sleeper.closed;
		sender.stdin.end(`${sleeper.pid}\n`);
		const {status, stdout, stderr} = await sender.end();
		assert.deepEqual([status, stdout.toString()], [0, '']);
		const who = scope[0] === '--group' ? 'the process group ' : '';
		assert.match(stderr, new RegExp(`^ipc-signal: ${who}${sleeper.pid} ended on TERM after [^\n]*\n$`));
	});

test('a group given twice: that its leader is gone before its second mention does not make it another group', async (t) => {
	const world = new SignalWorld(t);
	// The member ignores TERM, and its leader does not.
	const leader = await world
		.startOther('bash', ['-c', 'trap "" TERM; sleep 60 & trap - TERM; echo $!; wait'])
		.printed('\n');
	const member = leader.output.toString().trim();
	const sender = world.start('ipc-signal', ['send', '--escalate', 'TERM:100ms,KILL', '--group']);
	sender.stdin.write(`${leader.pid}\n`);
	await until('the leader is gone', () => processes().every(({pid}) => pid !== leader.pid));
	sender.stdin.end(`${member}\n`);
	const {status, stderr} = await sender.end();
	assert.equal(status, 0);
	assert.match(
		stderr,
		new RegExp(`^ipc-signal: the process group ${leader.pid} ended on KILL after [^\n]* \\(TERM had no effect\\)\n$`),
	);
});

test('a name given twice: that its receiver has ended before its second mention is no failure; one never met is', async (t) => {
	const world = new SignalWorld(t);
	const receiver = await world.receiver('wait', 'USR1', '--name', 'worker');
	const sender = world.start('ipc-signal', ['send', '--wait', 'USR1']);
	sender.stdin.write('@worker\n');
	await receiver.closed;
	sender.stdin.end('@worker @nobody\n');
	const {status, stderr} = await sender.end();
	assert.deepEqual(
		[status, stderr],
		[1, "ipc-signal: cannot send USR1 to @nobody: no process is registered as '@nobody'\n"],
	);
});

test('--escalate: what had ended before is not said to have ended on a signal', async (t) => {
	const world = new SignalWorld(t);
	// It ends once its parent is a program that does not ask for its status.
	const parent = await world.startOther('bash', ['-c', 'sleep 60 & echo $!; exec sleep 60']).printed('\n');
	const zombie = parent.output.toString().trim();
	await until('its parent is no shell', () => readFileSync(`/proc/${parent.pid}/comm`, 'utf8') === 'sleep\n');
	process.kill(Number(zombie), 'SIGKILL');
	await until('it has ended', () => /^State:\tZ/m.test(readFileSync(`/proc/${zombie}/status`, 'utf8')));
	const {status, stdout, stderr} = await world.signal('send', '--escalate', 'TERM:1s,KILL', '--json', zombie);
	assert.deepEqual([status, stderr], [0, `ipc-signal: ${zombie} had already ended\n`]);
	assert.deepEqual(JSON.parse(stdout.toString()), {
		target: zombie,
		pid: Number(zombie),
		signal: 'TERM',
		result: 'ended',
	});
});

test('--dry-run shows a name that is made to deceive as it is', needs('python3'), async (t) => {
	const world = new SignalWorld(t);
	const script = 'open("/proc/self/comm", "w").write("a\\nb\\x1b[31m"); print(flush=True); import time; time.sleep(60)';
	const named = await world.startOther('python3', ['-c', script]).printed('\n');
	assertDone(await world.signal('send', '-9', String(named.pid), '--dry-run'), `KILL to ${named.pid} (a\\nb\\e[31m)\n`);
});
