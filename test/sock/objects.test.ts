import assert from 'node:assert/strict';
import {existsSync, renameSync, writeFileSync} from 'node:fs';
import test from 'node:test';
import {UsageError} from '../../src/common/errors.js';
import {sockaddrInet} from '../../src/objects/socket/inet.js';
import {checkSecurity, formatSocketAddress, parseSocketAddress} from '../../src/objects/socket/socket-address.js';
import {fc} from '../support/property.js';
import {SocketWorld} from '../support/sockets.js';
import {uniqueName} from '../support/unique-name.js';
import {assertDone, assertFails} from '../support/world.js';

test('wait: until a process accepts, and until none does', async (t) => {
	const world = new SocketWorld(t);
	const path = world.path('s');
	assertFails(await world.sock('wait', 's', '-n'), 3, '');
	assertFails(await world.sock('wait', 's', '-t', '20ms'), 124, '');
	assertDone(await world.sock('wait', 's', '--gone'), '');
	await world.shell('mkdir -m 700 $RUN');
	const waiting = await world.ready(['wait', 's']);
	const bound = await world.stranger('hold', path, 'stream', 'bound');
	assertFails(await world.sock('wait', 's', '-n'), 3, '');
	await bound.kill('SIGKILL').end();
	assertFails(await world.sock('wait', 's', '-n'), 3, '');
	const listener = await world.ready(['listen', 's', '-k']);
	assertDone(await waiting.end(), '');
	assertFails(await world.sock('wait', 's', '--gone', '-t', '20ms'), 124, '');
	const leaving = await world.ready(['wait', 's', '--gone']);
	listener.kill();
	assertDone(await leaving.end(), '');
	const address = `@${uniqueName()}`;
	await world.stranger('hold', address, 'dgram');
	assertDone(await world.sock('wait', address), '');
});

test('list and stat: type, state, who listens, who is connected; what is stale is marked', async (t) => {
	const world = new SocketWorld(t);
	await world.shell('mkdir -m 700 $RUN');
	const listener = await world.stranger('hold', world.path('a'), 'stream');
	const one = await world.stranger('deaf', world.path('a'));
	await world.stranger('hold', world.path('b'), 'dgram');
	await (await world.stranger('hold', world.path('c'), 'seqpacket')).kill('SIGKILL').end();
	const {stdout} = await world.sock('list', '--json');
	const rows = stdout
		.toString()
		.trim()
		.split('\n')
		.map((line) => JSON.parse(line));
	assert.deepEqual(
		rows.map(({name, type, state}) => [name, type, state]),
		[
			['a', 'stream', 'listening'],
			['b', 'dgram', 'bound'],
			['c', null, 'stale'],
		],
	);
	const [{listeners, waiting, backlog, connections}] = rows;
	assert.deepEqual(
		[listeners.map(({pid}: {pid: number}) => pid), waiting, backlog, connections],
		[[listener.pid], 1, 8, 0],
	);
	assertDone(
		await world.sock('list', '--no-headings', '-o', 'state,name'),
		'listening  a\nbound      b\nstale      c\n',
	);

	await world.ready(['listen', 'd', '-k', '--', 'cat']);
	const client = world.start('ipc-sock', ['connect', 'd']);
	client.stdin.write('x');
	await client.printed('x');
	const stat = JSON.parse((await world.sock('stat', 'd', '--json')).stdout.toString());
	assert.deepEqual([stat.connections, stat.peers.map(({pid}: {pid: number}) => pid)], [1, [client.pid]]);
	assert.equal(stat.peers[0].uid, process.getuid?.());
	const text = (await world.sock('stat', 'd')).stdout.toString();
	assert.match(text, /^path: +\/.*\/d\ntype: +stream\nstate: +listening\nmode: +0600\n/);
	assert.match((await world.sock('stat', 'c')).stdout.toString(), /stale: the file exists, but no process uses it/);
	assertFails(await world.sock('stat', 'e'), 1, "ipc-sock: cannot show 'e': no such socket (see: ipc-sock list)\n");
	const name = `@${uniqueName()}`;
	await world.stranger('hold', name, 'stream');
	assert.ok(
		(await world.sock('list', '--system', '--no-headings', '-o', 'name')).stdout.toString().split('\n').includes(name),
	);
	one.kill();
});

