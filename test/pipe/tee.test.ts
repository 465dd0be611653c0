import assert from 'node:assert/strict';
import test from 'node:test';
import {needs} from '../support/needs.js';
import {sleepsIn} from '../support/proc.js';
import {peer} from '../support/run.js';
import {until} from '../support/until.js';
import {assertDone, assertFails, World} from '../support/world.js';

const lines = (count: number) => Array.from({length: count}, (_, i) => `line ${i}\n`).join('');

test('many FIFOs and stdout get the same', async (t) => {
	const world = new World(t);
	const receivers = ['a', 'b'].map((name) => world.start('ipc-pipe', ['recv', name]));
	const input = lines(50_000);
	assertDone(await world.run('ipc-pipe', ['tee', 'a', 'b', '-'], {input}), input);
	for (const receiver of receivers) assertDone(await receiver.end(), input);
	world.assertNothingLeft();
});

test('one subscriber dies: the other has every line', async (t) => {
	const world = new World(t);
	const stays = world.start('ipc-pipe', ['recv', 'a']);
	const dies = world.start('ipc-pipe', ['recv', 'b']);
	const source = world.start('ipc-pipe', ['tee', 'a', 'b', '-v']);
	source.stdin.write(lines(1000));
	await dies.printed('line 999\n');
	dies.kill('SIGKILL');
	await dies.end();
	source.stdin.end(lines(200_000));
	const {status, stderr} = await source.end();
	assert.equal(status, 0);
	assertDone(await stays.end(), lines(1000) + lines(200_000));
	assert.match(stderr, /^ipc-pipe: the reader of 'b' has left$/m);
	assert.match(stderr, /'a' received [0-9]+ bytes, missed 0 bytes, connected\n/);
	assert.match(stderr, /'b' received [0-9]+ bytes, missed [1-9][0-9]* bytes, left\n$/);
	world.assertNothingLeft();
});

test('drop: a slow reader misses whole lines and delays no other reader, and the report adds up', async (t) => {
	const world = new World(t);
	await world.pipe('create', 'slow');
	const slow = world.startOther(peer('fifo-peer'), ['read', world.path('slow')]);
	await until('the slow one waits for a writer', () => sleepsIn(slow.pid, /fifo|partner/));
	const quick = await world.start('ipc-pipe', ['recv', 'quick', '--ready-fd', '3']).ready();
	const source = world.start('ipc-pipe', [
		'tee',
		'quick',
		'slow',
		'--on-slow',
		'drop',
		'--buffer',
		'64K',
		'--json',
		'-t',
		'1s',
	]);
	const part = lines(10_000);
	// At a pace that a reader can keep.
	for (let round = 1; round <= 20; round++) {
		source.stdin.write(part);
		await until('the quick one has it', () => quick.received === round * part.length);
	}
	const input = part.repeat(20);
	const {status, stdout} = await source.end();
	// The slow one never reads: at the end what waits for it runs into the timeout.
	assert.equal(status, 124);
	assertDone(await quick.end(), input);
	const reports = stdout
		.toString()
		.trimEnd()
		.split('\n')
		.map((line) => JSON.parse(line));
	assert.deepEqual(
		reports.map(({name, state}) => [name, state]),
		[
			['quick', 'connected'],
			['slow', 'connected'],
		],
	);
	const [, missed] = reports;
	assert.ok(missed.missedRecords > 0);
	assert.deepEqual(Object.keys(missed), ['name', 'bytes', 'waitingBytes', 'missedBytes', 'missedRecords', 'state']);
	assert.equal(missed.bytes + missed.waitingBytes + missed.missedBytes, input.length);
	await slow.end();
});

test('what a dropping tee delivers is whole lines', needs('perl'), async (t) => {
	const world = new World(t);
	await world.pipe('create', 'slow');
	const source = world.start('ipc-pipe', ['tee', 'slow', '--on-slow', 'drop', '--buffer', '1K'], {
		input: lines(300_000),
	});
	const {stdout} = await world.shell(
		'perl -e \'open F, "<", $ARGV[0]; while (sysread F, $b, 3000) {print $b; select undef, undef, undef, 0.001}\' $RUN/slow',
	);
	assertDone(await source.end());
	const received = stdout.toString().trimEnd().split('\n');
	assert.ok(received.length > 0 && received.length <= 300_000);
	let before = -1;
	for (const line of received) {
		const number = Number(/^line ([0-9]+)$/.exec(line)?.[1] ?? Number.NaN);
		assert.ok(number > before, `'${line}' after line ${before}`);
		before = number;
	}
});

