import assert from 'node:assert/strict';
import {chmodSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync} from 'node:fs';
import test from 'node:test';
import {isStopped, peakMemory, sleepsIn} from '../support/proc.js';
import {randomBytes} from '../support/random.js';
import {rounds} from '../support/rounds.js';
import {peer} from '../support/run.js';
import {until} from '../support/until.js';
import {assertDone, assertFails, World} from '../support/world.js';

const MiB = 1024 ** 2;

test('the main job: two terminals, no set-up, no names, no leftovers', async (t) => {
	const world = new World(t);
	const receiver = world.startOther('bash', ['-c', 'ipc-pipe recv | grep two']);
	assertDone(await world.shell('printf "one\\ntwo\\n" | ipc-pipe send'));
	assertDone(await receiver.end(), 'two\n');
	world.assertNothingLeft();
});

test('the other way round: the sender is there first', async (t) => {
	const world = new World(t);
	const sender = world.start('ipc-pipe', ['send'], {input: 'hello\n'});
	await until('the FIFO is there', () => world.leftovers().length === 1);
	assertDone(await world.pipe('recv'), 'hello\n');
	assertDone(await sender.end());
	world.assertNothingLeft();
});

test('random bytes pass unchanged, through splice(2) and through files', async (t) => {
	const world = new World(t);
	const bytes = randomBytes(16 * MiB);
	writeFileSync(world.file('in'), bytes);
	for (const [send, recv] of [
		['ipc-pipe send x <in', 'ipc-pipe recv x >out'],
		['cat in | ipc-pipe send x', 'ipc-pipe recv x | cat >out'],
		['ipc-pipe send x <in', ': >out; ipc-pipe recv x >>out'],
		['cat in | ipc-pipe send x --progress -q 2>/dev/null', 'ipc-pipe recv x --progress 2>/dev/null | cat >out'],
	]) {
		const both = await world.shell(`(${send}) & ${recv}; wait`, {cwd: world.scratch});
		assert.equal(both.status, 0, both.stderr);
		assert.ok(readFileSync(world.file('out')).equals(bytes), `${send} | ${recv}`);
		world.assertNothingLeft();
	}
});

test('NUL, CR and LF and invalid UTF-8 are bytes like any other, and nothing at all is fine', async (t) => {
	const world = new World(t);
	for (const bytes of [Buffer.from([0, 13, 10, 255, 254, 0]), Buffer.alloc(0)]) {
		const receiver = world.start('ipc-pipe', ['recv', 'x']);
		assertDone(await world.run('ipc-pipe', ['send', 'x'], {input: bytes}));
		assertDone(await receiver.end(), bytes);
	}
});

for (const [title, line, expected] of [
	['cat reads what we send', 'mkfifo f; cat f & echo hi | ipc-pipe send ./f; wait', 'hi\n'],
	['tee writes what we receive', 'mkfifo f; echo hi | tee f >/dev/null & ipc-pipe recv ./f; wait', 'hi\n'],
	['dd reads what we send', 'mkfifo f; dd if=f status=none & echo hi | ipc-pipe send ./f; wait', 'hi\n'],
	['a redirection writes what we receive', 'mkfifo f; echo hi >f & ipc-pipe recv ./f; wait', 'hi\n'],
	['two writers in turn under one redirection', 'mkfifo f; (echo a; echo b) >f & ipc-pipe recv ./f; wait', 'a\nb\n'],
	['a symbolic link in a path is followed', 'mkfifo f; ln -s f l; echo hi >f & ipc-pipe recv ./l; wait', 'hi\n'],
] as const) {
	test(title, async (t) => {
		const world = new World(t);
		assertDone(await world.shell(line, {cwd: world.scratch}), expected);
	});
}

test('memory stays flat however much flows', async (t) => {
	const world = new World(t);
	const peaks: number[] = [];
	for (const size of ['1M', `${rounds(512, 4096)}M`]) {
		const receiver = world.startOther('bash', ['-c', 'exec ipc-pipe recv x >/dev/null']);
		const sender = world.startOther('bash', ['-c', `head -c ${size} /dev/zero | (exec ipc-pipe send x --ready-fd 3)`]);
		let peak = 0;
		const look = setInterval(() => {
			peak = Math.max(peak, peakMemory(receiver.pid) || 0);
		}, 2);
		assertDone(await sender.end());
		assertDone(await receiver.end());
		clearInterval(look);
		peaks.push(peak);
	}
	const [small = 0, large = 0] = peaks;
	assert.ok(large < small + 8 * MiB, `${small} bytes for 1 MiB, ${large} for more`);
});

