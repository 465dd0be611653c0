import assert from 'node:assert/strict';
import {chmodSync, chownSync, mkdirSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'node:test';
import {CallWorld, errorOf, request} from '../support/calls.js';
import {anotherUser, isRoot, needsRoot} from '../support/users.js';
import {assertDone, assertFails} from '../support/world.js';

test('a method gets its parameters as arguments and as JSON on stdin, and who calls', async (t) => {
	const world = new CallWorld(t);
	world.method('show', 'printf "<%s>" "$@"', 'cat', 'echo "$IPC_METHOD $IPC_PEER_UID $IPC_PEER_GID $IPC_PEER_PID"');
	const server = await world.serveMethods();
	const client = await world.client('calc');
	const me = `show ${process.getuid?.()} ${process.getgid?.()} ${process.pid}`;
	const shows = async (params: string, printed: string) => {
		const call = `{"jsonrpc":"2.0","method":"show","params":${params},"id":1}\n`;
		assert.equal(JSON.parse(await client.say(call).line()).result, printed);
	};
	await shows(
		'["a b", "", 1.0, true, null, {"x": [1]}, "-n"]',
		`<a b><><1.0><true><null><{"x":[1]}><-n>["a b","",1.0,true,null,{"x":[1]},"-n"]\n${me}`,
	);
	await shows(
		'{"a": "x y", "b": 12345678901234567890}',
		`<a=x y><b=12345678901234567890>{"a":"x y","b":12345678901234567890}\n${me}`,
	);
	await shows('[]', `<>[]\n${me}`);
	const call = '{"jsonrpc":"2.0","method":"show","params":["a\\u0000b"],"id":1}\n';
	assert.equal(errorOf(await client.say(call).line()).code, -32602);
	const tooLong = request('show', ['x'.repeat(200_000)], 1);
	assert.deepEqual(errorOf(await client.say(tooLong).line()), {
		code: -32602,
		message: 'Invalid params',
		data: 'too long to be passed as arguments',
	});
	client.leave();
	server.kill();
	await server.end();
	await world.serveMethods('--stdin');
	const other = await world.client('calc');
	const {result: text} = JSON.parse(await other.say(tooLong).line());
	assert.equal(text.length, `<>["${'x'.repeat(200_000)}"]\n${me}`.length);
	other.leave();
});

const prints = (what: string, output: string, value: string) =>
	test(`what a method prints: ${what}`, async (t) => {
		const world = new CallWorld(t);
		writeFileSync(world.file('output'), output, 'latin1');
		world.method('print', `cat '${world.file('output')}'`);
		await world.serveMethods();
		assertDone(await world.call('calc', 'print'), `${value}\n`);
	});
prints(
	'JSON is the result as it is',
	' {"a": 1.0,\n "b": [12345678901234567890]}\n',
	'{"a":1.0,"b":[12345678901234567890]}',
);
prints('anything else is a string, less one newline', 'a b\n\n', '"a b\\n"');
prints('a number', '42\n', '42');
prints('what only looks like a number', '042\n', '"042"');
prints('several values are no value', '{}\n{}\n', '"{}\\n{}"');
prints('nothing is null', '', 'null');
prints('an empty line is an empty string', '\n', '""');
prints('bytes that are no text', '\xff\x00', '{"base64":"/wA="}');

test('bytes that are no text come out as they went in', async (t) => {
	const world = new CallWorld(t);
	const bytes = Buffer.from(Array.from({length: 100_000}, (_, i) => (i * 7) % 256));
	writeFileSync(world.file('bytes'), bytes);
	world.method('bytes', `cat '${world.file('bytes')}'`);
	await world.serveMethods();
	assertDone(await world.call('calc', 'bytes', '--raw-output'), bytes);
	// What only looks like it stays as it is.
	world.method('other', `echo '{"base64":"a*b"}'`);
	assertDone(await world.call('calc', 'other', '--raw'), '{"base64":"a*b"}\n');
});

test('of several folders the first that has the method counts, and what is not a method is none', async (t) => {
	const world = new CallWorld(t);
	world.script('a/both', '#!/bin/sh', 'echo a');
	world.script('b/both', '#!/bin/sh', 'echo b');
	world.script('b/only', '#!/bin/sh', 'echo b');
	world.script('b/linked', '#!/bin/sh', 'echo linked');
	symlinkSync('../b/linked', world.file('a/link'));
	symlinkSync('nowhere', world.file('a/dangling'));
	symlinkSync('loop', world.file('a/loop'));
	symlinkSync('both/x', world.file('a/behind-file'));
	symlinkSync('x'.repeat(300), world.file('a/too-long'));
	world.script('a/plain', 'no program');
	chmodSync(world.file('a/plain'), 0o644);
	world.script('b/plain', '#!/bin/sh', 'echo behind');
	mkdirSync(world.file('a/folder'));
	world.script('a/.hidden', '#!/bin/sh', 'echo hidden');
	world.script('outside', '#!/bin/sh', 'echo outside');
	await world.serve('calc', ['--methods', 'a', '--methods', 'b']);
	assertDone(await world.call('calc', '--list'), 'both\nlink\nlinked\nonly\nplain\n');
	assertDone(await world.call('calc', 'both'), '"a"\n');
	assertDone(await world.call('calc', 'only'), '"b"\n');
	assertDone(await world.call('calc', 'link'), '"linked"\n');
	assertDone(await world.call('calc', 'plain'), '"behind"\n');
	const names = [
		'../outside',
		'/bin/true',
		'./both',
		'a/both',
		'.',
		'..',
		'',
		'.hidden',
		'folder',
		'dangling',
		'loop',
		'behind-file',
		'too-long',
		'rpc.x',
	];
	for (const name of [...names, 'both\0', 'x'.repeat(300), '../a/both'])
		assert.deepEqual(
			JSON.parse(await (await world.client('calc')).say(request(name, [], 1)).rest()),
			{jsonrpc: '2.0', error: {code: -32601, message: 'Method not found'}, id: 1},
			name,
		);
	world.script('b/new', '#!/bin/sh', 'echo new');
	assertDone(await world.call('calc', 'new'), '"new"\n');
	rmSync(world.file('a/both'));
	assertDone(await world.call('calc', 'both'), '"b"\n');
});

test('a folder that goes away, or is not a folder any more, has no methods', async (t) => {
	const world = new CallWorld(t);
	world.script('a/one', '#!/bin/sh', 'echo 1');
	world.script('b/two', '#!/bin/sh', 'echo 2');
	await world.serve('calc', ['--methods', 'a', 'b']);
	assertDone(await world.call('calc', 'one'), '1\n');
	rmSync(world.file('a'), {recursive: true});
	writeFileSync(world.file('a'), '');
	assertFails(await world.call('calc', 'one'), 1, 'ipc-sock: one: method not found (-32601)\n');
	assertDone(await world.call('calc', 'two'), '2\n');
	assertDone(await world.call('calc', '--list'), 'two\n');
	rmSync(world.file('a'));
	symlinkSync('a', world.file('a'));
	assertFails(await world.call('calc', 'one'), 1, 'ipc-sock: one: method not found (-32601)\n');
	assertDone(await world.call('calc', 'two'), '2\n');
});

test('a folder that may not be looked into any more', {skip: isRoot ? 'not for root' : false}, async (t) => {
	const world = new CallWorld(t);
	world.script('a/one', '#!/bin/sh', 'echo 1');
	world.script('b/two', '#!/bin/sh', 'echo 2');
	await world.serve('calc', ['--methods', 'a', 'b']);
	chmodSync(world.file('a'), 0);
	try {
		assertFails(await world.call('calc', 'one'), 1, 'ipc-sock: one: method not found (-32601)\n');
		assertDone(await world.call('calc', 'two'), '2\n');
	} finally {
		chmodSync(world.file('a'), 0o755);
	}
});

test('a folder or a method that others may write to: refused, or a warning', async (t) => {
	const world = new CallWorld(t);
	world.method('one', 'echo 1');
	world.method('open', 'echo 2');
	const folder = world.file('methods');
	const words = ['serve', 'calc', '--methods', folder];
	for (const mode of [0o777, 0o1777, 0o702]) {
		chmodSync(folder, mode);
		assertFails(
			await world.run('ipc-sock', words),
			1,
			`ipc-sock: refusing the methods in '${folder}': every user may write in that folder, and decide what is run (chmod o-w would help)\n`,
		);
	}
	chmodSync(folder, 0o775);
	const server = await world.serve('calc', ['--methods', folder]);
	chmodSync(join(folder, 'open'), 0o757);
	assertDone(await world.call('calc', 'one'), '1\n');
	assertFails(await world.call('calc', 'open'), 1, 'ipc-sock: open: internal error (-32603)\n');
	assertDone(await world.call('calc', '--list'), 'one\n');
	server.kill();
	assert.equal(
		(await server.end()).stderr,
		`ipc-sock: its group may write in '${folder}' and so decide what is run as this user\n` +
			`ipc-sock: cannot answer a call of 'open': refusing to run '${folder}/open': every user may write to it (chmod o-w would help)\n`,
	);
});

test('a folder of another user: a warning', needsRoot, async (t) => {
	const world = new CallWorld(t);
	world.method('one', 'echo 1');
	chownSync(world.file('methods'), anotherUser, anotherUser);
	const server = await world.serveMethods();
	server.kill();
	assert.match(
		(await server.end()).stderr,
		new RegExp(`^ipc-sock: its owner, .*${anotherUser}, may write in 'methods' and so decide .*\n$`),
	);
});

test('the folders may also follow one another on the command line', async (t) => {
	const world = new CallWorld(t);
	world.script('a/one', '#!/bin/sh', 'echo 1');
	world.script('b/two', '#!/bin/sh', 'echo 2');
	await world.serve('calc', ['--methods', 'a', 'b']);
	assertDone(await world.call('calc', '--list'), 'one\ntwo\n');
});

const fails = (what: string, lines: string[], error: object) =>
	test(`a method that ${what}`, async (t) => {
		const world = new CallWorld(t);
		world.method('bad', ...lines);
		await world.serveMethods('--timeout', '250');
		const client = await world.client('calc');
		assert.deepEqual(errorOf(await client.say(request('bad', [], 1)).rest()), error);
	});
fails('fails: its status and what it said', ['echo said >&2', 'exit 3'], {
	code: -32000,
	message: "'bad' exited with status 3",
	data: {status: 3, stderr: 'said\n'},
});
fails('is killed', ['kill -9 $$'], {
	code: -32000,
	message: "'bad' was killed by SIGKILL",
	data: {status: 137, stderr: ''},
});
fails('says too much: the end of it counts', ['seq 10000 >&2', 'exit 1'], {
	code: -32000,
	message: "'bad' exited with status 1",
	data: {
		status: 1,
		stderr: Array.from({length: 10_000}, (_, i) => `${i + 1}\n`)
			.join('')
			.slice(-4096),
	},
});
test('what a method says on stderr and does not travel is passed on whole', async (t) => {
	const world = new CallWorld(t);
	world.method('good', 'seq 10000 >&2', 'echo 1');
	world.method('bad', 'seq 20001 30000 >&2', 'exit 1');
	const server = await world.serveMethods();
	assertDone(await world.call('calc', 'good'), '1\n');
	const {stderr: travelled} = await world.call('calc', 'bad');
	server.kill();
	const lines = (from: number, to: number) => Array.from({length: to - from + 1}, (_, i) => `${from + i}\n`).join('');
	const [, ...end] = travelled.split(/^(?=.*\n)/m);
	assert.equal((await server.end()).stderr + end.join(''), lines(1, 10_000) + lines(20_001, 30_000));
});

fails('prints without end', ['exec yes'], {code: -32000, message: "'bad' printed more than 16777216 bytes"});

test('a method that cannot be run', async (t) => {
	const world = new CallWorld(t);
	world.script('methods/bad', '#!/no/such/interpreter');
	await world.serveMethods();
	assertFails(
		await world.call('calc', 'bad'),
		1,
		"ipc-sock: bad: 'bad' cannot be run: it, or the interpreter it names, was not found (-32000)\n",
	);
});