test('list --system: a path can be given back, with its mode and its owner', async (t) => {
	const world = new SocketWorld(t);
	await world.shell('mkdir -m 700 $RUN');
	const path = world.file('elsewhere');
	await world.stranger('hold', path, 'stream');
	const moved = world.file('moved');
	await world.stranger('hold', moved, 'stream');
	renameSync(moved, world.file('away'));
	const listed = async (): Promise<Record<string, unknown>[]> =>
		(await world.sock('list', '--system', '--json')).stdout
			.toString()
			.trim()
			.split('\n')
			.map((line) => JSON.parse(line));
	const rows = await listed();
	for (const {name} of rows) assert.doesNotMatch(String(name).slice(1), /\0$/);
	const row = rows.find(({name}) => name === path);
	const expected = (await world.shell(`stat -c '0%a %U' '${path}'`)).stdout.toString().trim();
	assert.equal(`${row?.mode} ${row?.owner}`, expected);
	assert.equal(row?.path, path);
	assert.equal(
		JSON.parse((await world.sock('stat', String(row?.name), '--json')).stdout.toString()).state,
		'listening',
	);
	// What has this name now is not the socket.
	writeFileSync(moved, '');
	const other = (await listed()).find(({name}) => name === moved);
	assert.deepEqual([other?.state, other?.mode, other?.owner], ['listening', null, null]);
});

test('a datagram server is there still when a client has connected to it, and shows who has', async (t) => {
	const world = new SocketWorld(t);
	await world.shell('mkdir -m 700 $RUN');
	const path = world.path('log');
	const server = await world.stranger('hold', path, 'dgram');
	const clients = [await world.stranger('deaf', path, 'dgram'), await world.stranger('deaf', path, 'dgram')];
	const pids = clients.map(({pid}) => pid).sort((a, b) => a - b);
	// The kernel's own list calls it connected by now: 03.
	const {stdout} = await world.shell(`grep ' ${path}$' /proc/net/unix`);
	assert.match(stdout.toString(), / 0002 03 /);
	for (const words of [['stat', 'log'], ['list'], ['list', '-a']]) {
		const lines = (await world.sock(...words, '--json')).stdout.toString().trim().split('\n');
		const row = lines.map((line) => JSON.parse(line)).find((status) => status.path === path);
		assert.deepEqual(
			[row.type, row.state, row.listeners.map(({pid}: {pid: number}) => pid), row.connections],
			['dgram', 'bound', [server.pid], 2],
		);
		assert.deepEqual(
			row.peers.map(({pid}: {pid: number}) => pid),
			pids,
		);
	}
	assertFails(await world.sock('recv', 'log', '--type', 'dgram'), 1, /process \d+ \(sock-peer\) already uses it/);
	assertDone(await world.sock('wait', 'log', '-n'), '');
});

test('remove: the dead; the living only by force; goes on past a failure', async (t) => {
	const world = new SocketWorld(t);
	await world.shell('mkdir -m 700 $RUN');
	const alive = await world.stranger('hold', world.path('alive'), 'stream');
	for (const name of ['one', 'two'])
		await (await world.stranger('hold', world.path(name), 'stream')).kill('SIGKILL').end();
	assertFails(
		await world.sock('remove', 'one', 'none', 'alive', 'two'),
		1,
		`ipc-sock: cannot remove 'none': no such socket\nipc-sock: cannot remove 'alive': process ${alive.pid} (sock-peer) uses it (--force removes it anyway)\n`,
	);
	assert.deepEqual(world.leftovers(), ['alive']);
	assertDone(await world.sock('remove', '--force', 'alive'), '');
	assert.ok(!existsSync(world.path('alive')));
	assertFails(await world.sock('remove', '@x'), 1, /disappears with the process that uses it/);
});

