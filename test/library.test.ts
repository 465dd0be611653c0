import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {closeSync, fstatSync, openSync, readFileSync, writeSync} from 'node:fs';
import {join} from 'node:path';
import test from 'node:test';
import {root} from './support/run.js';
import {uniqueName} from './support/unique-name.js';
import {World} from './support/world.js';

test('as a library: import and require give the classes, with types', async (t) => {
	const world = new World(t);
	process.env.IPC_RUNTIME_DIR = world.folder;
	const {Fifo, SystemError} = (await import(join(root, 'dist', 'index.js'))) as typeof import('../src/index.js');
	assert.equal(Fifo.create('log'), true);
	assert.equal(Fifo.create('log'), false);
	const fifo = Fifo.open('log');
	assert.equal(fifo.path, world.path('log'));
	assert.equal(fifo.tryOpenWriter(), undefined);
	assert.equal(fifo.openWriter(20), undefined);
	const reader = fifo.openReader();
	const writer = fifo.openWriter(0) ?? fifo.tryOpenWriter();
	assert.ok(writer !== undefined);
	writeSync(writer, 'hello');
	closeSync(writer);
	assert.equal(readFileSync(reader, 'utf8'), 'hello');
	closeSync(reader);
	fifo.close();
	Fifo.remove('log');
	assert.throws(() => Fifo.open('log'), SystemError);
	assert.match(readFileSync(join(root, 'dist', 'types', 'src', 'index.d.ts'), 'utf8'), /Fifo/);
});

test('a queue as a library: sent and received, by priority', async (t) => {
	const {MessageQueue, SystemError} = (await import(
		join(root, 'dist', 'index.js')
	)) as typeof import('../src/index.js');
	const name = uniqueName('library');
	assert.equal(MessageQueue.create(name, {maxmsg: 3, msgsize: 64}), true);
	t.after(() => MessageQueue.remove(name));
	assert.equal(MessageQueue.create(name), false);
	const queue = MessageQueue.open(name);
	t.after(() => queue.close());
	assert.deepEqual([queue.maxmsg, queue.msgsize, queue.messages], [3, 64, 0]);
	assert.equal(queue.tryReceive(), undefined);
	assert.equal(queue.receive({timeoutMs: 20}), undefined);
	assert.ok(queue.trySend('low') && queue.trySend('high', 9) && queue.trySend(Uint8Array.of(0, 255)));
	assert.equal(queue.trySend('one too many'), false);
	assert.equal(queue.send('one too many', {timeoutMs: 20}), false);
	assert.throws(() => queue.trySend('x'.repeat(65)), SystemError);
	assert.throws(() => queue.trySend('x', 32_768), /priority must be between 0 and 32767/);
	const received = [queue.receive(), queue.receive({timeoutMs: 20}), queue.tryReceive()];
	assert.deepEqual(
		received.map((message) => [message?.data.toString('latin1'), message?.priority]),
		[
			['high', 9],
			['low', 0],
			['\0\xff', 0],
		],
	);
	assert.throws(() => MessageQueue.open('no-such-queue-here'), {
		reason: 'no-queue',
		message: "cannot open 'no-such-queue-here': no such queue",
	});
});

test('a semaphore as a library: taken and given, held and released, and the dead give theirs back', async (t) => {
	const {Semaphore, UsageError} = (await import(join(root, 'dist', 'index.js'))) as typeof import('../src/index.js');
	const name = uniqueName('library');
	assert.equal(Semaphore.create(name, {value: 2, mode: 0o640}), true);
	t.after(() => Semaphore.remove(name));
	assert.equal(Semaphore.create(name), false);
	assert.ok(Semaphore.names().includes(name));
	using semaphore = Semaphore.open(name);
	assert.equal(semaphore.stat().mode & 0o640, 0o640);
	assert.ok(semaphore.tryWait() && semaphore.wait(20));
	assert.equal(semaphore.tryWait(), false);
	assert.equal(semaphore.wait(20), false);
	assert.equal(semaphore.awaitUnit(20), false);
	semaphore.post(2);
	assert.equal(semaphore.awaitUnit(), true);
	assert.equal(semaphore.value, 2);
	{
		using holding = semaphore.hold({command: 'this test'});
		assert.ok(holding);
		assert.equal(semaphore.value, 1);
		assert.deepEqual(
			semaphore.listHolders().map(({pid, command, state}) => [pid, command, state]),
			[[process.pid, 'this test', 'held']],
		);
	}
	assert.equal(semaphore.value, 2);
	const holdings = [semaphore.hold(), semaphore.hold()];
	let waits = 0;
	assert.equal(semaphore.hold({timeoutMs: 700, onWait: () => waits++}), undefined);
	assert.deepEqual([waits, semaphore.value, semaphore.waiters], [1, 0, 0]);
	// As a process that ends does.
	closeSync(holdings[0]?.descriptor as number);
	assert.equal(semaphore.reap(), 1);
	assert.equal(semaphore.reap(), 0);
	assert.equal(holdings[1]?.letGo(), true);
	assert.equal(holdings[1]?.letGo(), true);
	assert.deepEqual([semaphore.value, semaphore.listHolders()], [2, []]);
	assert.throws(() => Semaphore.open('no-such-semaphore-here'), {
		reason: 'no-semaphore',
		message: "cannot open 'no-such-semaphore-here': no such semaphore",
	});
	assert.equal(Semaphore.tryOpen('no-such-semaphore-here'), undefined);
	assert.throws(() => Semaphore.open('a/b'), UsageError);
});

