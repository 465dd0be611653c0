import assert from 'node:assert/strict';
import test from 'node:test';
import {needs} from '../support/needs.js';
import {hasOpen} from '../support/proc.js';
import {peer} from '../support/run.js';
import {until} from '../support/until.js';
import {assertDone, assertFails, World} from '../support/world.js';

const waiting = (world: World, ...words: string[]) =>
	world.start('ipc-pipe', ['wait', 'x', ...words, '--ready-fd', '3']).ready();

test('until a reader comes, also one that waits in open(2), and the reader does not notice', async (t) => {
	const world = new World(t);
	await world.pipe('create', 'x');
	const waiter = await waiting(world, '--reader');
	const reader = world.startOther('cat', [world.path('x')]);
	assertDone(await waiter.end(), '');
	assertDone(await world.run('ipc-pipe', ['send', 'x'], {input: 'still there\n'}));
	assertDone(await reader.end(), 'still there\n');
});

test('until a writer comes, also one that waits in open(2), and the writer does not notice', async (t) => {
	const world = new World(t);
	await world.pipe('create', 'x');
	const waiter = await waiting(world, '--writer');
	const writer = world.shell('echo hello >$RUN/x');
	assertDone(await waiter.end(), '');
	assertDone(await world.pipe('recv', 'x'), 'hello\n');
	assertDone(await writer);
});

test('a writer that has come and gone between two looks counts', async (t) => {
	const world = new World(t);
	await world.pipe('create', 'x');
	const reader = await world.startOther(peer('fifo-peer'), ['readwrite', world.path('x')]).printed('open');
	const fresh = world.startOther('bash', ['-c', 'read line <$RUN/x; read line'], {env: {RUN: world.folder}});
	const waiter = await waiting(world, '--data');
	// Without it a writer is seen that stays, and no other.
	if (!hasOpen(waiter.pid, /inotify/)) return t.skip('the inotify instances of this user are used up');
	await world.shell('echo a >$RUN/x');
	assertDone(await waiter.end(), '');
	await reader.end();
	fresh.kill();
});

test('until there is data, and until there is none', async (t) => {
	const world = new World(t);
	await world.pipe('create', 'x');
	const both = await world.startOther(peer('fifo-peer'), ['readwrite', world.path('x')]).printed('open');
	assertFails(await world.pipe('wait', 'x', '--data', '-n'), 3, '');
	assertDone(await world.pipe('wait', 'x', '--empty', '-n'), '');
	const data = await waiting(world, '--data');
	both.stdin.write('w 100\n');
	assertDone(await data.end(), '');
	assertFails(await world.pipe('wait', 'x', '--empty', '-n'), 3, '');
	const empty = await waiting(world, '--empty');
	both.stdin.write('r 1000\n');
	assertDone(await empty.end(), '');
	await both.end();
});

test('a FIFO that is not there yet is waited for', async (t) => {
	const world = new World(t);
	const waiter = await waiting(world, '--writer');
	const sender = world.start('ipc-pipe', ['send', 'x'], {input: 'x'});
	assertDone(await waiter.end(), '');
	sender.kill();
	await sender.end();
	world.assertNothingLeft();
});

test('gives up: 124, or as -E says; -n never waits: 3', async (t) => {
	const world = new World(t);
	assertFails(await world.pipe('wait', 'x', '--reader', '-t', '30ms'), 124, '');
	assertFails(await world.pipe('wait', 'x', '--writer', '-t', '30ms', '-E', '7'), 7, '');
	assertFails(await world.pipe('wait', 'x', '--data', '-n'), 3, '');
});

test('what to wait for has to be said, and only one thing', async (t) => {
	const world = new World(t);
	assertFails(await world.pipe('wait'), 2, /no condition is given: --reader, --writer, --data or --empty/);
	assertFails(await world.pipe('wait', '--data', '--empty'), 2, /--data and --empty cannot be combined/);
});

