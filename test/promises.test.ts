import assert from 'node:assert/strict';
import {once} from 'node:events';
import {closeSync, readdirSync, readSync, writeSync} from 'node:fs';
import {join} from 'node:path';
import test, {type TestContext} from 'node:test';
import {setImmediate as turn} from 'node:timers/promises';
import {Worker} from 'node:worker_threads';
import {randomBelow} from './support/random.js';
import {launcher, root, run} from './support/run.js';
import {uniqueName} from './support/unique-name.js';
import {World} from './support/world.js';

const library = (await import(join(root, 'dist', 'index.js'))) as typeof import('../src/index.js');
const {Fifo, LocalSocket, MessageQueue, Ring, Semaphore, SharedMemory, Signals} = library.promises;
const {SystemError} = library;

function queueFor(t: TestContext, attributes = {maxmsg: 10, msgsize: 64}) {
	const name = uniqueName('promises');
	const queue = MessageQueue.open(name, 'both', attributes);
	t.after(() => MessageQueue.remove(name));
	return {name, queue};
}

/** Turns of the event loop, until something that was begun before is through. */
async function turns(count: number): Promise<void> {
	for (let i = 0; i < count; i++) await turn();
}

const isClosed = {reason: 'closed'};
const hasAborted = {name: 'AbortError'};

test('both modules have the same classes, for import and for require', async () => {
	const {status, stdout, stderr} = await run(process.execPath, [
		'--input-type=module',
		'-e',
		`import {SystemError, promises} from 'ipc-tools';
		import {createRequire} from 'node:module';
		import {MessageQueue, Semaphore} from 'ipc-tools/promises';
		const required = createRequire('${root}/')('ipc-tools/promises');
		try { MessageQueue.open('no-such-queue-here'); } catch (error) { console.log(error instanceof SystemError, error.reason); }
		console.log(MessageQueue === promises.MessageQueue, required.Semaphore === Semaphore);`,
	]);
	assert.deepEqual([status, stderr, stdout.toString()], [0, '', 'true no-queue\ntrue true\n']);
});

test('a queue: the event loop goes on while a hundred wait; each gets one message, in the order in which they asked', async (t) => {
	const {name, queue} = queueFor(t);
	const results = Array.from({length: 100}, () => queue.receive());
	let settled = 0;
	for (const result of results) void result.then(() => settled++);
	// A timer and the answers of another process come through meanwhile.
	const looked = await run(launcher('ipc-mq'), ['stat', '--json', name]);
	assert.equal(looked.status, 0);
	assert.equal(settled, 0);
	const lines = Array.from({length: 100}, (_, i) => `${i}\n`).join('');
	assert.equal((await run(launcher('ipc-mq'), ['send', name], {input: lines})).status, 0);
	const messages = await Promise.all(results);
	assert.equal(messages.map((message) => `${message?.data}\n`).join(''), lines);
	assert.equal(queue.blocking.messages, 0);
});

test('a queue: whatever is aborted while messages come, each message is a result or still in the queue', async (t) => {
	const {name, queue} = queueFor(t);
	const total = 300;
	const input = Array.from({length: total}, (_, i) => `${i}\n`).join('');
	const sender = run(launcher('ipc-mq'), ['send', name], {input});
	let isSending = true;
	void sender.then(() => {
		isSending = false;
	});
	const received: string[] = [];
	while (isSending) {
		const controllers = Array.from({length: 1 + randomBelow(5)}, () => new AbortController());
		const results = controllers.map(({signal}) => queue.receive({signal}));
		await turns(randomBelow(4));
		for (const controller of controllers) controller.abort();
		for (const result of await Promise.allSettled(results)) {
			if (result.status === 'fulfilled') received.push(`${result.value?.data}`);
			else assert.equal(result.reason.name, 'AbortError');
		}
	}
	assert.equal((await sender).status, 0);
	for (let message = queue.blocking.tryReceive(); message; message = queue.blocking.tryReceive())
		received.push(`${message.data}`);
	assert.equal(received.map((text) => `${text}\n`).join(''), input);
});

