import assert from 'node:assert/strict';
import {
	chmodSync,
	chownSync,
	closeSync,
	constants,
	existsSync,
	lstatSync,
	mkdirSync,
	openSync,
	readdirSync,
	statSync,
	symlinkSync,
	writeSync,
} from 'node:fs';
import test from 'node:test';
import {isAlive} from '../support/proc.js';
import {rounds} from '../support/rounds.js';
import {peer} from '../support/run.js';
import {runtime} from '../support/runtime.js';
import {asAnother, needsRoot} from '../support/users.js';
import {assertDone, assertFails, World} from '../support/world.js';

const sticky = 0o1000;

test('create makes FIFOs that stay, says when one is there, and --exclusive makes that an error', async (t) => {
	const world = new World(t);
	assertDone(await world.pipe('create', 'a', '/b'), '');
	assert.deepEqual(world.leftovers(), ['a', 'b']);
	assert.ok(world.isFifo('a') && world.isFifo('b'));
	const again = await world.pipe('create', 'a', 'c');
	assert.deepEqual([again.status, again.stderr], [0, "ipc-pipe: 'a' already exists\n"]);
	assertFails(await world.pipe('create', '-x', 'a', 'd'), 1, "ipc-pipe: cannot create 'a': it already exists\n");
	assert.deepEqual(world.leftovers(), ['a', 'b', 'c', 'd']);
	const receiver = world.start('ipc-pipe', ['recv', 'a']);
	assertDone(await world.run('ipc-pipe', ['send', 'a'], {input: 'x'}));
	assertDone(await receiver.end(), 'x');
	assert.deepEqual(world.leftovers(), ['a', 'b', 'c', 'd']);
});

test('remove goes on past a failure and ends nonzero', async (t) => {
	const world = new World(t);
	await world.pipe('create', 'a', 'b');
	assertFails(await world.pipe('rm', 'a', 'nope', 'b'), 1, "ipc-pipe: cannot remove 'nope': no such FIFO\n");
	world.assertNothingLeft();
});

test('a temporary FIFO is marked, and create makes it permanent', async (t) => {
	const world = new World(t);
	const receiver = await world.start('ipc-pipe', ['recv', 'x', '--ready-fd', '3']).ready();
	assert.ok(statSync(world.path('x')).mode & sticky);
	assert.equal(JSON.parse((await world.pipe('stat', 'x', '--json')).stdout.toString()).temporary, true);
	await world.pipe('create', 'x');
	assert.equal(statSync(world.path('x')).mode & sticky, 0);
	receiver.kill();
	await receiver.end();
	assert.deepEqual(world.leftovers(), ['x']);
});

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
	test(`${signal} cleans up, and then ends by that signal`, async (t) => {
		const world = new World(t);
		for (const verb of ['recv', 'send']) {
			const running = await world.start('ipc-pipe', [verb, 'x', '--ready-fd', '3']).ready();
			running.kill(signal);
			const ended = await running.end();
			assert.deepEqual({signal: ended.signal, stderr: ended.stderr}, {signal, stderr: ''});
			world.assertNothingLeft();
		}
	});
}

for (const [verb = '', ...names] of [
	['recv', 'x'],
	['send', 'x'],
	['tee', 'x', 'y'],
])
	test(`${verb}: SIGTERM as soon as the FIFO is there leaves none behind`, async (t) => {
		const world = new World(t);
		for (let round = 0; round < rounds(30, 300); round++) {
			const running = world.start('ipc-pipe', [verb, ...names]);
			// Without a pause: it catches signals from the moment before.
			while (!existsSync(world.path('x'))) assert.ok(isAlive(running.pid), running.errors);
			running.kill();
			const {signal, stderr} = await running.end();
			assert.deepEqual({signal, stderr}, {signal: 'SIGTERM', stderr: ''});
			world.assertNothingLeft();
		}
	});

