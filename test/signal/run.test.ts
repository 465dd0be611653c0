import assert from 'node:assert/strict';
import {spawnSync} from 'node:child_process';
import {readFileSync, writeFileSync} from 'node:fs';
import test from 'node:test';
import {needs} from '../support/needs.js';
import {isAlive, isStopped, processes} from '../support/proc.js';
import {peer} from '../support/run.js';
import {maskOf, rtmin, SignalWorld} from '../support/signals.js';
import {until} from '../support/until.js';
import {assertDone, assertFails} from '../support/world.js';

test('its status is passed on, and so are the streams', async (t) => {
	const world = new SignalWorld(t);
	const {status, stdout, stderr} = await world.run(
		'ipc-signal',
		['run', '--', 'sh', '-c', 'cat; echo err >&2; exit 42'],
		{input: 'in'},
	);
	assert.deepEqual([status, stdout.toString(), stderr], [42, 'in', 'err\n']);
	assert.equal((await world.signal('run', 'sh', '-c', 'kill -9 $$')).status, 137);
	assertFails(
		await world.signal('run', '--', 'no-such-command'),
		127,
		"ipc-signal: cannot run 'no-such-command': not found\n",
	);
	assertFails(
		await world.signal('run', '--', '/etc/passwd'),
		126,
		"ipc-signal: cannot run '/etc/passwd': permission denied\n",
	);
	const script = world.file('script');
	writeFileSync(script, '#!/no/such/interpreter\n', {mode: 0o700});
	assertFails(
		await world.signal('run', '--', script),
		127,
		`ipc-signal: cannot run '${script}': the interpreter that it names was not found\n`,
	);
	assertFails(await world.signal('run', '--', ''), 127, "ipc-signal: cannot run '': not found\n");
});

test('a command starts with no signal blocked, ignored or caught', async (t) => {
	const world = new SignalWorld(t);
	for (const words of [
		['run', '--', 'cat'],
		['run', '--group', '--', 'cat'],
	]) {
		const {stdout} = await world.signal(...words, '/proc/self/status');
		for (const mask of ['SigBlk', 'SigIgn', 'SigCgt', 'SigPnd', 'ShdPnd'])
			assert.match(stdout.toString(), new RegExp(`^${mask}:\t0+$`, 'm'), mask);
	}
});

test('every signal is passed on, with its sender and value', async (t) => {
	const world = new SignalWorld(t);
	const runner = await world
		.startOther('ipc-signal', ['run', '--', peer('signal-peer'), 'receive', String(rtmin), '2'])
		.printed('ready\n');
	const sender = await world
		.startOther('bash', ['-c', `echo $$; exec ${peer('signal-peer')} queue ${runner.pid} ${rtmin} 31`])
		.end();
	await world.shell(`kill -${rtmin} ${runner.pid}`);
	const {status, stdout} = await runner.end();
	const [, first, second] = stdout.toString().split('\n');
	assert.equal(status, 0);
	assert.equal(first, `${rtmin} ${sender.stdout.toString().trim()} ${process.getuid?.()} 31 -1`);
	assert.match(second as string, new RegExp(`^${rtmin} [1-9][0-9]* ${process.getuid?.()} 0 -1$`));
});

test('a burst of real-time signals is passed on whole, in order', async (t) => {
	const world = new SignalWorld(t);
	const words = ['run', '--', peer('signal-peer'), 'receive', String(rtmin), '2000'];
	const runner = await world.startOther('ipc-signal', words).printed('ready\n');
	await world.did('burst', runner.pid, rtmin, 2000);
	const {status, stdout} = await runner.end();
	const values = stdout
		.toString()
		.split('\n')
		.slice(1, -1)
		.map((line) => Number(line.split(' ')[3]));
	assert.deepEqual([status, values], [0, Array.from({length: 2000}, (_, i) => i)]);
});

