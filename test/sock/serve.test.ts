import assert from 'node:assert/strict';
import {chmodSync, existsSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import test from 'node:test';
import {CallWorld, errorOf, invalid, longSleep, parseError, request, result} from '../support/calls.js';
import {needs} from '../support/needs.js';
import {pidsOf} from '../support/proc.js';
import {rounds} from '../support/rounds.js';
import {root, run} from '../support/run.js';
import {freePort} from '../support/sockets.js';
import {until} from '../support/until.js';
import {anotherUser, needsRoot} from '../support/users.js';
import {assertDone, assertFails} from '../support/world.js';

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

test('only who may come is served', needsRoot, async (t) => {
	const world = new CallWorld(t);
	world.method('one', 'echo 1');
	const server = await world.serve(world.file('open.sock'), ['--methods', 'methods', '--allow', `uid:${anotherUser}`]);
	chmodSync(world.scratch, 0o755);
	const words = [join(root, 'bin', 'ipc-sock'), 'call', world.file('open.sock'), 'one'];
	const as = (uid: number) => run('setpriv', ['--reuid', String(uid), '--clear-groups', ...words]);
	assertDone(await as(anotherUser), '1\n');
	assertFails(await as(anotherUser + 1), 1, 'ipc-sock: one: You are not allowed to call here (-32002)\n');
	server.kill();
	assert.match((await server.end()).stderr, new RegExp(`^ipc-sock: refused .*${anotherUser + 1}`));
});

test('over TCP, where nobody tells who calls', async (t) => {
	const world = new CallWorld(t);
	world.method('who', 'test "$IPC_PEER_UID" && echo somebody || echo nobody');
	const port = await freePort();
	await world.serve(`tcp:127.0.0.1:${port}`, ['--methods', 'methods'], {env: {IPC_PEER_UID: '7'}});
	assertDone(await world.call(`tcp:127.0.0.1:${port}`, 'who'), '"nobody"\n');
	assertFails(await world.call('tcp:192.0.2.1:7', 'who'), 2, /--insecure/);
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