test('a segment and a ring as a library: words of every type, bytes, a lock, records', async (t) => {
	const {SharedMemory, Ring, SystemError, UsageError} = (await import(
		join(root, 'dist', 'index.js')
	)) as typeof import('../src/index.js');
	const name = uniqueName('library');
	assert.equal(SharedMemory.create(name, {size: 64}), true);
	t.after(() => SharedMemory.remove(name));
	assert.equal(SharedMemory.create(name, {size: 64}), false);
	const segment = SharedMemory.open(name);
	t.after(() => segment.close());
	assert.equal(segment.exchange('i64', 0, -1n), 0n);
	assert.equal(segment.load('u64', 0), 2n ** 64n - 1n);
	assert.equal(segment.add('u64', 0, 2n), 2n ** 64n - 1n);
	assert.equal(segment.compareExchange('i32', 0, 5n, 6n), 1n);
	assert.equal(segment.compareExchange('i32', 0, 1n, 6n), 1n);
	assert.equal(segment.load('i32', 0), 6n);
	assert.equal(segment.exchangeDouble(8, 1.5), 0);
	assert.equal(segment.loadDouble(8), 1.5);
	assert.equal(
		segment.wait('i32', 0, (value) => value > 5n, 0),
		6n,
	);
	assert.equal(
		segment.wait('i32', 0, (value) => value > 6n, 20),
		undefined,
	);
	assert.throws(() => segment.load('i64', 4), UsageError);
	assert.throws(() => segment.load('i64', 64), SystemError);
	assert.throws(() => segment.exchange('i32', 0, 2n ** 31n), UsageError);
	segment.writeBytes(60, Buffer.from('abcd'));
	assert.throws(() => segment.writeBytes(61, Buffer.from('abcd')), SystemError);
	assert.equal(segment.readBytes(58, 100).toString('latin1'), '\0\0abcd');
	segment.resize(8192);
	assert.equal(segment.load('i64', 8184), 0n);
	const other = SharedMemory.open(name, 'read');
	t.after(() => other.close());
	assert.throws(() => other.add('i32', 0, 1n), /not open for writing/);
	assert.ok(segment.lock('exclusive', 0) && !other.lock('shared', 0) && !other.lock('shared', 20));
	segment.unlock();
	assert.ok(other.lock('shared', 0));
	const ringName = `${name}-ring`;
	const ring = Ring.open(ringName, {size: 16_384});
	t.after(() => SharedMemory.remove(ringName));
	t.after(() => ring.close());
	assert.ok(ring.send('one') && ring.send(Uint8Array.of(0, 255)) && ring.send(''));
	assert.deepEqual(
		[ring.receive()?.toString(), ring.receive(0)?.toString('hex'), ring.receive(0)?.length],
		['one', '00ff', 0],
	);
	assert.equal(ring.receive(0), undefined);
	assert.throws(() => Ring.open(name), /cannot use .* as a ring/);
});