test('an address is what it is written as', () => {
	const reads = (text: string, expected: unknown) => assert.deepEqual(parseSocketAddress(text), expected, text);
	reads('name', {kind: 'name', name: 'name'});
	reads('/name', {kind: 'name', name: 'name'});
	reads('./name', {kind: 'path', path: './name'});
	reads('/a/b', {kind: 'path', path: '/a/b'});
	reads('unix:name', {kind: 'path', path: 'name'});
	reads('unix:/run/x', {kind: 'path', path: '/run/x'});
	reads('@x', {kind: 'abstract', name: 'x'});
	reads('unix:@x', {kind: 'abstract', name: 'x'});
	reads('tcp:localhost:80', {kind: 'tcp', host: 'localhost', port: 80});
	reads('tls:[::1]:443', {kind: 'tls', host: '::1', port: 443});
	reads('tcp:10.0.0.1:65535', {kind: 'tcp', host: '10.0.0.1', port: 65_535});
});

const refuses = (text: string, why: RegExp) =>
	test(`'${text}' is not an address: ${why.source}`, () => assert.throws(() => parseSocketAddress(text), why));
refuses('', /empty/);
refuses('@', /nothing follows the @/);
refuses(`@${'x'.repeat(108)}`, /108 bytes, the maximum for an abstract name is 107/);
refuses('tcp:localhost', /tcp:HOST:PORT is expected/);
refuses('tcp:::1:80', /IPv6 address in brackets/);
refuses('tcp:[x]:80', /'x' is not an IPv6 address/);
refuses('tcp::80', /the host is missing/);
refuses('tcp:host:0', /from 1 to 65535/);
refuses('tcp:host:65536', /from 1 to 65535/);
refuses('tls:ho st:1', /not a host name/);
refuses('nats://host/x', /cluster/);
refuses('a/', /ends with a slash/);

for (const name of ['@', '@jobs', 'tcp:', 'tls:x', 'unix:a'])
	test(`'/${name}' is a name, and is shown with its slash`, () => {
		const address = parseSocketAddress(`/${name}`);
		assert.deepEqual(address, {kind: 'name', name});
		assert.equal(formatSocketAddress(address), `/${name}`);
	});

test('whatever is parsed is refused, or formats to what parses to the same', () => {
	const text = fc.oneof(
		fc.string(),
		fc.string().map((tail) => `tcp:${tail}`),
		fc
			.tuple(fc.constantFrom('tcp', 'tls', 'unix', '@', './'), fc.ipV6(), fc.integer())
			.map(([scheme, host, port]) => `${scheme}:[${host}]:${port}`),
		fc.tuple(fc.domain(), fc.integer({min: -3, max: 70_000})).map(([host, port]) => `tls:${host}:${port}`),
	);
	fc.assert(
		fc.property(text, (words) => {
			let address: ReturnType<typeof parseSocketAddress>;
			try {
				address = parseSocketAddress(words);
			} catch (error) {
				assert.ok(error instanceof UsageError, String(error));
				return;
			}
			assert.deepEqual(parseSocketAddress(formatSocketAddress(address)), address);
		}),
		{numRuns: 2000},
	);
});

test('plain TCP is for this machine, unless --insecure is given', () => {
	for (const text of ['tcp:localhost:1', 'tcp:127.9.9.9:1', 'tcp:[::1]:1', 'tls:example.org:1', 'name'])
		checkSecurity(parseSocketAddress(text), false);
	for (const text of ['tcp:example.org:1', 'tcp:0.0.0.0:1', 'tcp:[::]:1', 'tcp:127.0.0.1.example.org:1']) {
		assert.throws(() => checkSecurity(parseSocketAddress(text), false), UsageError);
		checkSecurity(parseSocketAddress(text), true);
	}
});

test('an IPv6 address in the form of the kernel', () => {
	const bytes = (text: string) => sockaddrInet(text, 80).bytes.subarray(8, 24).toString('hex');
	assert.equal(bytes('::'), '0'.repeat(32));
	assert.equal(bytes('::1'), `${'0'.repeat(31)}1`);
	assert.equal(bytes('2001:db8::ff00:42:8329'), '20010db8000000000000ff0000428329');
	assert.equal(bytes('::ffff:1.2.3.4'), '00000000000000000000ffff01020304');
	assert.equal(bytes('1:2:3:4:5:6:7:8'), '00010002000300040005000600070008');
});
