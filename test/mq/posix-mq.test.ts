import assert from 'node:assert/strict';
import {createRequire} from 'node:module';
import {join} from 'node:path';
import test from 'node:test';
import {root} from '../support/run.js';
import {uniqueName} from '../support/unique-name.js';
import {assertDone, World} from '../support/world.js';

/** The npm package posix-mq, a stranger to us: what it uses of the kernel's queues is none of our code. */
interface PosixMq {
	open(config: {name: string; create?: boolean; mode?: string; maxmsgs?: number; msgsize?: number}): void;
	push(message: Buffer | string, priority?: number): boolean;
	shift(buffer: Buffer, withPriority: true): [number, number] | false;
	unlink(): void;
	close(): void;
	readonly curmsgs: number;
	readonly maxmsgs: number;
	readonly msgsize: number;
}

function loadPeer(): (new () => PosixMq) | undefined {
	try {
		return createRequire(join(root, 'test/peers/posix-mq/package.json'))('posix-mq');
	} catch {
		return undefined;
	}
}

const Peer = loadPeer();
const skip = Peer ? false : 'needs posix-mq: npm ci --prefix test/peers/posix-mq';
const name = uniqueName();

test('posix-mq sees our queue, its attributes, priorities and bytes', {skip}, async (t) => {
	const world = new World(t);
	t.after(() => world.run('ipc-mq', ['remove', name]));
	assertDone(await world.run('ipc-mq', ['create', name, '--maxmsg', '5', '--msgsize', '100']), '');
	assertDone(await world.run('ipc-mq', ['send', name, '-p', '3', 'low', 'ünï']), '');
	assertDone(await world.run('ipc-mq', ['send', name, '-p', '9', '--raw'], {input: Buffer.from([0, 255, 10])}), '');
	const queue = new (Peer as new () => PosixMq)();
	queue.open({name: `/${name}`});
	assert.deepEqual([queue.maxmsgs, queue.msgsize, queue.curmsgs], [5, 100, 3]);
	const buffer = Buffer.alloc(100);
	const take = () => {
		const [length, priority] = queue.shift(buffer, true) as [number, number];
		return {bytes: Buffer.from(buffer.subarray(0, length)), priority};
	};
	assert.deepEqual(take(), {bytes: Buffer.from([0, 255, 10]), priority: 9});
	assert.deepEqual(take(), {bytes: Buffer.from('low'), priority: 3});
	assert.deepEqual(take(), {bytes: Buffer.from('ünï'), priority: 3});
	queue.close();
});

test('we see the queue that posix-mq made, its attributes, priorities and bytes', {skip}, async (t) => {
	const world = new World(t);
	const queue = new (Peer as new () => PosixMq)();
	queue.open({name: `/${name}-2`, create: true, mode: '0600', maxmsgs: 4, msgsize: 64});
	t.after(() => {
		queue.unlink();
		queue.close();
	});
	queue.push(Buffer.from([0, 255]), 2);
	queue.push('text', 7);
	const stat = JSON.parse((await world.run('ipc-mq', ['stat', `${name}-2`, '--json'])).stdout.toString());
	assert.deepEqual([stat.maxmsg, stat.msgsize, stat.messages, stat.bytes], [4, 64, 2, 6]);
	assert.ok(stat.users.some(({pid}: {pid: number}) => pid === process.pid));
	const {stdout} = await world.run('ipc-mq', ['recv', `${name}-2`, '--all', '--json']);
	assert.equal(stdout.toString(), '{"data":"text","priority":7}\n{"base64":"AP8=","priority":2}\n');
});
