import assert from 'node:assert/strict';
import {writeFileSync} from 'node:fs';
import {createServer} from 'node:net';
import test from 'node:test';
import {NatsServer, NatsWorld, needsNats} from '../support/nats/nats-world.js';
import {assertDone, assertFails} from '../support/world.js';

test('a server without JetStream: how to start it with it', needsNats, async (t) => {
	const server = await new NatsServer([]).start();
	t.after(() => server.end());
	const world = new NatsWorld(t, server);
	for (const verb of ['create', 'stat', 'recv', 'remove'])
		assertFails(
			await world.run('ipc-mq', [verb, 'nats:jobs']),
			1,
			/'nats:jobs': the server runs without JetStream \(start it with: nats-server -js -a 127\.0\.0\.1\)\n$/,
		);
});

test('user and password, a token, and what the server does not permit', needsNats, async (t) => {
	const world = new NatsWorld(t, {place: ''} as never);
	const file = world.file('server.conf');
	writeFileSync(
		file,
		`jetstream: enabled
authorization {
	users = [
		{user: all, password: "p@:/w"},
		{user: none, password: secret, permissions: {publish: {deny: ["$JS.API.STREAM.CREATE.>", "ipc.mq.>", "$JS.ACK.>"]}}}
	]
}`,
	);
	const server = await new NatsServer(['-c', file]).start();
	t.after(() => server.end());
	const at = (who: string, name: string) => `nats://${who}@${server.place}/${name}`;
	assertDone(await world.run('ipc-mq', ['create', at('all:p%40%3A%2Fw', 'jobs')]), '');
	assertDone(
		await world.run('ipc-mq', ['send', 'nats:jobs', 'x'], {
			env: {...world.env, NATS_URL: server.place, NATS_USER: 'all', NATS_PASSWORD: 'p@:/w'},
		}),
		'',
	);
	assertDone(await world.run('ipc-mq', ['recv', 'nats:jobs', '--servers', `all:p%40%3A%2Fw@${server.place}`]), 'x\n');
	assertFails(
		await world.run('ipc-mq', ['recv', at('all:wrong', 'jobs')]),
		1,
		/: the server does not accept the user name, the password or the credentials\n$/,
	);
	assertFails(await world.run('ipc-mq', ['recv', `nats://${server.place}/jobs`]), 1, /does not accept the user name/);
	const denied = await world.run('ipc-mq', ['create', at('none:secret', 'more')]);
	assertFails(
		denied,
		1,
		/the server does not permit this user to publish to '\$JS\.API\.STREAM\.CREATE\.ipc-mq-more'\n$/,
	);
	assert.doesNotMatch(denied.stderr, /secret/);
	assertFails(
		await world.run('ipc-mq', ['send', at('none:secret', 'jobs'), 'x', '-p', '3']),
		1,
		/the server does not permit this user to publish to 'ipc\.mq\.jobs\.00003'\n$/,
	);
	assertDone(await world.run('ipc-mq', ['send', at('all:p%40%3A%2Fw', 'jobs'), 'kept']), '');
	const unconfirmed = await world.run('ipc-mq', ['recv', at('none:secret', 'jobs')]);
	assert.equal(unconfirmed.status, 1);
	assert.match(
		unconfirmed.stderr,
		/the server does not permit this user to publish to '\$JS\.ACK\.ipc-mq-jobs\.p00000\./,
	);
});

test('a server without TLS, and a file that has no credentials', needsNats, async (t) => {
	const server = await new NatsServer().start();
	t.after(() => server.end());
	const world = new NatsWorld(t, server);
	assertFails(
		await world.run('ipc-mq', ['recv', `tls://${server.place}/jobs`]),
		1,
		`ipc-mq: cannot open 'tls://${server.place}/jobs': tls://${server.place}: the server has no TLS (write nats://, and use no --tls option)\n`,
	);
	assertFails(
		await world.run('ipc-mq', ['recv', 'nats:jobs', '--creds', '/dev/null']),
		1,
		"ipc-mq: cannot open 'nats:jobs': the file of --creds or NATS_CREDS is not a credentials file of NATS\n",
	);
});

test('a server that accepts and never answers', async (t) => {
	const world = new NatsWorld(t, {place: ''} as never);
	const silent = createServer(() => {}).listen(0, '127.0.0.1');
	t.after(() => silent.close());
	await new Promise((resolve) => silent.once('listening', resolve));
	const {port} = silent.address() as {port: number};
	for (const [limit, waited] of [
		[['-t', '750ms'], '750ms'],
		// Not less than a connection takes, however short the wait for a message may be.
		[['-t', '100ms'], '500ms'],
		[['-n'], '2.0s'],
	] as const)
		assertFails(
			await world.run('ipc-mq', ['recv', `nats://127.0.0.1:${port}/jobs`, ...limit]),
			1,
			`ipc-mq: cannot open 'nats://127.0.0.1:${port}/jobs': no NATS server answers at nats://127.0.0.1:${port}: no answer in time (waited ${waited})\n`,
		);
});

test('options for a cluster need an address on one, and files that can be read', async (t) => {
	const world = new NatsWorld(t, {place: 'h'} as never);
	assertFails(
		await world.run('ipc-mq', ['recv', 'jobs', '--servers', 'h']),
		2,
		/^ipc-mq: --servers needs a name on a cluster: nats:NAME or nats:\/\/HOST\/NAME\n/,
	);
	assertFails(
		await world.run('ipc-mq', ['recv', 'nats:x', '--servers', 'nats://h/x']),
		2,
		/--servers: 'nats:\/\/h\/x' is not/,
	);
	assertFails(
		await world.run('ipc-mq', ['recv', 'nats:x', '--creds', '/does/not/exist']),
		1,
		/cannot read the credentials in '\/does\/not\/exist': no such file or folder/,
	);
	for (const words of [['nats:x'], ['--', 'true', '|', 'nats:x', 'y']])
		assertFails(
			await world.run('ipc-pipe', ['run', ...words]),
			2,
			"ipc-pipe: 'nats:x' is on a cluster, and 'run' starts commands of this machine only\nTry 'ipc-pipe run --help'.\n",
		);
	assertFails(await world.run('ipc-mq', ['limits', 'nats:x']), 2, /a server is expected, without a name/);
	assertFails(await world.run('ipc-shm', ['gc', 'nats:x']), 2, /operand too many|works on this machine only/);
	assertFails(
		await world.run('ipc-mq', ['create', 'nats:x', '--mode', '600']),
		2,
		/^ipc-mq: --mode cannot be used with 'nats:x', which is on a cluster\n/,
	);
	const forCluster: [command: string, words: string[]][] = [
		['ipc-mq', ['create', 'x', '--replicas', '3']],
		['ipc-mq', ['recv', 'x', '--create', '--replicas', '3']],
		['ipc-sem', ['create', 'x', '--replicas', '3']],
		['ipc-shm', ['create', 'x', '--size', '1', '--replicas', '3']],
		['ipc-pipe', ['create', 'x', '--replicas', '3']],
		['ipc-pipe', ['send', '--replicas', '3']],
	];
	for (const [command, words] of forCluster)
		assertFails(
			await world.run(command, words),
			2,
			/: --replicas needs a name on a cluster: nats:NAME or nats:\/\/HOST\/NAME\n/,
		);
});