test('send gives up waiting for a reader: 124, and with -n at once: 3', async (t) => {
	const world = new World(t);
	assertFails(await world.pipe('send', '-t', '50ms'), 124, '');
	assertFails(await world.pipe('send', '-t', '50ms', '-E', '9'), 9, '');
	assertFails(await world.pipe('send', '-n'), 3, '');
	world.assertNothingLeft();
});

test('recv gives up waiting for data: 124, and with -n at once: 3', async (t) => {
	const world = new World(t);
	assertFails(await world.pipe('recv', '-t', '50ms'), 124, '');
	assertFails(await world.pipe('recv', '-n'), 3, '');
	world.assertNothingLeft();
});

test('recv -n takes what is there and does not wait for more', async (t) => {
	const world = new World(t);
	await world.pipe('create', 'x');
	const writer = await world.startOther(peer('fifo-peer'), ['readwrite', world.path('x')]).printed('open');
	writer.stdin.write('x hello\n');
	await writer.printed('6\n');
	assertDone(await world.pipe('recv', 'x', '-n'), 'hello\n');
	assertFails(await world.pipe('recv', 'x', '-n'), 3, '');
	assertFails(await world.pipe('recv', 'x', '-t', '20ms'), 124, '');
});

test('a full FIFO: -t says how much was sent, 124', async (t) => {
	const world = new World(t);
	await world.pipe('create', 'x');
	const reader = await world.startOther(peer('fifo-peer'), ['readwrite', world.path('x')]).printed('open');
	writeFileSync(world.file('in'), Buffer.alloc(100_000));
	const ended = await world.shell('ipc-pipe send x -t 50ms --size 4096 <in', {cwd: world.scratch});
	assertFails(ended, 124, "ipc-pipe: gave up: 'x' is full, 4096 bytes sent\n");
	const soon = await world.run('ipc-pipe', ['send', 'x', '-n', '--size', '4096'], {input: Buffer.alloc(100_000)});
	assertFails(soon, 3, /^ipc-pipe: gave up: 'x' is full, 0 bytes sent\n$/);
	await reader.end();
});

test('recv --follow outlives writers, and notices when its own reader has gone', async (t) => {
	const world = new World(t);
	const receiver = await world.start('ipc-pipe', ['recv', 'x', '--follow', '--ready-fd', '3']).ready();
	for (const word of ['one', 'two', 'three']) {
		assertDone(await world.run('ipc-pipe', ['send', 'x'], {input: `${word}\n`}));
		await receiver.printed(`${word}\n`);
	}
	receiver.stdout.destroy();
	const {signal, stderr} = await receiver.end();
	assert.deepEqual({signal, stderr}, {signal: 'SIGPIPE', stderr: ''});
	world.assertNothingLeft();
});

test('recv --writers ends after N have come and gone, two at once counted as two', async (t) => {
	const world = new World(t);
	const receiver = await world.start('ipc-pipe', ['recv', 'x', '--writers', '3', '--ready-fd', '3']).ready();
	const peers = ['a', 'b'].map((word) => ({
		word,
		peer: world.startOther(peer('fifo-peer'), ['write', world.path('x')]),
	}));
	for (const {word, peer} of peers) {
		await peer.printed('open');
		peer.stdin.write(`x ${word}\n`);
		await peer.printed('2\n');
	}
	// Both leave before it looks again.
	receiver.kill('SIGSTOP');
	await until('it has stopped', () => isStopped(receiver.pid));
	for (const {peer} of peers) await peer.end();
	receiver.kill('SIGCONT');
	assertDone(await world.run('ipc-pipe', ['send', 'x'], {input: 'c\n'}));
	assertDone(await receiver.end(), 'a\nb\nc\n');
	world.assertNothingLeft();
});