test('--map translates, none drops', async (t) => {
	const world = new SignalWorld(t);
	const runner = await world
		.start('ipc-signal', [
			'run',
			'--map',
			'TERM=USR2',
			'--map',
			'HUP=none',
			'-v',
			'--',
			peer('signal-peer'),
			'stop',
			'12',
		])
		.printed('ready\n');
	runner.kill('SIGHUP').kill('SIGTERM');
	const {status, stderr} = await runner.end();
	assert.equal(status, 7);
	assert.match(stderr, /ipc-signal: dropped HUP from [0-9]+\nipc-signal: forwarded TERM from [0-9]+ as USR2\n/);
	for (const [word, why] of [
		['TERM', /'TERM' is not a signal mapping: write FROM=TO, such as TERM=INT/],
		['KILL=TERM', /no process can catch KILL/],
		['TERM=INTT', /'INTT' is not a signal; did you mean 'INT'\?/],
		['0=INT', /0 is not a signal/],
		['TERM=0', /'TERM=0' sends nothing: to drop TERM write TERM=none/],
		['TERM=32', /the C library reserves 32/],
	] as const)
		assertFails(await world.signal('run', '--map', word, '--', 'true'), 2, why);
});

test('--group: a process group of its own, and all of it is told', async (t) => {
	const world = new SignalWorld(t);
	const runner = await world
		.start('ipc-signal', [
			'run',
			'--group',
			'--',
			'bash',
			'-c',
			`trap "echo trapped" USR1; ${peer('signal-peer')} stop 10 & echo "child $!"; wait; wait`,
		])
		.printed('ready\n');
	await runner.printed('child ');
	const child = Number(/^child ([0-9]+)$/m.exec(runner.output.toString())?.[1]);
	const groups = processes().flatMap(({pid, group}) => (pid === child || pid === runner.pid ? [group] : []));
	assert.equal(new Set(groups).size, 2);
	runner.kill('SIGUSR1');
	await runner.printed('trapped');
	await until('the child of the child has ended', () => !isAlive(child));
	await runner.end();
});

test('orphans are reaped', async (t) => {
	const world = new SignalWorld(t);
	const runner = await world
		.start('ipc-signal', ['run', '--', 'bash', '-c', '(bash -c "sleep 0.05 & echo \\$!" ); echo; read -r line'])
		.printed('\n\n');
	const orphan = Number(runner.output.toString());
	// Its parent has ended, so it is ours, and then it is gone altogether: no zombie.
	await until('the orphan is gone', () => {
		try {
			readFileSync(`/proc/${orphan}/stat`);
			return false;
		} catch {
			return true;
		}
	});
	assert.ok(isAlive(runner.pid));
	runner.stdin.end('\n');
	await runner.end();
});

const canUnshare = spawnSync('unshare', ['--pid', '--fork', '--mount-proc', 'true']).status === 0;
test('as PID 1: zombies are reaped, TERM is translated, the status is passed on', {
	skip: canUnshare ? false : 'needs the right to make a PID namespace',
}, async (t) => {
	const world = new SignalWorld(t);
	const script = [
		'trap "echo interrupted; exit 42" INT',
		// Its parent ends at once; a zombie would stay in /proc.
		'orphan=$(sleep 0.05 >/dev/null & echo $!)',
		'until ! test -e /proc/$orphan; do sleep 0.01; done',
		'kill -TERM 1',
		'sleep 60 & wait',
	].join('; ');
	const runner = world.startOther('unshare', [
		'--pid',
		'--fork',
		'--mount-proc',
		'ipc-signal',
		'run',
		'--map',
		'TERM=INT',
		'--',
		'bash',
		'-c',
		script,
	]);
	const {status, stdout} = await runner.end();
	assert.deepEqual([status, stdout.toString()], [42, 'interrupted\n']);
	const killed = await world
		.startOther('unshare', ['--pid', '--fork', '--mount-proc', 'ipc-signal', 'run', '--', 'sh', '-c', 'kill -TERM $$'])
		.end();
	assert.equal(killed.status, 143);
});

/** What a person at a terminal does, in python's pty: an interactive shell with job control. */
const terminal = (line: string, pidFile: string, keys: string): string => `
import os, pty, sys, time, select
pid, fd = pty.fork()
if pid == 0:
    os.execvp('bash', ['bash', '--norc', '-i'])
seen = b''
def until(text, since=0):
    global seen
    end = time.time() + 250
    while text not in seen[since:]:
        if time.time() > end: sys.exit('waited in vain for %r in %r' % (text, seen))
        if select.select([fd], [], [], 0.1)[0]:
            try: seen += os.read(fd, 4096)
            except OSError: sys.exit('closed: %r' % seen)
def type(text): os.write(fd, text)
def key(text):
    # A shell that is just about to read would see the signal after its next line.
    program = open('${pidFile}').read().strip()
    while open('/proc/%s/stat' % program).read().rsplit(')', 1)[1].split()[0] != 'S': time.sleep(0.001)
    type(text)
type(b"PS1='@'; ${line}\\n")
${keys}
`;

