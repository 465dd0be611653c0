import assert from 'node:assert/strict';
import {once} from 'node:events';
import {chmodSync, chownSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {connect} from 'node:net';
import {join} from 'node:path';
import test from 'node:test';
import {JsonSplitter} from '../../src/sock/rpc/json-splitter.js';
import {CallWorld, Client, request} from '../support/calls.js';
import {needs} from '../support/needs.js';
import {isAlive, peakMemory, pidsOf, socketsOf} from '../support/proc.js';
import {fc} from '../support/property.js';
import {isRoot} from '../support/queues.js';
import {rounds} from '../support/rounds.js';
import {peer, root, run} from '../support/run.js';
import {freePort} from '../support/sockets.js';
import {until} from '../support/until.js';
import {assertDone, assertFails} from '../support/world.js';

const worker = ['--', 'python3', join(root, 'test', 'peers', 'rpc-worker.py')];
const errorOf = (line: string) => JSON.parse(line).error;
const parseError = '{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"},"id":null}';
const invalid = '{"jsonrpc":"2.0","error":{"code":-32600,"message":"Invalid Request"},"id":null}';
const result = (id: number | string, value: string) => `{"jsonrpc":"2.0","result":${value},"id":${id}}`;

/** A duration that occurs in no other test's `sleep`. */
let sleeps = 0;
const longSleep = () => `${1000 + sleeps++}.${process.pid}`;

test('the examples of the standard', needs('python3'), async (t) => {
	const world = new CallWorld(t);
	world.method(
		'subtract',
		'python3 -c \'import json,sys; p=json.load(sys.stdin); print(p[0]-p[1] if isinstance(p,list) else p["minuend"]-p["subtrahend"])\'',
	);
	world.method('update', 'true');
	world.method('sum', 'echo $(($1 + $2 + $3))');
	world.method('notify_hello', 'true');
	world.method('get_data', 'echo \'["hello",5]\'');
	await world.serveMethods('--jobs', '1');
	const client = await world.client('calc');
	const answers = async (asked: string, answer: string) =>
		assert.deepEqual(JSON.parse(await client.say(`${asked}\n`).line()), JSON.parse(answer));
	await answers('{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}', result(1, '19'));
	await answers('{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}', result(2, '-19'));
	const named = '{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}';
	await answers(named, result(3, '19'));
	client.say('{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}\n');
	client.say('{"jsonrpc": "2.0", "method": "foobar"}\n');
	const notFound = '{"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": "1"}';
	await answers('{"jsonrpc": "2.0", "method": "foobar", "id": "1"}', notFound);
	await answers('{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', parseError);
	await answers('{"jsonrpc": "2.0", "method": 1, "params": "bar"}', invalid);
	await answers(
		'[\n{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},\n{"jsonrpc": "2.0", "method"\n]',
		parseError,
	);
	await answers('[]', invalid);
	await answers('[1]', `[${invalid}]`);
	await answers('[1,2,3]', `[${invalid},${invalid},${invalid}]`);
	await answers(
		`[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
		{"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
		{"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
		{"foo": "boo"},
		{"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
		{"jsonrpc": "2.0", "method": "get_data", "id": "9"}]`,
		`[${result('"1"', '7')},${result('"2"', '19')},${invalid},${notFound.replace('"1"', '"5"')},${result('"9"', '["hello",5]')}]`,
	);
	client.say('[{"jsonrpc": "2.0", "method": "notify_hello"},{"jsonrpc": "2.0", "method": "notify_hello"}]\n');
	await answers('{"jsonrpc": "2.0", "method": "sum", "params": [1,1,1], "id": 1.50}', result('1.5', '3'));
	assert.equal(await client.rest(), '');
});

test('an id comes back as it was written', async (t) => {
	const world = new CallWorld(t);
	world.method('yes', 'echo true');
	await world.serveMethods('--jobs', '1');
	const client = await world.client('calc');
	for (const id of ['12345678901234567890', '1.50', '1e3', '"\\u0041"', '""', '-0', 'null'])
		assert.equal(
			await client.say(`{"jsonrpc":"2.0","method":"yes","id":${id}}\n`).line(),
			`{"jsonrpc":"2.0","result":true,"id":${id}}\n`,
		);
	client.leave();
});

test('each is answered in the framing it uses', async (t) => {
	const world = new CallWorld(t);
	world.method('one', 'echo 1');
	await world.serveMethods();
	const call = request('one', undefined, 7).trim();
	const answer = result(7, '1');
	for (const [asked, answered] of [
		[`${call}\n`, `${answer}\n`],
		[call, `${answer}\n`],
		[`${call}\0`, `${answer}\0`],
		[`Content-Length: ${call.length}\r\n\r\n${call}`, `Content-Length: ${answer.length}\r\n\r\n${answer}`],
		[`${JSON.stringify(JSON.parse(call), undefined, 2)}\n\n`, `${answer}\n`],
		[call + call, `${answer}\n${answer}\n`],
	] as const) {
		const client = await world.client('calc');
		assert.equal(await client.say(asked).rest(), answered);
	}
});

test('an answer has the form of its own request, whatever has come since', async (t) => {
	const world = new CallWorld(t);
	world.method('slow', `until [ -e '${world.file('go')}' ]; do sleep 0.01; done; echo 1`);
	world.method('quick', `touch '${world.file('go')}'; echo 2`);
	await world.serveMethods('--jobs', '2');
	const slow = request('slow', undefined, 1).trim();
	const quick = request('quick', undefined, 2).trim();
	const length = (text: string) => `Content-Length: ${text.length}\r\n\r\n${text}`;
	const one = result(1, '1');
	const two = result(2, '2');
	for (const [asked, answered] of [
		[`${length(slow)}${quick}\n`, [length(one), `${two}\n`]],
		[`${slow}\0${length(quick)}`, [`${one}\0`, length(two)]],
		[`[${slow}]\n${quick}\0`, [`[${one}]\n`, `${two}\0`]],
		[length(slow) + quick, [length(one), `${two}\n`]],
	] as const) {
		rmSync(world.file('go'), {force: true});
		const all = await (await world.client('calc')).say(asked).rest();
		assert.ok(all === answered.join('') || all === answered.toReversed().join(''), all);
	}
});

test('a web page cannot call: what speaks HTTP is turned away before its body is read', async (t) => {
	const world = new CallWorld(t);
	world.method('touch', `touch '${world.file('touched')}'`);
	const server = await world.serveMethods();
	const call = request('touch', undefined, 1);
	const post = [
		'POST / HTTP/1.1',
		'Host: 127.0.0.1:7000',
		'Content-Type: text/plain',
		`Content-Length: ${call.length}`,
	];
	for (const head of [post, post.slice(1), ['OPTIONS /a%20b HTTP/1.0'], ['GET /? HTTP/1.1']]) {
		const heard = await (await world.client('calc')).say(`${head.join('\r\n')}\r\n\r\n${call}`).rest();
		assert.deepEqual(errorOf(heard), {code: -32002, message: 'This is not an HTTP server'});
	}
	server.kill();
	const {stderr} = await server.end();
	assert.equal(stderr.match(/refused a client: it speaks HTTP/g)?.length, 4);
	assert.ok(!existsSync(world.file('touched')));
});

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

test('a folder of another user: a warning', {skip: isRoot ? false : 'needs root'}, async (t) => {
	const world = new CallWorld(t);
	world.method('one', 'echo 1');
	chownSync(world.file('methods'), 65_533, 65_533);
	const server = await world.serveMethods();
	server.kill();
	assert.match(
		(await server.end()).stderr,
		/^ipc-sock: its owner, .*65533, may write in 'methods' and so decide .*\n$/,
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

test('a call that takes too long is ended with all it has started; others are served meanwhile', async (t) => {
	const world = new CallWorld(t);
	const long = longSleep();
	world.method('slow', `sleep ${long} &`, `sleep ${long}`);
	world.method('stubborn', `trap '' TERM`, `echo before >&2`, `while :; do sleep 0.05; done`);
	world.method('quick', 'echo 1');
	await world.serveMethods('--timeout', '3', '--jobs', '3');
	const client = await world.client('calc');
	client.say(request('slow', [], 1) + request('stubborn', [], 2));
	await until('it runs', () => pidsOf('sleep', long).length === 2);
	assertDone(await world.call('calc', 'quick'), '1\n');
	const answers = [await client.line(), await client.line()].map((line) => JSON.parse(line));
	assert.deepEqual(
		answers.sort((a, b) => a.id - b.id),
		[
			{jsonrpc: '2.0', error: {code: -32001, message: "'slow' timed out after 3.0s"}, id: 1},
			{
				jsonrpc: '2.0',
				error: {code: -32001, message: "'stubborn' timed out after 3.0s", data: {stderr: 'before\n'}},
				id: 2,
			},
		],
	);
	await until('all of it has ended', () => pidsOf('sleep', long).length === 0);
	// That takes a while longer, and nobody else will end it.
	await until('the stubborn one has ended', () => pidsOf('/bin/sh', world.file('methods/stubborn')).length === 0);
	client.leave();
});

test('the calls of a client that leaves are ended, those of others go on', async (t) => {
	const world = new CallWorld(t);
	const [left, kept] = [longSleep(), longSleep()];
	world.method('slow', 'exec sleep "$1"');
	await world.serveMethods('--jobs', '3');
	const [leaving, staying, half] = [await world.client('calc'), await world.client('calc'), await world.client('calc')];
	leaving.say(request('slow', [left], 1));
	staying.say(request('slow', [kept], 1));
	half.say(request('slow', ['0.5'], 1)).socket.end();
	await until('both run', () => pidsOf('sleep', left).length + pidsOf('sleep', kept).length === 2);
	leaving.leave();
	await until('it has ended', () => pidsOf('sleep', left).length === 0);
	assert.equal(pidsOf('sleep', kept).length, 1);
	// Having said all is not leaving.
	assert.equal(await half.rest(), `${result(1, 'null')}\n`);
	staying.leave();
	await until('the other has ended', () => pidsOf('sleep', kept).length === 0);
});

test('told to stop: running calls are ended, the socket is removed, and the signal ends us', async (t) => {
	const world = new CallWorld(t);
	const long = longSleep();
	world.method('slow', `sleep ${long}`);
	for (const signal of ['SIGTERM', 'SIGINT'] as const) {
		const server = await world.serveMethods();
		const client = await world.client('calc');
		client.say(request('slow', [], 1));
		await until('it runs', () => pidsOf('sleep', long).length === 1);
		server.kill(signal);
		assert.equal((await server.end()).signal, signal);
		assert.equal(pidsOf('sleep', long).length, 0);
		assert.ok(!existsSync(world.path('calc')));
		await client.ended;
	}
});

test('hostile messages are refused with an error, and others are served meanwhile', async (t) => {
	const world = new CallWorld(t);
	world.method('one', 'echo 1');
	const server = await world.serveMethods();
	const brackets = await world.client('calc');
	const piece = Buffer.alloc(2 ** 20, '[');
	for (let i = 0; i < 100; i++) brackets.say(piece);
	assertDone(await world.call('calc', 'one'), '1\n');
	assert.deepEqual(errorOf(await brackets.line()), {
		code: -32700,
		message: 'Parse error',
		data: 'nested deeper than 512',
	});
	await brackets.ended;
	const large = await world.client('calc');
	assert.match(
		await large.say('Content-Length: 2147483648\r\n\r\n{').line(),
		/a Content-Length of 2147483648, more than 16M/,
	);
	await large.ended;
	const endless = await world.client('calc');
	endless.say('["');
	for (let i = 0; i < 20; i++) endless.say(Buffer.alloc(2 ** 20, 'x'));
	assert.match(await endless.line(), /longer than 16M/);
	const latin = await world.client('calc');
	assert.equal(await latin.say(Buffer.from('["\xff"]\n', 'latin1')).line(), `${parseError}\n`);
	assert.equal(await latin.say(request('one', [], 1)).line(), `${result(1, '1')}\n`);
	const many = await world.client('calc');
	assert.match(await many.say(`[${'1,'.repeat(10_000)}1]\n`).line(), /a batch of 10001 calls, more than 10000/);
	for (const client of [latin, many]) client.leave();
	const status = readFileSync(`/proc/${server.pid}/status`, 'utf8');
	assert.ok(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) < 300_000, 'memory was taken for what was refused');
});

test('who sends a byte now and then is cut off, who waits between two calls is not', async (t) => {
	const world = new CallWorld(t);
	world.method('one', 'echo 1');
	await world.serveMethods('--message-timeout', '2');
	const [dripping, mute, patient] = [
		await world.client('calc'),
		await world.client('calc'),
		await world.client('calc'),
	];
	assert.equal(await patient.say(request('one', [], 1)).line(), `${result(1, '1')}\n`);
	const drip = setInterval(() => dripping.say('['), 50);
	assert.deepEqual(errorOf(await dripping.line()), {
		code: -32700,
		message: 'Parse error',
		data: 'no complete message arrived within 2 s',
	});
	clearInterval(drip);
	await dripping.ended;
	await mute.ended;
	assert.equal(await mute.hear(0), '');
	assert.equal(await patient.say(request('one', [], 2)).line(), `${result(2, '1')}\n`);
	patient.leave();
	dripping.leave();
});

test('who does not read its answers is cut off', async (t) => {
	const world = new CallWorld(t);
	world.method('much', 'head -c 8000000 /dev/zero | tr "\\0" x');
	const server = await world.serveMethods('--message-timeout', '2');
	const before = socketsOf(server.pid);
	const client = await world.client('calc');
	client.socket.pause();
	client.say([1, 2, 3, 4].map((id) => request('much', [], id)).join(''));
	const closed = once(client.socket, 'close');
	// Its end is seen once it is read again, and not all of the answers are there then.
	await until('it is served', () => socketsOf(server.pid) > before);
	await until('it was cut off', () => socketsOf(server.pid) === before);
	client.socket.resume();
	await closed;
	assert.ok((await client.hear(0)).length < 32_000_000);
	assertDone(await world.call('calc', '--list'), 'much\n');
});

test('any bytes, from many at once, harm no client', async (t) => {
	const world = new CallWorld(t);
	world.method('one', 'echo 1');
	const server = await world.serveMethods();
	const pieces = [
		'{',
		'}',
		'[',
		']',
		'"',
		'\\',
		'\n',
		'\0',
		',',
		':',
		'1',
		'e',
		'Content-Length: 5\r\n\r\n',
		'é',
		'\xff',
		request('one', [], 1),
	];
	const garbage = fc.sample(fc.array(fc.constantFrom(...pieces), {minLength: 1, maxLength: 60}), 60);
	await Promise.all(
		garbage.map(async (list) => {
			const client = await world.client('calc');
			for (const piece of list) client.say(Buffer.from(piece, 'latin1'));
			const heard = await client.rest();
			const answers = new JsonSplitter();
			answers.push(Buffer.from(heard));
			for (let answer = answers.next(); answer; answer = answers.next()) assert.ok(answer instanceof Buffer, heard);
			assert.equal(answers.last(), undefined);
		}),
	);
	assertDone(await world.call('calc', 'one'), '1\n');
	server.kill();
	assert.equal((await server.end()).stderr, '');
});

test('more clients than --max: the one too many is told so', async (t) => {
	const world = new CallWorld(t);
	world.method('one', 'echo 1');
	const server = await world.serveMethods('--max', '1');
	const first = await world.client('calc');
	assert.equal(await first.say(request('one', [], 1)).line(), `${result(1, '1')}\n`);
	assertFails(await world.call('calc', 'one'), 1, 'ipc-sock: one: Too many connections (-32002)\n');
	await first.rest();
	await until('there is room again', async () => (await world.call('calc', 'one')).status === 0);
	server.kill();
	const {stderr} = await server.end();
	assert.match(stderr, /^ipc-sock: refused a client: there are already 1 connection \(--max\)\n/);
});

test('a flood of clients over --max: a few lines say so, and there is room again as soon as one leaves', async (t) => {
	const world = new CallWorld(t);
	world.method('one', 'echo 1');
	const server = await world.serveMethods('--max', '1');
	const first = await world.client('calc');
	assert.equal(await first.say(request('one', [], 1)).line(), `${result(1, '1')}\n`);
	// They stay as long as they are allowed to.
	const start = performance.now();
	const others = Array.from({length: 300}, () => new Client(connect({path: world.path('calc'), allowHalfOpen: true})));
	for (const other of others) assert.match(await other.line(), /"Too many connections"/);
	assert.ok(socketsOf(server.pid) < 150, `${socketsOf(server.pid)} sockets are open`);
	await first.rest();
	await until('there is room again', async () => (await world.call('calc', 'one')).status === 0);
	const areThere = socketsOf(server.pid) > 60;
	// They may stay for five seconds.
	if (performance.now() - start < 4500) assert.ok(areThere, 'those that were turned away are there still');
	for (const other of others) other.leave();
	server.kill();
	const lines = (await server.end()).stderr.trimEnd().split('\n');
	assert.ok(lines.length <= 30, lines.join('\n'));
	assert.match(lines.at(-1) ?? '', /^ipc-sock: \d+ more messages like this were left out$/);
});

for (const [verb, ...words] of [
	['serve', '--', 'true'],
	['listen', '--keep-open', '--', 'true'],
] as const)
	test(`${verb} with a command reports at its end how many refused clients it did not report`, async (t) => {
		const world = new CallWorld(t);
		const server = await world.serving(verb, 'closed', ['--allow', 'uid:65532', ...words]);
		const clients = await Promise.all(Array.from({length: 30}, () => world.client('closed')));
		await Promise.all(clients.map((client) => client.rest()));
		server.kill();
		const lines = (await server.end()).stderr.trimEnd().split('\n');
		assert.equal(lines.length, 11, lines.join('\n'));
		assert.equal(lines.at(-1), 'ipc-sock: 20 more messages like this were left out');
	});

test('one client with many calls does not keep the others from their turn', async (t) => {
	const world = new CallWorld(t);
	world.method('wait', 'sleep 0.05', 'echo 1');
	await world.serveMethods('--jobs', '1');
	const greedy = await world.client('calc');
	greedy.say(Array.from({length: 300}, (_, i) => request('wait', [], i)).join(''));
	await greedy.line();
	assertDone(await world.call('calc', 'wait', '-t', '250'), '1\n');
	greedy.leave();
});

test('no more than --jobs run at a time', async (t) => {
	const world = new CallWorld(t);
	const counter = world.file('counter');
	mkdirSync(counter);
	// The first two wait for each other.
	const both = world.file('both');
	world.method(
		'count',
		`touch ${counter}/$$`,
		`until [ -e ${both} ] || [ $(ls ${counter} | wc -l) -ge 2 ]; do sleep 0.01; done; touch ${both}`,
		`ls ${counter} | wc -l`,
		`sleep 0.02; rm ${counter}/$$`,
	);
	await world.serveMethods('--jobs', '2');
	const client = await world.client('calc');
	client.say(Array.from({length: 12}, (_, i) => request('count', [], i)).join(''));
	const counts: number[] = [];
	for (let i = 0; i < 12; i++) counts.push(JSON.parse(await client.line()).result);
	assert.ok(counts.every((count) => count <= 2) && counts.includes(2), String(counts));
	client.leave();
});

test('a command as all methods: which one is in its environment, status 127 is no such method', async (t) => {
	const world = new CallWorld(t);
	const path = world.script(
		'dispatch',
		'#!/bin/sh',
		'case $IPC_METHOD in',
		'add) echo $(($1 + $2));;',
		'*) exit 127;;',
		'esac',
	);
	await world.serve('calc', ['--', path]);
	assertDone(await world.call('calc', 'add', '2', '40'), '42\n');
	assertFails(await world.call('calc', '../x'), 1, 'ipc-sock: ../x: method not found (-32601)\n');
	rmSync(path);
	assertFails(await world.call('calc', 'rpc.x'), 1, 'ipc-sock: rpc.x: method not found (-32601)\n');
	const gone = `ipc-sock: add: '${path}' cannot be run: it, or the interpreter it names, was not found (-32000)\n`;
	assertFails(await world.call('calc', 'add'), 1, gone);
	assertFails(
		await world.call('calc', '--list'),
		1,
		"ipc-sock: cannot list the methods of 'calc': it has no 'rpc.discover'\n",
	);
});

test('workers stay, and answer as they like', needs('python3'), async (t) => {
	const world = new CallWorld(t);
	await world.serve('calc', ['--worker', '--jobs', '1', ...worker]);
	assertDone(await world.call('calc', 'echo', '1', 'a b', '12345678901234567890'), '[1,"a b",12345678901234567890]\n');
	assertDone(await world.call('calc', 'text'), '"no JSON at all"\n');
	assertFails(await world.call('calc', 'fail', 'x'), 1, 'ipc-sock: fail: as you wish (5): ["x"]\n');
	const pid = (await world.call('calc', 'pid')).stdout.toString();
	assertDone(await world.call('calc', 'pid'), pid);
	const {stdout} = await world.call('calc', 'peer');
	assert.equal(JSON.parse(stdout.toString()).uid, process.getuid?.());
	// It dies: the next call gets another.
	assertFails(
		await world.call('calc', 'die'),
		1,
		/^ipc-sock: die: 'python3' exited with status 7 before it answered \(-32000\)\n/,
	);
	const second = (await world.call('calc', 'pid')).stdout.toString();
	assert.notEqual(second, pid);
});

test('a worker that takes too long is ended, and the next call gets another', needs('python3'), async (t) => {
	const world = new CallWorld(t);
	await world.serve('calc', ['--worker', '--jobs', '1', '--timeout', '1', ...worker]);
	let pid = '';
	// On a busy machine a second may be too short for the start of Python.
	const hasAnswered = async () => {
		const {status, stdout} = await world.call('calc', 'pid');
		pid = stdout.toString();
		return status === 0;
	};
	await until('a worker answers', hasAnswered);
	const late = pid;
	assertFails(await world.call('calc', 'sleep', '60'), 1, "ipc-sock: sleep: 'sleep' timed out after 1.0s (-32001)\n");
	await until('the next worker answers', hasAnswered);
	assert.notEqual(pid, late);
	await until('the late one has ended', () => !existsSync(`/proc/${late.trim()}`) || !isAlive(Number(late)));
});

for (const [stream, closing] of [
	['stdout', 'exec >&-'],
	['stdin', 'exec <&-'],
] as const)
	test(`a worker that closes its ${stream} and lives is replaced`, async (t) => {
		const world = new CallWorld(t);
		const path = world.script(
			'worker',
			'#!/bin/sh',
			'while read -r line; do',
			`case $line in *close*) ${closing}; sleep ${longSleep()};; *leave*) echo 1; ${closing}; sleep ${longSleep()};; esac`,
			'echo $$; done',
		);
		await world.serve('calc', ['--worker', '--jobs', '1', '--timeout', '250', '--', path]);
		const {stdout: first} = await world.call('calc', 'pid');
		if (stream === 'stdout') {
			const message = `ipc-sock: close: '${path}' closed its stdout before it answered (-32000)\n`;
			assertFails(await world.call('calc', 'close'), 1, message);
		} else {
			// It has got the call, and only the next one fails.
			assertDone(await world.call('calc', 'leave'), '1\n');
			const gone = `ipc-sock: pid: '${path}' closed its stdin before it answered (-32000)\n`;
			const {stdout, stderr} = await world.call('calc', 'pid');
			assert.ok(stdout.length > 0 || stderr.toString() === gone, stderr.toString());
		}
		const {stdout: second} = await world.call('calc', 'pid');
		assert.match(second.toString(), /^[0-9]+\n$/);
		assert.notEqual(second.toString(), first.toString());
	});

for (const kind of ['folder', 'command', 'worker'] as const)
	test(`a real-time signal that ends a method is its failure (${kind})`, async (t) => {
		const world = new CallWorld(t);
		world.method('bad', 'echo 1; kill -40 $$');
		const command = ['--', world.file('methods/bad')];
		const words = {folder: ['--methods', 'methods'], command, worker: ['--worker', ...command]}[kind];
		if (kind === 'worker') world.method('bad', 'read -r line; kill -40 $$');
		await world.serve('calc', words);
		const {code, message, data} = errorOf(await (await world.client('calc')).say(request('bad', [], 1)).rest());
		assert.equal(code, -32000);
		assert.match(message, /was killed by SIGRTMIN\+6( before it answered)?$/);
		assert.deepEqual(data, {status: 168, stderr: ''});
	});

test('workers end with the server', needs('python3'), async (t) => {
	const world = new CallWorld(t);
	const server = await world.serve('calc', ['--worker', '--jobs', '2', ...worker]);
	const pid = Number((await world.call('calc', 'pid')).stdout.toString());
	assert.ok(existsSync(`/proc/${pid}`));
	server.kill();
	assert.equal((await server.end()).signal, 'SIGTERM');
	assert.ok(!existsSync(`/proc/${pid}`));
});

test('a worker that cannot be run is an error of each call', async (t) => {
	const world = new CallWorld(t);
	const worker = world.script('worker', '#!/no/such/interpreter');
	await world.serve('calc', ['--worker', '--', worker]);
	for (let i = 0; i < 2; i++)
		assertFails(await world.call('calc', 'x'), 1, /^ipc-sock: x: '.*worker' cannot be run: .*not found \(-32000\)\n$/);
});

test('many clients at once, each with many calls: every answer is the right one', needs('python3'), async (t) => {
	const world = new CallWorld(t);
	await world.serve('calc', ['--worker', ...worker]);
	const [clients, calls] = [rounds(300, 1000), 20];
	const {status, stdout, stderr} = await run(peer('rpc-clients'), [world.path('calc'), `${clients}`, `${calls}`]);
	assert.deepEqual([status, stdout.toString(), stderr], [0, `${clients * calls}\n`, '']);
});

test('many clients at once, a process for each call', async (t) => {
	const world = new CallWorld(t);
	world.method('echo', 'printf \'"%s"\' "$1/$2"');
	await world.serveMethods('--jobs', '8');
	const lines = Array.from({length: 3}, (_, i) => request('echo', [i, 'x'], i)).join('');
	const clients = await Promise.all(Array.from({length: rounds(40, 100)}, () => world.client('calc')));
	const heard = await Promise.all(clients.map((client) => client.say(lines).rest()));
	for (const text of heard) {
		const answers = text
			.split('\n')
			.slice(0, -1)
			.map((line) => JSON.parse(line));
		assert.equal(answers.length, 3);
		for (const {id, result: value} of answers) assert.equal(value, `${id}/x`);
	}
});

test('only who may come is served', {skip: isRoot ? false : 'needs root'}, async (t) => {
	const world = new CallWorld(t);
	world.method('one', 'echo 1');
	const server = await world.serve(world.file('open.sock'), ['--methods', 'methods', '--allow', 'uid:65533']);
	chmodSync(world.scratch, 0o755);
	const words = [join(root, 'bin', 'ipc-sock'), 'call', world.file('open.sock'), 'one'];
	const asAnother = (uid: string) => run('setpriv', ['--reuid', uid, '--clear-groups', ...words]);
	assertDone(await asAnother('65533'), '1\n');
	assertFails(await asAnother('65532'), 1, 'ipc-sock: one: You are not allowed to call here (-32002)\n');
	server.kill();
	assert.match((await server.end()).stderr, /^ipc-sock: refused .*65532/);
});

test('over TCP, where nobody tells who calls', async (t) => {
	const world = new CallWorld(t);
	world.method('who', 'test "$IPC_PEER_UID" && echo somebody || echo nobody');
	const port = await freePort();
	await world.serve(`tcp:127.0.0.1:${port}`, ['--methods', 'methods'], {env: {IPC_PEER_UID: '7'}});
	assertDone(await world.call(`tcp:127.0.0.1:${port}`, 'who'), '"nobody"\n');
	assertFails(await world.call('tcp:192.0.2.1:7', 'who'), 2, /--insecure/);
});

test('--max-total: when all clients together hold too much, the one that holds most is cut off', async (t) => {
	const world = new CallWorld(t);
	world.method('length', 'echo $(wc -c)');
	const server = await world.serveMethods('--stdin', '--max-size', '1M', '--max-total', '2M');
	const text = (bytes: number) => request('length', ['x'.repeat(bytes)], 1).trimEnd();
	const [large, ...others] = [
		await world.client('calc'),
		await world.client('calc'),
		await world.client('calc'),
	] as const;
	large.say(text(900_000).slice(0, -1));
	for (const other of others) other.say(text(650_000).slice(0, -1));
	assert.match(await large.line(), /^{"jsonrpc":"2.0","error":{"code":-32002,"message":"The server holds too much/);
	await large.ended;
	for (const other of others) assert.equal(await other.say('}').line(), `${result(1, '650005')}\n`);
	assert.match(
		server.errors,
		/^ipc-sock: disconnected .*process \d+ .*: more than 2\.0M would be held for all clients/,
	);
	// There is room again.
	const next = await world.client('calc');
	assert.equal(await next.say(text(900_000)).line(), `${result(1, '900005')}\n`);
	assertFails(
		await world.run('ipc-sock', ['serve', 'x', '--methods', 'methods', '--max-size', '2M', '--max-total', '1M']),
		2,
		/^ipc-sock: --max-total is less than the longest message/,
	);
});

test('--max-total: memory stays, however many clients begin a long message, and others are served', async (t) => {
	const world = new CallWorld(t);
	world.method('one', 'echo 1');
	const server = await world.serveMethods('--max-size', '2M', '--max-total', '8M');
	const clients = await Promise.all(Array.from({length: 400}, () => world.client('calc')));
	const long = Buffer.from(`{"x":"${'x'.repeat(1_900_000)}`);
	for (const client of clients) client.say(long);
	await until(
		'most are cut off',
		() => clients.filter(({socket}) => socket.readableEnded || socket.destroyed).length > 390,
	);
	assertDone(await world.call('calc', 'one'), '1\n');
	// All together say 760 MB. What has been read and refused stays until Node collects it.
	assert.ok(peakMemory(server.pid) < 650 * 1024 ** 2, `${peakMemory(server.pid)} bytes`);
	for (const client of clients) client.leave();
});

test('--max-total: one client with more than that to ask is read from as its calls are done', async (t) => {
	const world = new CallWorld(t);
	world.method('length', 'echo $(wc -c)');
	const server = await world.serveMethods('--stdin', '--max-size', '1M', '--max-total', '2M', '--jobs', '1');
	const input = request('length', ['x'.repeat(900_000)]).repeat(20);
	const {status, stdout, stderr} = await world.run('ipc-sock', ['call', 'calc', '--batch'], {input});
	assert.deepEqual([status, stderr], [0, '']);
	assert.equal(stdout.toString().trimEnd().split('\n').length, 20);
	assert.equal(server.errors, '');
});

test('notifications of clients that have left do not pile up without a limit', async (t) => {
	const world = new CallWorld(t);
	world.method('slow', `exec sleep ${longSleep()}`);
	const server = await world.serveMethods('--stdin', '--max-size', '1M', '--max-total', '4M', '--jobs', '1');
	for (let i = 0; i < 10; i++) {
		const client = await world.client('calc');
		await once(client.socket.end(request('slow', ['x'.repeat(900_000)])), 'finish');
		client.leave();
	}
	await until('some are given up', () => /disconnected /.test(server.errors));
	assert.match(server.errors, /a notification failed: Internal error/);
});

test('a port of this machine is open to every user: a warning, unless --insecure', async (t) => {
	const world = new CallWorld(t);
	world.method('one', 'echo 1');
	const verbs = [
		['serve', '--methods', 'methods'],
		['listen', '-k', '--', 'cat'],
		['relay', 'back'],
	];
	for (const [verb = '', ...rest] of verbs)
		for (const insecure of [false, true]) {
			const address = `tcp:127.0.0.1:${await freePort()}`;
			const words = [verb, address, '--ready-fd', '3', ...(insecure ? ['--insecure'] : []), ...rest];
			const server = await world.start('ipc-sock', words, {cwd: world.scratch}).ready();
			server.kill();
			const {stderr} = await server.end();
			const warning = new RegExp(
				`^ipc-sock: every user of this machine can connect to '${address}' and .*--insecure.*\\n$`,
			);
			if (insecure) assert.equal(stderr, '');
			else assert.match(stderr, warning);
		}
});

const misused = (words: string[], why: RegExp) =>
	test(`used wrongly: serve ${words.join(' ')}`, async (t) => {
		assertFails(await new CallWorld(t).run('ipc-sock', ['serve', ...words]), 2, why);
	});
misused(['x'], /^ipc-sock: the methods are missing: --methods DIR, or -- CMD\n/);
misused(['x', '--methods', '.', '--', 'true'], /--methods and CMD cannot be combined/);
misused(['x', '--methods', '.', '--worker'], /--worker needs a command/);
misused(['x', '--worker', '--stdin', '--', 'true'], /--stdin and --worker cannot be combined/);

test('a folder that is none', async (t) => {
	const world = new CallWorld(t);
	const why = "ipc-sock: cannot serve the methods in 'nowhere': no such folder\n";
	assertFails(await world.run('ipc-sock', ['serve', 'calc', '--methods', 'nowhere']), 1, why);
	const file = world.script('file', '');
	assertFails(await world.run('ipc-sock', ['serve', 'calc', '--methods', file]), 1, /it is not a folder\n$/);
	world.assertNothingLeft();
});