test('recv --writers 1 ends when the first leaves, though another stays', async (t) => {
	const world = new World(t);
	await world.pipe('create', 'x');
	const receiver = await world.start('ipc-pipe', ['recv', 'x', '--writers', '1', '--ready-fd', '3']).ready();
	const stays = await world.startOther(peer('fifo-peer'), ['write', world.path('x')]).printed('open');
	assertDone(await world.run('ipc-pipe', ['send', 'x'], {input: 'first\n'}));
	assertDone(await receiver.end(), 'first\n');
	await stays.end();
});

test('ipc-pipe recv | head -1 ends by SIGPIPE, without a word', async (t) => {
	const world = new World(t);
	const ended = await world.shell(
		'(ipc-pipe recv x; echo "status $?" >&2) | head -1 & yes | ipc-pipe send x 2>/dev/null; wait',
	);
	assert.equal(ended.stdout.toString(), 'y\n');
	assert.equal(ended.stderr, 'status 141\n');
	world.assertNothingLeft();
});

test('the reader that leaves in the middle is reported, with how much was sent', async (t) => {
	const world = new World(t);
	await world.pipe('create', 'x');
	const ended = await world.shell('head -c 10 "$RUN/x" >/dev/null & head -c 100M /dev/zero | ipc-pipe send x');
	assertFails(ended, 1, /^ipc-pipe: cannot send to 'x': the reader left after [0-9]+ bytes\n$/);
});

test('a reader that leaves while stdin is silent is noticed', async (t) => {
	const world = new World(t);
	await world.pipe('create', 'x');
	const reader = world.startOther(peer('fifo-peer'), ['read', world.path('x')]);
	const sender = world.start('ipc-pipe', ['send', 'x']);
	await reader.printed('open');
	await reader.end();
	// Its stdin stays open and silent all the while.
	await sender.closed;
	assert.equal(sender.child.exitCode, 1);
	assert.equal(sender.errors, "ipc-pipe: cannot send to 'x': the reader left after 0 bytes\n");
});

test('stdout on a full device: an error that says how much, and what came is not dropped in silence', async (t) => {
	const world = new World(t);
	const ended = await world.shell(
		'echo hello | ipc-pipe send x 2>/dev/null & ipc-pipe recv x >/dev/full; echo $?; wait',
	);
	assert.equal(ended.stdout.toString(), '1\n');
	assert.match(
		ended.stderr,
		/^ipc-pipe: cannot write to stdout: no space left on the device \([0-9]+ bytes were written\)\n$/,
	);
	world.assertNothingLeft();
});

test('stdin that is a folder is refused', async (t) => {
	const world = new World(t);
	const ended = await world.shell('ipc-pipe recv x & ipc-pipe send x </tmp; echo $?; wait');
	assert.equal(ended.stdout.toString(), '1\n');
	assert.equal(ended.stderr, 'ipc-pipe: cannot read stdin: it is a folder\n');
});

test('send --tee copies to stdout as well', async (t) => {
	const world = new World(t);
	const receiver = world.start('ipc-pipe', ['recv', 'x']);
	assertDone(await world.run('ipc-pipe', ['send', 'x', '--tee'], {input: 'hello\n'}), 'hello\n');
	assertDone(await receiver.end(), 'hello\n');
});

test('what is written to a file after it was sent does not show in what was sent', async (t) => {
	const world = new World(t);
	await world.pipe('create', 'x');
	writeFileSync(world.file('in'), 'before');
	const reader = await world.startOther(peer('fifo-peer'), ['readwrite', world.path('x')]).printed('open');
	assertDone(await world.shell('ipc-pipe send x <in', {cwd: world.scratch}));
	writeFileSync(world.file('in'), 'after!');
	assertDone(await world.pipe('recv', 'x', '-n'), 'before');
	await reader.end();
});

test('--size sets the capacity, and what is not allowed is reported', async (t) => {
	const world = new World(t);
	await world.pipe('create', 'x');
	const reader = await world.start('ipc-pipe', ['recv', 'x', '--size', '128K', '--ready-fd', '3']).ready();
	assert.equal(JSON.parse((await world.pipe('stat', 'x', '--json')).stdout.toString()).capacity, 131_072);
	assertFails(await world.pipe('recv', 'x', '--size', '3G'), 1, /^ipc-pipe: cannot give 'x' a capacity of 3\.0G: /);
	reader.kill();
	await reader.end();
});