test('a queue: sending waits for room; a timeout, an abort, an error and the end of the queue', async (t) => {
	const {queue} = queueFor(t, {maxmsg: 1, msgsize: 8});
	assert.equal(await queue.send('first', {priority: 3}), true);
	assert.equal(await queue.send('second', {timeoutMs: 20}), false);
	assert.equal(await queue.send('second', {timeoutMs: 0}), false);
	const pending = [queue.send('second'), queue.send('third')];
	assert.deepEqual(await queue.receive(), {data: Buffer.from('first'), priority: 3});
	assert.equal(await pending[0], true);
	assert.equal(`${(await queue.receive())?.data}`, 'second');
	assert.equal(await pending[1], true);
	await assert.rejects(queue.send('nine bytes'), SystemError);
	assert.equal(`${(await queue.receive())?.data}`, 'third');
	assert.equal(await queue.receive({timeoutMs: 20}), undefined);
	assert.equal(await queue.receive({timeoutMs: 0}), undefined);
	await assert.rejects(queue.receive({signal: AbortSignal.abort()}), hasAborted);
	await assert.rejects(queue.receive({signal: AbortSignal.timeout(10)}), {name: 'TimeoutError'});
	const reason = new Error('enough');
	const controller = new AbortController();
	const aborted = queue.receive({signal: controller.signal});
	controller.abort(reason);
	await assert.rejects(aborted, reason);
	const seen: string[] = [];
	const reading = (async () => {
		for await (const {data} of queue) seen.push(`${data}`);
	})();
	for (const text of ['a', 'b', 'c']) await queue.send(text);
	while (seen.length < 3) await turn();
	queue.close();
	await assert.rejects(reading, isClosed);
	assert.deepEqual(seen, ['a', 'b', 'c']);
});

test('a semaphore: waits, holds and their aborts take nothing; the unit of a dead holder is released meanwhile', async (t) => {
	const name = uniqueName('promises');
	const semaphore = Semaphore.open(name, {value: 1});
	t.after(() => Semaphore.remove(name));
	const first = await semaphore.hold({command: 'this test'});
	assert.ok(first);
	let waits = 0;
	const next = semaphore.hold({onWait: () => waits++});
	const aborting = new AbortController();
	const aborted = semaphore.wait({signal: aborting.signal});
	assert.equal(await semaphore.wait({timeoutMs: 20}), false);
	assert.equal(await semaphore.hold({timeoutMs: 0}), undefined);
	assert.equal(waits, 1);
	aborting.abort();
	await assert.rejects(aborted, hasAborted);
	first.letGo();
	const second = await next;
	assert.ok(second);
	assert.equal(semaphore.blocking.value, 0);
	const third = semaphore.wait();
	// As a process that ends does.
	closeSync(second.descriptor);
	assert.equal(await third, true);
	const all = [semaphore.wait(), semaphore.wait(), semaphore.wait()];
	assert.equal((await run(launcher('ipc-sem'), ['post', name, '--count', '3'])).status, 0);
	assert.deepEqual(await Promise.all(all), [true, true, true]);
	assert.equal(semaphore.blocking.value, 0);
	assert.equal(semaphore.blocking.waiters, 0);
	const last = semaphore.wait();
	semaphore.close();
	await assert.rejects(last, isClosed);
});