test('disconnect: a slow reader is cut off and said, the others go on', async (t) => {
	const world = new World(t);
	await world.pipe('create', 'slow');
	const slow = world.startOther(peer('fifo-peer'), ['read', world.path('slow')]);
	const quick = world.start('ipc-pipe', ['recv', 'quick']);
	const source = world.start('ipc-pipe', ['tee', 'quick', 'slow', '--on-slow', 'disconnect', '--buffer', '256K']);
	const input = lines(10_000);
	// At a pace that a reader can keep.
	for (let round = 1; round <= 20; round++) {
		source.stdin.write(input);
		await until('the quick one has it', () => quick.received === round * input.length);
	}
	const {status, stderr} = await source.end();
	assert.deepEqual({status, stderr}, {status: 0, stderr: "ipc-pipe: disconnected 'slow': more than 256K unread\n"});
	assertDone(await quick.end(), input.repeat(20));
	await slow.end();
});

test('block: the slowest sets the pace, and no reader misses anything', async (t) => {
	const world = new World(t);
	const input = lines(300_000);
	const quick = world.start('ipc-pipe', ['recv', 'quick']);
	const slow = world.startOther('bash', ['-c', 'ipc-pipe recv slow | { sleep 0.3; cat; }']);
	assertDone(await world.run('ipc-pipe', ['tee', 'quick', 'slow', '--buffer', '64K'], {input}));
	assertDone(await quick.end(), input);
	assertDone(await slow.end(), input);
});

test('block: a buffer of 0 bytes passes one piece at a time', async (t) => {
	const world = new World(t);
	const input = lines(50_000);
	assertDone(await world.pipe('tee', '-', '--buffer', '0', '-t', '0'), '');
	assertDone(await world.run('ipc-pipe', ['tee', '-', '--buffer', '0'], {input}), input);
});

test('a blocking tee gives up on a reader that does not read: 124, and says which', async (t) => {
	const world = new World(t);
	await world.pipe('create', 'slow');
	const slow = world.startOther(peer('fifo-peer'), ['read', world.path('slow')]);
	await until('the slow one waits for a writer', () => sleepsIn(slow.pid, /fifo|partner/));
	const ended = await world.run('ipc-pipe', ['tee', 'slow', '-t', '100ms', '--buffer', '64K'], {input: lines(500_000)});
	assertFails(ended, 124, /^ipc-pipe: gave up: the buffer of 'slow' is full, [0-9]+ bytes not sent\n$/);
	await slow.end();
});

test('no reader: 124 with -t, 3 with -n, and nothing is left', async (t) => {
	const world = new World(t);
	assertFails(await world.pipe('tee', 'a', 'b', '-t', '30ms'), 124, '');
	assertFails(await world.pipe('tee', 'a', 'b', '-n'), 3, '');
	world.assertNothingLeft();
});

test('no reader is left: an error, unless stdout was the only one, which ends by SIGPIPE', async (t) => {
	const world = new World(t);
	await world.pipe('create', 'a');
	const gone = await world.shell('head -c1 $RUN/a >/dev/null & yes | ipc-pipe tee a');
	assertFails(gone, 1, /^ipc-pipe: no reader is left after [0-9]+ bytes\n$/);
	const {stderr} = await world.shell('(yes | { ipc-pipe tee -; echo $? >&2; }) | head -1');
	assert.equal(stderr, '141\n');
});

test('stdout is a file or is read slowly: all of it arrives', async (t) => {
	const world = new World(t);
	const input = lines(100_000);
	assertDone(
		await world.shell('seq 100000 | sed "s/^/line /" | ipc-pipe tee - >out; wc -l <out', {cwd: world.scratch}),
		'100000\n',
	);
	const slow = world.startOther('bash', ['-c', 'ipc-pipe tee - | { sleep 0.1; cat; }'], {input});
	assertDone(await slow.end(), input);
});

test('json framing is refused, and so is a policy that is none', async (t) => {
	const world = new World(t);
	assertFails(await world.pipe('tee', 'a', '--framing', 'json'), 2, /--framing json cannot be used with tee/);
	assertFails(await world.pipe('tee', 'a', '--on-slow', 'hurry'), 2, /'hurry' is not one of block, drop, disconnect/);
	assertFails(await world.pipe('tee'), 2, "ipc-pipe: NAME is missing\nTry 'ipc-pipe tee --help'.\n");
});

test('ended by a signal it leaves no FIFO behind', async (t) => {
	const world = new World(t);
	const source = world.start('ipc-pipe', ['tee', 'a', 'b']);
	await until('both are there', () => world.leftovers().length === 2);
	source.kill('SIGTERM');
	assert.equal((await source.end()).signal, 'SIGTERM');
	world.assertNothingLeft();
});