test('SIGKILL of either side leaves nothing that a next start trips over', async (t) => {
	const world = new World(t);
	for (const [dies, lives] of [
		['recv', 'send'],
		['send', 'recv'],
	] as const) {
		const killed = await world.start('ipc-pipe', [dies, 'x', '--ready-fd', '3']).ready();
		killed.kill('SIGKILL');
		await killed.end();
		assert.deepEqual(world.leftovers(), ['x']);
		const first = world.start('ipc-pipe', [lives, 'x'], {input: 'fresh\n'});
		const second = world.start('ipc-pipe', [dies, 'x'], {input: 'fresh\n'});
		for (const running of [first, second]) assert.equal((await running.end()).status, 0);
		world.assertNothingLeft();
	}
});

test('the last of several users removes it, whichever process made it', async (t) => {
	const world = new World(t);
	const receiver = await world.start('ipc-pipe', ['recv', 'x', '--ready-fd', '3']).ready();
	const other = await world.start('ipc-pipe', ['recv', 'x', '--ready-fd', '3']).ready();
	receiver.kill();
	await receiver.end();
	assert.deepEqual(world.leftovers(), ['x']);
	other.kill();
	await other.end();
	world.assertNothingLeft();
});

test('a stranger who has it open keeps it', async (t) => {
	const world = new World(t);
	const receiver = await world.start('ipc-pipe', ['recv', 'x', '--ready-fd', '3']).ready();
	const stranger = await world.startOther(peer('fifo-peer'), ['readwrite', world.path('x')]).printed('open');
	receiver.kill();
	await receiver.end();
	assert.deepEqual(world.leftovers(), ['x']);
	await stranger.end();
});

test('many come and go at once: each pair gets its own, no process hangs, nothing is left', async (t) => {
	const world = new World(t);
	for (let round = 0; round < rounds(4, 40); round++) {
		const pairs = ['a', 'b', 'c'].flatMap((name) => [
			world.start('ipc-pipe', ['recv', name]),
			world.start('ipc-pipe', ['send', name], {input: `${name}${round}`}),
		]);
		const ended = await Promise.all(pairs.map((running) => running.end()));
		assert.deepEqual(
			ended.map(({status, stderr}) => [status, stderr]),
			Array(6).fill([0, '']),
		);
		assert.deepEqual(
			ended.map(({stdout}) => stdout.toString()),
			['a', '', 'b', '', 'c', ''].map((name) => name && name + round),
		);
		world.assertNothingLeft();
	}
});

test('removed while a process waits: the waiting one is not disturbed, and the name is free', async (t) => {
	const world = new World(t);
	const receiver = await world.start('ipc-pipe', ['recv', 'x', '--ready-fd', '3']).ready();
	const writer = openSync(world.path('x'), constants.O_WRONLY | constants.O_NONBLOCK);
	assertDone(await world.pipe('remove', 'x'), '');
	assertDone(await world.pipe('create', 'x'), '');
	writeSync(writer, 'from before');
	closeSync(writer);
	assertDone(await receiver.end(), 'from before');
	assert.deepEqual(world.leftovers(), ['x']);
});

test('the runtime folder is made for its owner alone', async (t) => {
	const world = new World(t);
	assertDone(await world.shell('umask 0; ipc-pipe create x'));
	assert.equal(statSync(world.folder).mode & 0o777, 0o700);
});

test('without IPC_RUNTIME_DIR it is ipc in XDG_RUNTIME_DIR', async (t) => {
	const world = new World(t);
	assertDone(
		await world.run('ipc-pipe', ['create', 'x'], {env: {IPC_RUNTIME_DIR: '', XDG_RUNTIME_DIR: world.scratch}}),
	);
	assert.ok(lstatSync(world.file('ipc/x')).isFIFO());
});

const hostile = (title: string, prepare: (world: World) => void, why: RegExp, options = {}) =>
	test(`a hostile runtime folder is refused by every verb: ${title}`, options, async (t) => {
		const world = new World(t);
		prepare(world);
		for (const words of [
			['create', 'x'],
			['send', 'x'],
			['recv', 'x'],
			['list'],
			['stat', 'x'],
			['remove', 'x'],
			['tee', 'x'],
			['wait', 'x', '--data', '-n'],
		])
			assertFails(await world.pipe(...words), 1, why);
	});
