import assert from 'node:assert/strict';
import {closeSync, readFileSync, writeSync} from 'node:fs';
import {join} from 'node:path';
import test from 'node:test';
import {root} from './support/run.js';
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

test('a queue as a library: sent, received, iterated over without holding up the event loop', async (t) => {
	const {MessageQueue, SystemError} = (await import(
		join(root, 'dist', 'index.js')
	)) as typeof import('../src/index.js');
	const name = `ipc-tools-test-library-${process.pid}`;
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
	const seen: unknown[] = [];
	let ticks = 0;
	const clock = setInterval(() => ticks++, 1);
	setTimeout(() => queue.send('late'), 50);
	for await (const {data, priority} of queue) {
		seen.push([data.toString('latin1'), priority]);
		if (data.toString() === 'late') break;
	}
	clearInterval(clock);
	assert.deepEqual(seen, [
		['high', 9],
		['low', 0],
		['\0\xff', 0],
		['late', 0],
	]);
	assert.ok(ticks > 5, 'the event loop stood still');
	assert.throws(() => MessageQueue.open('no-such-queue-here'), /no such queue \(make it with: ipc-mq create/);
});

test('a local socket as a library: listened on, connected to, with descriptors and who is there', async (t) => {
	const world = new World(t);
	process.env.IPC_RUNTIME_DIR = world.folder;
	const {LocalSocket, SystemError} = (await import(join(root, 'dist', 'index.js'))) as typeof import('../src/index.js');
	assert.equal(LocalSocket.tryConnect('talk'), undefined);
	assert.throws(() => LocalSocket.connect('talk'), SystemError);
	const listener = LocalSocket.listen('talk', {mode: 0o640});
	assert.throws(() => LocalSocket.listen('talk'), /cannot listen on 'talk': .* has it already/);
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