test('signals as a library: blocked in every thread, taken in order, sent through a pidfd', async () => {
	const {Signals, SystemError, UsageError} = (await import(
		join(root, 'dist', 'index.js')
	)) as typeof import('../src/index.js');
	using signals = Signals.receive('RTMIN+5', 'SIGWINCH');
	assert.equal(signals.tryTake(), undefined);
	assert.equal(signals.take({timeoutMs: 20}), undefined);
	for (const value of [3, 1, 2]) assert.equal(Signals.send(process.pid, 'RTMIN+5', {value}), true);
	assert.equal(signals.take()?.value, 3);
	Signals.send(process.pid, 'WINCH');
	assert.deepEqual(
		[signals.take(), signals.tryTake(), signals.take({timeoutMs: 20})].map((received) => [
			received?.signal,
			received?.value,
			received?.code,
			received?.pid === process.pid && received?.uid === process.getuid?.(),
		]),
		[
			['WINCH', null, 'USER', true],
			['RTMIN+5', 1, 'QUEUE', true],
			['RTMIN+5', 2, 'QUEUE', true],
		],
	);
	// Who is started by Node has them unblocked.
	assert.match(execFileSync('grep', ['SigBlk', '/proc/self/status'], {encoding: 'utf8'}), /^SigBlk:\t0+\n$/);
	assert.throws(() => Signals.receive('KILL'), UsageError);
	assert.throws(() => Signals.receive(), UsageError);
	assert.throws(() => Signals.send(4_194_304, 0), SystemError);
});

test('a local socket as a library: listened on, connected to, with descriptors and who is there', async (t) => {
	const world = new World(t);
	process.env.IPC_RUNTIME_DIR = world.folder;
	const {LocalSocket, SystemError} = (await import(join(root, 'dist', 'index.js'))) as typeof import('../src/index.js');
	assert.equal(LocalSocket.tryConnect('talk'), undefined);
	assert.throws(() => LocalSocket.connect('talk'), SystemError);
	const listener = LocalSocket.listen('talk', {mode: 0o640});
	assert.throws(() => LocalSocket.listen('talk'), /cannot listen on 'talk': .* already uses it/);
	assert.throws(() => LocalSocket.remove('talk'), SystemError);
	assert.equal(listener.tryAccept(), undefined);
	assert.equal(listener.accept(20), undefined);
	const client = LocalSocket.connect('talk');
	const server = listener.accept(1000);
	assert.ok(server);
	assert.deepEqual(server.peer, {pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.()});
	const pidfd = server.peerPidfd();
	if (pidfd !== undefined) closeSync(pidfd);
	assert.equal(client.send(Buffer.from('hello')), true);
	assert.equal(client.waitUntilRead(20), false);
	client.endOutput();
	assert.equal(readFileSync(server.descriptor, 'utf8'), 'hello');
	assert.equal(client.waitUntilRead(1000), true);
	client.close();
	server.close();
	listener.close();
	world.assertNothingLeft();
	assert.throws(() => LocalSocket.connect('tcp:127.0.0.1:1'), SystemError);
});

test('what is closed twice leaves alone a file that has got its number meanwhile', async (t) => {
	const world = new World(t);
	process.env.IPC_RUNTIME_DIR = world.folder;
	const {Fifo, LocalSocket, MessageQueue, Ring, Semaphore, SharedMemory, Signals} = (await import(
		join(root, 'dist', 'index.js')
	)) as typeof import('../src/index.js');
	const name = uniqueName('library');
	MessageQueue.create(name, {maxmsg: 1, msgsize: 8});
	t.after(() => MessageQueue.remove(name));
	Semaphore.create(name);
	t.after(() => Semaphore.remove(name));
	SharedMemory.create(name, {size: 4096});
	t.after(() => SharedMemory.remove(name));
	const ring = uniqueName('library');
	Ring.open(ring, {size: 65_536}).close();
	t.after(() => SharedMemory.remove(ring));
	Fifo.create('twice');
	const openers: Record<string, () => {close(): void}> = {
		queue: () => MessageQueue.open(name),
		semaphore: () => Semaphore.open(name),
		segment: () => SharedMemory.open(name),
		ring: () => Ring.open(ring),
		FIFO: () => Fifo.open('twice'),
		signals: () => Signals.receive('RTMIN+9'),
		socket: () => LocalSocket.listen('twice.sock'),
	};
	for (const [kind, open] of Object.entries(openers)) {
		const object = open();
		object.close();
		const others = Array.from({length: 4}, () => openSync('/dev/null', 'r'));
		object.close();
		for (const other of others) assert.ok(fstatSync(other).isCharacterDevice(), kind);
		for (const other of others) closeSync(other);
	}
});
