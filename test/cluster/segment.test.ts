import assert from 'node:assert/strict';
import test from 'node:test';
import {NatsText} from '../support/nats/nats-text.js';
import {NatsWorld, needsNats, sharedServer} from '../support/nats/nats-world.js';
import {SegmentWorld} from '../support/segments.js';
import {assertDone, assertFails, type World} from '../support/world.js';

const server = sharedServer();

/** A test with a server, and a name for a segment. */
const on = (title: string, body: (world: NatsWorld, name: string, witness: NatsText) => Promise<void>) =>
	test(title, needsNats, async (t) => {
		const nats = await server.started();
		const world = new NatsWorld(t, nats);
		await body(world, world.name(), await NatsText.connect(t, nats.place));
	});

/** The same for a segment of this machine and for one on a cluster. */
const both = (title: string, body: (world: World, name: string) => Promise<void>) => {
	test(`${title}: local`, async (t) => {
		const world = new SegmentWorld(t);
		await body(world, world.name());
	});
	on(`${title}: cluster`, body);
};

const shm = (world: World, ...words: string[]) => world.run('ipc-shm', words);

both('create, set, get, add, cas: numbers of 64 bits are exact', async (world, name) => {
	assertDone(await shm(world, 'create', name, '--size', '16'), '');
	assertFails(await shm(world, 'create', name, '--size', '16', '-x'), 1, /already exists\n$/);
	assertDone(
		await shm(world, 'set', name, '18446744073709551614', '--type', 'u64', '--offset', '8'),
		'0 18446744073709551614\n',
	);
	assertDone(await shm(world, 'add', name, '3', '--type', 'u64', '--offset', '8'), '18446744073709551614 1\n');
	assertDone(await shm(world, 'add', name, '-9007199254740993'), '0 -9007199254740993\n');
	assertDone(await shm(world, 'cas', name, '-9007199254740993', '5', '--json'), '{"old":-9007199254740993,"new":5}\n');
	const refused = await shm(world, 'cas', name, '4', '6');
	assert.deepEqual([refused.status, refused.stdout.toString()], [3, '5\n']);
	assertDone(await shm(world, 'get', name), '5\n');
	assertDone(await shm(world, 'set', name, 'x', '--type', 'str', '--offset', '3'), '');
	assertDone(await shm(world, 'get', name, '--type', 'hex', '--length', '5'), '0500007800\n');
	assertFails(
		await shm(world, 'get', name, '--offset', '16'),
		1,
		/8 bytes at offset 16 need 24 and the segment has 16/,
	);
});

both('write, read, update', async (world, name) => {
	const write = (input: string, ...words: string[]) => world.run('ipc-shm', ['write', name, ...words], {input});
	assertFails(await write('b\na\n'), 1, /no such segment/);
	assertDone(await write('b\na\n', '--create'), '');
	assertDone(await shm(world, 'read', name), 'b\na\n');
	assertFails(await write('xyz', '--offset', '2'), 1, /there is room for 2 bytes from offset 2 on, and stdin has/);
	assertDone(await write('d\nc\n', '--offset', '2', '--grow'), '');
	assertDone(await shm(world, 'update', name, '--', 'sort'), '');
	assertDone(await shm(world, 'read', name), 'b\nc\nd\n');
	assertDone(await shm(world, 'read', name, '--offset', '2', '--length', '2'), 'c\n');
	assertFails(await shm(world, 'update', name, '--', 'false'), 1, /'false' exited with status 1: '.*' is unchanged\n$/);
	assertDone(await shm(world, 'remove', name), '');
	assertFails(await shm(world, 'read', name), 1, /no such segment/);
});

on('eight processes that add at once: not one addition is lost', async (world, name) => {
	assertDone(await shm(world, 'create', name, '--size', '8'), '');
	const line = `for i in 1 2 3 4 5; do ipc-shm add ${name} 1 >/dev/null || exit; done`;
	const ends = await Promise.all(Array.from({length: 8}, () => world.shell(line)));
	for (const end of ends) assertDone(end, '');
	assertDone(await shm(world, 'get', name), '40\n');
});

on('update: where the segment changed meanwhile the filter is run again', async (world, name) => {
	assertDone(await world.run('ipc-shm', ['write', name, '--create'], {input: 'first '}), '');
	// The filter itself changes the segment, the first time.
	const filter = `[ -e ran ] || { touch ran; printf 'other ' | ipc-shm write ${name}; }; cat; printf end`;
	const updated = await world
		.start('ipc-shm', ['update', name, '--', 'bash', '-c', filter], {input: '', cwd: world.scratch})
		.end();
	assertDone(updated, '');
	assertDone(await shm(world, 'read', name), 'other end');
});