test('--progress shows amount, rate and time on stderr, and nothing on stdout', async (t) => {
	const world = new World(t);
	const receiver = world.start('ipc-pipe', ['recv', 'x']);
	const {status, stdout, stderr} = await world.run('ipc-pipe', ['send', 'x', '--progress'], {input: 'hello\n'});
	assert.deepEqual({status, stdout: stdout.toString()}, {status: 0, stdout: ''});
	assert.match(stderr, /^6B {2}[0-9.]+[KMGB]\/s {2}[0-9.]+m?s\n$/);
	assertDone(await receiver.end(), 'hello\n');
});

for (const [title, words, message] of [
	['an abstract name', ['send', '@x'], "ipc-pipe: invalid FIFO name '@x': abstract names are for sockets\n"],
	['a name that is a folder', ['recv', '..'], "ipc-pipe: invalid name '..': '..' is a folder\n"],
	[
		'--follow with --writers',
		['recv', '-f', '--writers', '2'],
		'ipc-pipe: --follow and --writers cannot be combined\n',
	],
	[
		'counting one record',
		['recv', '--raw', '-c', '2'],
		'ipc-pipe: --raw and --count cannot be combined: all data is one record\n',
	],
	['two framings', ['send', '-0', '--json'], 'ipc-pipe: records cannot be framed as null and json at once\n'],
	['a mode that is none', ['send', '-m', 'u+w'], "ipc-pipe: --mode: 'u+w' is not a mode: octal digits are expected\n"],
	['two names', ['send', 'a', 'b'], "ipc-pipe: 'b' is one operand too many (expected: [NAME])\n"],
] as const) {
	test(`${title} is refused with status 2`, async (t) => {
		const world = new World(t);
		assertFails(await world.pipe(...words), 2, `${message}Try 'ipc-pipe ${words[0]} --help'.\n`);
		world.assertNothingLeft();
	});
}

test('what is not a FIFO is left alone', async (t) => {
	const world = new World(t);
	mkdirSync(world.folder, {mode: 0o700});
	writeFileSync(world.path('file'), 'precious');
	symlinkSync('file', world.path('link'));
	for (const verb of ['send', 'recv', 'stat', 'remove', 'create']) {
		assertFails(await world.pipe(verb, 'file'), 1, "ipc-pipe: 'file' is a regular file, not a FIFO\n");
		assertFails(await world.pipe(verb, 'link'), 1, "ipc-pipe: 'link' is a symbolic link, not a FIFO\n");
	}
	assertFails(
		await world.pipe('send', './nowhere/x'),
		1,
		"ipc-pipe: cannot open the folder './nowhere': no such folder\n",
	);
	assert.equal(readFileSync(world.path('file'), 'utf8'), 'precious');
});

test('a mode is given as in open(2), the umask applies, and the default is for the owner alone', async (t) => {
	const world = new World(t);
	assertDone(
		await world.shell('umask 022; ipc-pipe create a; ipc-pipe create -m 0666 b; umask 0; ipc-pipe create -m 0666 c'),
	);
	const modes = ['a', 'b', 'c'].map((name) => (statSync(world.path(name)).mode & 0o777).toString(8));
	assert.deepEqual(modes, ['600', '644', '666']);
});

test('waiting for a reader costs no processor time: it sleeps in open(2)', async (t) => {
	const world = new World(t);
	const sender = world.start('ipc-pipe', ['send', 'x']);
	await until('it sleeps in open', () => sleepsIn(sender.pid, /fifo|partner/));
	sender.kill('SIGTERM');
	const {signal, stderr} = await sender.end();
	assert.deepEqual({signal, stderr}, {signal: 'SIGTERM', stderr: ''});
	world.assertNothingLeft();
});

test('a FIFO of another user, without the right: permission denied, and nothing else', {
	skip: process.getuid?.() !== 0 && 'needs root to become another user',
}, async (t) => {
	const world = new World(t);
	chmodSync(world.scratch, 0o755);
	await world.shell('umask 0; mkdir -m 755 d; mkfifo -m 600 d/x', {cwd: world.scratch});
	for (const verb of ['send', 'recv']) {
		const ended = await world.shell(`setpriv --reuid 65534 --clear-groups ipc-pipe ${verb} -t 1 ./d/x`, {
			cwd: world.scratch,
		});
		assertFails(ended, 1, /^ipc-pipe: cannot open '.\/d\/x' for (reading|writing): permission denied\n$/);
	}
});