test('stat tells readers and writers, waiting ones too, capacity and bytes', async (t) => {
	const world = new World(t);
	await world.pipe('create', 'x', '-m', '0640');
	const look = async () => JSON.parse((await world.pipe('stat', 'x', '--json')).stdout.toString());
	assert.deepEqual(await look(), {
		name: 'x',
		path: world.path('x'),
		mode: '0640',
		owner: (await look()).owner,
		temporary: false,
		capacity: null,
		queued: 0,
		readers: [],
		writers: [],
	});
	const reader = world.startOther(peer('fifo-peer'), ['read', world.path('x')]);
	await until('the reader waits', async () => (await look()).readers[0]?.waiting === true);
	const writer = await world.startOther(peer('fifo-peer'), ['write', world.path('x')]).printed('open');
	// Woken in open(2), and not running yet, it neither waits nor has a descriptor.
	await reader.printed('open');
	writer.stdin.write('w 123\n');
	await writer.printed('123\n');
	const {readers, writers, capacity, queued} = await look();
	assert.deepEqual(
		{readers, writers, capacity, queued},
		{
			readers: [{pid: reader.pid, command: 'fifo-peer', waiting: false}],
			writers: [{pid: writer.pid, command: 'fifo-peer', waiting: false}],
			capacity: 65_536,
			queued: 123,
		},
	);
	await reader.end();
	// Without a reader the writer's own descriptor is asked.
	assert.deepEqual((({queued, readers}) => ({queued, readers}))(await look()), {queued: 123, readers: []});
	await writer.end();
});

test('stat and list as a person reads them', async (t) => {
	const world = new World(t);
	assertDone(await world.pipe('list'), 'NAME  MODE  OWNER  QUEUED  CAPACITY  READERS  WRITERS  LIFE\n');
	await world.pipe('create', 'log', 'jobs');
	const {stdout} = await world.pipe('list', '--no-headings', '-o', 'name,mode,life');
	assert.equal(stdout.toString(), 'jobs  0600  permanent\nlog   0600  permanent\n');
	const stat = (await world.pipe('stat', 'log')).stdout.toString();
	assert.match(
		stat,
		/^path: {5}\/.*\/run\/log\nmode: {5}0600\nowner: {4}\w+\nlife: {5}permanent\ncapacity: none: no process has the FIFO open\nqueued: {3}0 bytes\nreaders: {2}none\nwriters: {2}none\n$/,
	);
	const json = (await world.pipe('ls', '--json')).stdout.toString().trimEnd().split('\n');
	assert.deepEqual(
		json.map((line) => JSON.parse(line).name),
		['jobs', 'log'],
	);
	assertFails(await world.pipe('list', '-o', 'name,size'), 2, /unknown column 'size' \(columns: name, mode/);
	assertFails(
		await world.pipe('stat', 'nope'),
		1,
		"ipc-pipe: cannot open 'nope': no such FIFO (make it with: ipc-pipe create nope)\n",
	);
});

test('colour only where it is wanted', async (t) => {
	const world = new World(t);
	const heading = async (env: Record<string, string>, ...words: string[]) =>
		(await world.run('ipc-pipe', ['list', ...words], {env})).stdout.includes(27);
	assert.deepEqual(
		[
			await heading({}),
			await heading({}, '--color', 'always'),
			await heading({FORCE_COLOR: '1'}),
			await heading({FORCE_COLOR: '1', NO_COLOR: '1'}),
			await heading({FORCE_COLOR: '1'}, '--color', 'never'),
		],
		[false, true, true, false, false],
	);
});

test('watch prints a JSON line per change when nobody looks at a terminal', async (t) => {
	const world = new World(t);
	const watcher = world.start('ipc-pipe', ['watch', 'x', '-i', '20ms']);
	await world.pipe('create', 'x');
	await watcher.printed('"readers":[]');
	const reader = world.startOther('cat', [world.path('x')]);
	await watcher.printed('"command":"cat"');
	await world.pipe('remove', 'x');
	await watcher.printed('"removed":true');
	watcher.kill();
	const {stdout, signal} = await watcher.end();
	assert.equal(signal, 'SIGTERM');
	const lines = stdout.toString().trimEnd().split('\n');
	assert.ok(
		lines.every((line, i) => line !== lines[i - 1]),
		'a line without a change',
	);
	assert.deepEqual(JSON.parse(lines.at(-1) as string), {path: world.path('x'), removed: true});
	reader.kill();
});

test('watch --count ends after N changes', async (t) => {
	const world = new World(t);
	await world.pipe('create', 'x');
	const {status, stdout} = await world.pipe('watch', 'x', '--count', '1');
	assert.deepEqual([status, JSON.parse(stdout.toString()).name], [0, 'x']);
});

test('watch draws in place on a terminal and gives the cursor back on Ctrl-C', needs('script'), async (t) => {
	const world = new World(t);
	await world.pipe('create', 'x');
	const watcher = world.startOther('script', ['-qec', 'ipc-pipe watch x -i 20ms', '/dev/null'], {env: {TERM: 'xterm'}});
	await watcher.printed('level:');
	await watcher.printed('\x1b[10A');
	watcher.stdin.write('\x03');
	const {stdout} = await watcher.end();
	assert.ok(stdout.toString().startsWith('\x1b[?25l'));
	assert.ok(stdout.toString().endsWith('\x1b[?25h'));
});