on('wait and watch are told of a change', async (world, name) => {
	assertDone(await shm(world, 'create', name, '--size', '8'), '');
	const waiting = await world.start('ipc-shm', ['wait', name, '--until', '=2', '--ready-fd', '3']).ready();
	const watching = world.start('ipc-shm', ['watch', name]);
	await watching.printed('"revision":');
	for (const value of ['1', '2']) assertDone(await shm(world, 'set', name, value), `${Number(value) - 1} ${value}\n`);
	assertDone(await waiting.end(), '2\n');
	assertDone(await shm(world, 'remove', name), '');
	await watching.printed(`{"name":"${name}","removed":true}\n`);
	assertFails(await shm(world, 'wait', name, '--until', '=2'), 1, /no such segment/);
});

on('what is larger than a message lies in the object store', async (world, name) => {
	const input = Buffer.alloc(2_500_000, 'abcdefgh');
	assertDone(await world.run('ipc-shm', ['write', name, '--create'], {input}), '');
	assertDone(await shm(world, 'read', name), input);
	assertDone(await shm(world, 'set', name, 'XY', '--type', 'str', '--offset', '2000000'), '');
	input.write('XY', 2_000_000);
	assertDone(await shm(world, 'read', name), input);
	const stored = async () => JSON.parse((await shm(world, 'stat', name, '--json')).stdout.toString()).cluster.stored;
	assert.equal(await stored(), 'object');
	assertDone(await shm(world, 'update', name, '--', 'head', '-c', '8'), '');
	assert.equal(await stored(), 'value');
	assertDone(await shm(world, 'read', name), 'abcdefgh');
});

on('on the server: the bytes are the value of a key', async (world, name, witness) => {
	assertDone(await world.run('ipc-shm', ['write', name, '--create'], {input: 'bytes\0'}), '');
	const request = {last_by_subj: `$KV.ipc-shm.${name.slice('nats:'.length)}`};
	const {text} = await witness.request('$JS.API.STREAM.MSG.GET.KV_ipc-shm', JSON.stringify(request));
	assert.equal(Buffer.from(JSON.parse(text).message.data, 'base64').toString(), 'bytes\0');
	const {stdout} = await shm(world, 'list', 'nats:', '--no-headings', '-o', 'name,size');
	assert.match(stdout.toString(), new RegExp(`^${name} +6$`, 'm'));
});

test('used wrongly on a cluster', async (t) => {
	const world = new SegmentWorld(t);
	assertFails(await shm(world, 'get', 'nats://h/x', '--lock'), 2, /^ipc-shm: --lock is for segments of this machine/);
	for (const verb of [
		['resize', 'nats://h/x', '1'],
		['send', 'nats://h/x'],
		['recv', 'nats://h/x'],
	])
		assertFails(await shm(world, ...verb), 2, /^ipc-shm: 'nats:\/\/h\/x' is on a cluster/);
});

on('an entry that another client has damaged is refused, and can be removed', async (world, name, witness) => {
	const good = world.name();
	assertDone(await shm(world, 'create', good, '--size', '8'), '');
	const refused =
		/: the entry '\S+' of the bucket does not say where the contents are \(delete it with: ipc-shm remove\)\n$/;
	for (const text of ['garbage', 'null', '{"name":"x","size":3}']) {
		witness.publishWith(['Ipc-Object: x'], `$KV.ipc-shm.${name.slice('nats:'.length)}`, text);
		await witness.flush();
		assertFails(await shm(world, 'read', name), 1, refused);
	}
	assertFails(await shm(world, 'add', name, '1'), 1, refused);
	assertFails(await shm(world, 'stat', name), 1, refused);
	const listed = await shm(world, 'list', 'nats:', '--no-headings', '-o', 'name');
	assert.equal(listed.status, 0);
	const names = listed.stdout.toString().split(/\s+/);
	assert.deepEqual([names.includes(good), names.includes(name)], [true, false]);
	assertDone(await shm(world, 'remove', name), '');
	assertDone(await shm(world, 'create', name, '--size', '8'), '');
	assertDone(await shm(world, 'remove', name, good), '');
});

on(
	'--replicas: more than the servers that there are, and a segment of this machine, are refused',
	async (world, name) => {
		assertFails(
			await shm(world, 'create', name, '--size', '8', '--replicas', '3'),
			1,
			`ipc-shm: cannot create '${name}': the cluster has fewer servers than replicas are wanted\n`,
		);
		assertFails(
			await shm(world, 'create', 'here', '--size', '8', '--replicas', '3'),
			2,
			/--replicas needs a name on a cluster/,
		);
	},
);