test('a segment: a word, several conditions at once, the lock, and a segment that is removed', async (t) => {
	const name = uniqueName('promises');
	SharedMemory.create(name, {size: 64});
	let isThere = true;
	const segment = SharedMemory.open(name);
	t.after(() => {
		segment.close();
		if (isThere) SharedMemory.remove(name);
	});
	const [high, low] = [segment.wait('i64', 0, (value) => value >= 5n), segment.wait('i64', 0, (value) => value === 1n)];
	assert.equal(await segment.wait('i64', 0, (value) => value > 0n, {timeoutMs: 20}), undefined);
	assert.equal((await run(launcher('ipc-shm'), ['add', name, '1', '--type', 'i64'])).status, 0);
	assert.equal(await low, 1n);
	segment.blocking.add('i64', 0, 7n);
	assert.equal(await high, 8n);
	await assert.rejects(
		segment.wait('i64', 64, () => true),
		SystemError,
	);
	const other = SharedMemory.open(name);
	t.after(() => other.close());
	assert.equal(await segment.lock('exclusive'), true);
	assert.equal(await other.lock('shared', {timeoutMs: 20}), false);
	const locked = other.lock('exclusive');
	segment.blocking.unlock();
	assert.equal(await locked, true);
	const pending = segment.wait('i64', 0, () => false);
	SharedMemory.remove(name);
	isThere = false;
	await assert.rejects(pending, SystemError);
});

test('a ring: records to several receivers, and room for a sender', async (t) => {
	const name = uniqueName('promises');
	const ring = Ring.open(name, {size: 16_384});
	t.after(() => {
		ring.close();
		SharedMemory.remove(name);
	});
	const results = [ring.receive(), ring.receive(), ring.receive({timeoutMs: 1_000_000})];
	for (const text of ['one', 'two', 'three']) assert.equal(await ring.send(text), true);
	assert.deepEqual((await Promise.all(results)).map(String), ['one', 'two', 'three']);
	assert.equal(await ring.receive({timeoutMs: 20}), undefined);
	const large = Buffer.alloc(ring.blocking.mostBytes);
	assert.equal(await ring.send(large), true);
	assert.equal(await ring.send('no room', {timeoutMs: 20}), false);
	const sent = ring.send('later');
	assert.equal((await ring.receive())?.length, large.length);
	// A receiver that asks for the next record has no more use for the last one, whose room is free then.
	assert.equal(String(await ring.receive()), 'later');
	assert.equal(await sent, true);
});

test('signals: each once and in order, with what was aborted in between left in the queue', async () => {
	const signals = Signals.receive('RTMIN+6', 'SIGWINCH');
	const pending = [signals.take(), signals.take()];
	const controller = new AbortController();
	const aborted = signals.take({signal: controller.signal});
	assert.equal(await signals.take({timeoutMs: 0}), undefined);
	for (const value of [7, 8]) assert.equal(Signals.send(process.pid, 'RTMIN+6', {value}), true);
	assert.deepEqual(
		(await Promise.all(pending)).map((signal) => signal?.value),
		[7, 8],
	);
	Signals.send(process.pid, 'RTMIN+6', {value: 9});
	controller.abort();
	await assert.rejects(aborted, hasAborted);
	assert.equal((await signals.take())?.value, 9);
	const seen: unknown[] = [];
	Signals.send(process.pid, 'RTMIN+6', {value: 1});
	Signals.send(process.pid, 'WINCH');
	for await (const {signal, code} of signals) {
		seen.push([signal, code]);
		if (seen.length === 2) break;
	}
	assert.deepEqual(seen, [
		['WINCH', 'USER'],
		['RTMIN+6', 'QUEUE'],
	]);
	const last = signals.take();
	signals.close();
	await assert.rejects(last, isClosed);
});

test('a socket: connections, and bytes that the peer has no room for yet', async (t) => {
	const world = new World(t);
	process.env.IPC_RUNTIME_DIR = world.folder;
	await assert.rejects(LocalSocket.connect('talk'), SystemError);
	const listener = LocalSocket.listen('talk');
	assert.equal(await listener.accept({timeoutMs: 20}), undefined);
	const accepting = listener.accept();
	const client = await LocalSocket.connect('talk');
	const server = await accepting;
	assert.ok(client && server);
	assert.equal(server.blocking.peer.pid, process.pid);
	const bytes = Buffer.alloc(4_000_000, 'x');
	const sending = client.send(bytes);
	const piece = Buffer.alloc(65_536);
	let count = 0;
	while (count < bytes.length) {
		if (server.blocking.wait(1, 0)) count += readSync(server.blocking.descriptor, piece);
		await turn();
	}
	assert.equal(await sending, true);
	let taken = 0;
	const stuck = client.send(bytes, {
		timeoutMs: 20,
		onTaken: (all) => {
			taken = all;
		},
	});
	assert.equal(await stuck, false);
	assert.ok(taken > 0 && taken < bytes.length);
	client.close();
	server.close();
	const next = listener.accept();
	listener.close();
	await assert.rejects(next, isClosed);
	world.assertNothingLeft();
});