hostile(
	'a symbolic link',
	(world) => {
		mkdirSync(world.file('elsewhere'), {mode: 0o700});
		symlinkSync(world.file('elsewhere'), world.folder);
	},
	/^ipc-pipe: refusing the runtime folder '.*\/run': it is a symbolic link \(set IPC_RUNTIME_DIR to use another folder\)\n$/,
);
hostile(
	'writable by the group',
	(world) => {
		mkdirSync(world.folder);
		chmodSync(world.folder, 0o770);
	},
	/other users can write to it \(run: chmod go-w\)/,
);
hostile(
	'a foreign owner',
	(world) => {
		mkdirSync(world.folder, {mode: 0o700});
		chownSync(world.folder, 65_534, 65_534);
	},
	/it belongs to user 65534, not to you/,
	needsRoot,
);
hostile(
	'a file',
	(world) => {
		symlinkSync('/dev/null', world.folder);
		// A dangling or wrong link is a link all the same.
	},
	/it is (a symbolic link|no folder)/,
);

test('a relative runtime folder is refused', async (t) => {
	const world = new World(t);
	assertFails(
		await world.run('ipc-pipe', ['list'], {env: {IPC_RUNTIME_DIR: 'here'}}),
		1,
		/IPC_RUNTIME_DIR must hold an absolute path/,
	);
});

for (const [what, part, shown, why] of [
	['a newline', "$'new\\nline'", 'new\\\\nline', 'it contains a control character'],
	['an escape', "$'\\e[2J'", '\\\\e\\[2J', 'it contains a control character'],
	['bytes that are not UTF-8', "$'\\xff'", runtime === 'small' ? '\\\\xff' : '\ufffd', 'it is not valid UTF-8'],
] as const)
	test(`a runtime folder whose path holds ${what} is refused by every command, and not made`, async (t) => {
		const world = new World(t);
		for (const [variable, below] of [
			['IPC_RUNTIME_DIR', ''],
			['XDG_RUNTIME_DIR', '/ipc'],
		])
			for (const line of ['ipc-pipe create x', 'ipc-pipe list', 'ipc-sock list', 'ipc-signal send HUP @x'])
				assertFails(
					await world.shell(`unset IPC_RUNTIME_DIR; export ${variable}=${world.scratch}/${part}; ${line}`),
					1,
					new RegExp(
						`^ipc-[a-z]+: refusing the runtime folder '${world.scratch}/${shown}${below}': ${why} \\(set IPC_RUNTIME_DIR to use another folder\\)\n$`,
					),
				);
		assert.deepEqual(readdirSync(world.scratch), []);
	});

test('a runtime folder whose parent is missing is explained', async (t) => {
	const world = new World(t);
	assertFails(
		await world.run('ipc-pipe', ['create', 'x'], {env: {IPC_RUNTIME_DIR: '/nowhere/at/all'}}),
		1,
		/cannot create the runtime folder '\/nowhere\/at\/all': the folder above it does not exist/,
	);
});

test('stat as another user does not say that there are no users, which it cannot see', needsRoot, async (t) => {
	const world = new World(t);
	const path = world.file('open.fifo');
	await world.shell(`chmod 755 '${world.scratch}'; mkfifo -m 666 '${path}'`);
	const reader = world.startOther('bash', ['-c', `exec 3<>'${path}'; echo open; exec sleep 60`]);
	await reader.printed('open\n');
	const {stdout} = await world.shell(`${asAnother} ipc-pipe stat '${path}'`);
	assert.match(stdout.toString(), /^queued: +unknown$/m);
	assert.match(stdout.toString(), /^readers: +none that can be seen \(only root sees the processes of other users\)$/m);
	assert.match((await world.pipe('stat', path)).stdout.toString(), /^readers: +\d+ sleep$/m);
});
