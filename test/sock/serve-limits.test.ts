import assert from 'node:assert/strict';
import {once} from 'node:events';
import {mkdirSync, readFileSync} from 'node:fs';
import {connect} from 'node:net';
import test from 'node:test';
import {JsonSplitter} from '../../src/sock/rpc/json-splitter.js';
import {CallWorld, Client, errorOf, longSleep, parseError, request, result} from '../support/calls.js';
import {peakMemory, socketsOf} from '../support/proc.js';
import {fc} from '../support/property.js';
import {until} from '../support/until.js';
import {anotherUser} from '../support/users.js';
import {assertDone, assertFails} from '../support/world.js';

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
		const server = await world.serving(verb, 'closed', ['--allow', `uid:${anotherUser}`, ...words]);
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