test('a FIFO: a writer once there is a reader', async (t) => {
	const world = new World(t);
	process.env.IPC_RUNTIME_DIR = world.folder;
	const fifo = Fifo.open('log', {});
	assert.equal(await fifo.openWriter({timeoutMs: 20}), undefined);
	const opening = fifo.openWriter();
	const reader = world.startOther('cat', [world.path('log')]);
	const writer = await opening;
	assert.ok(writer !== undefined);
	writeSync(writer, 'hello');
	closeSync(writer);
	assert.equal((await reader.end()).stdout.toString(), 'hello');
	fifo.close();
	Fifo.remove('log');
});

/** Begins a wait of each kind, in a process of its own. */
const waits = (name: string) => `
	const {promises} = require('${root}/dist/index.js');
	const {readdirSync} = require('node:fs');
	const count = (folder) => readdirSync('/proc/self/' + folder).length;
	const queue = promises.MessageQueue.open('${name}');
	const semaphore = promises.Semaphore.open('${name}');
	const segment = promises.SharedMemory.open('${name}-words');
	const signals = promises.Signals.receive('RTMIN+7');
	const begin = (settings) => [
		...Array.from({length: 100}, () => queue.receive(settings)),
		semaphore.wait(settings), semaphore.hold(settings), signals.take(settings),
		segment.wait('i32', 0, () => false, settings),
	];`;

async function objectsFor(t: TestContext): Promise<string> {
	const {name} = queueFor(t);
	Semaphore.create(name, {value: 0});
	SharedMemory.create(`${name}-words`, {size: 64});
	t.after(() => {
		Semaphore.remove(name);
		SharedMemory.remove(`${name}-words`);
	});
	return name;
}

test('a process with pending waits ends at once, and by itself once they are aborted; no thread and no descriptor is left', async (t) => {
	const name = await objectsFor(t);
	const leaving = await run(process.execPath, ['-e', `${waits(name)} begin(); setImmediate(() => process.exit(7));`]);
	assert.deepEqual([leaving.status, leaving.stderr], [7, '']);
	const ending = await run(process.execPath, [
		'-e',
		`${waits(name)}
		(async () => {
			const rounds = [];
			for (let round = 0; round < 3; round++) {
				const controller = new AbortController();
				const pending = begin({signal: controller.signal});
				await new Promise((resolve) => setTimeout(resolve, 1));
				rounds.push(count('task') + ' ' + count('fd'));
				controller.abort();
				const ends = await Promise.allSettled(pending);
				if (!ends.every(({reason}) => reason?.name === 'AbortError')) throw ends;
				rounds.push(count('task') + ' ' + count('fd'));
			}
			console.log(new Set(rounds).size === 1 ? 'the same' : rounds.join(', '));
		})();`,
	]);
	assert.deepEqual([ending.status, ending.stderr, ending.stdout.toString()], [0, '', 'the same\n']);
});

test('a worker with pending waits is terminated at once', async (t) => {
	const name = await objectsFor(t);
	const before = readdirSync('/proc/self/fd').length;
	for (let round = 0; round < 3; round++) {
		const worker = new Worker(
			`${waits(name)} begin(); require('node:worker_threads').parentPort.postMessage('waiting');`,
			{
				eval: true,
			},
		);
		await once(worker, 'message');
		assert.equal(await worker.terminate(), 1);
	}
	assert.ok(readdirSync('/proc/self/fd').length <= before + 3 * 4, 'descriptors of the workers are left');
});