for (const option of ['', '--group']) {
	test(`at a terminal${option && ` with ${option}`}: Ctrl-Z stops both, fg goes on, Ctrl-C comes once`, {
		...needs('python3'),
	}, async (t) => {
		const world = new SignalWorld(t);
		const program =
			"echo $$ >$0.pid; trap 'echo inter''rupted' INT; echo rea''dy; while :; do read -r line && echo got-$line; done";
		const file = world.file('program.sh');
		writeFileSync(file, program);
		const keys = [
			"until(b'ready')",
			"at = len(seen); type(b'one\\n'); until(b'got-one', at)",
			"at = len(seen); key(b'\\x1a'); until(b'Stopped', at); until(b'@', at)",
			"at = len(seen); type(b'fg\\n'); until(b'run', at); type(b'two\\n'); until(b'got-two', at)",
			"at = len(seen); key(b'\\x03'); until(b'interrupted', at); type(b'three\\n'); until(b'got-three', at)",
			"print(seen[at:].count(b'interrupted'))",
			"at = len(seen); key(b'\\x1a'); until(b'Stopped', at); type(b'kill -9 %1; kill -CONT %1; exit\\n')",
		].join('\n');
		const script = terminal(`ipc-signal run ${option} -- bash ${file}`, `${file}.pid`, keys);
		const {status, stdout, stderr} = await world.startOther('python3', ['-c', script]).end();
		assert.deepEqual([status, stdout.toString(), stderr], [0, '1\n', '']);
	});
}

for (const option of ['', '--group'])
	test(`at a terminal${option && ` with ${option}`}: a child that stops itself by STOP gives the prompt back`, {
		...needs('python3'),
	}, async (t) => {
		const world = new SignalWorld(t);
		const file = world.file('program.sh');
		writeFileSync(file, 'echo rea""dy; kill -STOP $$; read -r line; echo got-$line; exit 5');
		const keys = [
			"until(b'Stopped'); until(b'@', seen.index(b'Stopped'))",
			"at = len(seen); type(b'fg\\n'); until(b'run', at); type(b'one\\n'); until(b'got-one', at); until(b'@', at)",
			"at = len(seen); type(b'echo is-$?\\n'); until(b'is-5', at); type(b'exit\\n')",
		].join('\n');
		const script = terminal(`ipc-signal run ${option} -- bash ${file}`, `${file}.pid`, keys);
		const {status, stderr} = await world.startOther('python3', ['-c', script]).end();
		assert.deepEqual([status, stderr], [0, '']);
	});

test('at a terminal: suspend of an interactive shell, and fg', needs('python3'), async (t) => {
	const world = new SignalWorld(t);
	const keys = [
		"until(b'inner%'); at = len(seen)",
		"type(b'suspend\\n'); until(b'Stopped', at); until(b'@', at); at = len(seen)",
		"type(b'fg\\n'); until(b'inner%', at); at = len(seen)",
		"type(b'echo $((6*7))\\n'); until(b'42', at); until(b'inner%', at); at = len(seen)",
		"type(b'exit 6\\n'); until(b'@', at); at = len(seen)",
		"type(b'echo is-$?\\n'); until(b'is-6', at); type(b'exit\\n')",
	].join('\n');
	const script = terminal("PS1='in''ner%' ipc-signal run -- bash --norc -i", world.file('none'), keys);
	const {status, stderr} = await world.startOther('python3', ['-c', script]).end();
	assert.deepEqual([status, stderr], [0, '']);
});

test('a child that a process stops on purpose does not stop us', async (t) => {
	const world = new SignalWorld(t);
	const runner = await world.start('ipc-signal', ['run', '--', 'sh', '-c', 'echo $$; read -r line']).printed('\n');
	const child = Number(runner.output.toString());
	process.kill(child, 'SIGSTOP');
	await until('the child is stopped', () => isStopped(child));
	assert.ok(!isStopped(runner.pid));
	process.kill(child, 'SIGCONT');
	runner.stdin.end('\n');
	assertDone(await runner.end());
	assert.deepEqual(maskOf('/proc/self/status', 'ShdPnd'), []);
});
