import assert from 'node:assert/strict';
import test, {type TestContext} from 'node:test';
import {NatsCluster, NatsWorld, needsNats} from '../support/nats/nats-world.js';
import {randomBytes} from '../support/random.js';
import type {Running} from '../support/run.js';
import {until} from '../support/until.js';
import {assertDone} from '../support/world.js';

/** Three servers take their time: only `npm run test:long` starts them. */
const isLong = process.env.IPC_TEST_LONG === '1';
const needsThree = needsNats.skip || !isLong ? {skip: needsNats.skip || 'only in npm run test:long'} : {};

async function threeServers(t: TestContext): Promise<{cluster: NatsCluster; world: NatsWorld}> {
	const cluster = await new NatsCluster().start();
	t.after(() => cluster.end());
	return {cluster, world: new NatsWorld(t, cluster)};
}

const settings: Record<string, string[]> = {'ipc-mq': ['--maxmsg', '20000'], 'ipc-shm': ['--size', '8']};

/** The servers need a moment to choose a leader. */
const made = (world: NatsWorld, command: string, name: string) =>
	until('the cluster makes it', async () => {
		const words = ['create', name, '--replicas', '3', ...(settings[command] ?? [])];
		return (await world.run(command, words)).status === 0;
	});

async function killLeader(cluster: NatsCluster, world: NatsWorld, command: string, name: string): Promise<void> {
	const {stdout} = await world.run(command, ['stat', name, '--json']);
	const leader = cluster.servers.get(JSON.parse(stdout.toString()).cluster.leader);
	assert.ok(leader, stdout.toString());
	await leader.kill();
}

test(
	'a pipe of three servers: its leader is killed in the middle of 200 MB, and they are equal',
	needsThree,
	async (t) => {
		const {cluster, world} = await threeServers(t);
		const name = world.name();
		await made(world, 'ipc-pipe', name);
		const bytes = randomBytes(200_000_000);
		const receiver = await world.start('ipc-pipe', ['recv', name, '--ready-fd', '3'], {input: ''}).ready();
		const sender = world.start('ipc-pipe', ['send', name]);
		sender.stdin.write(bytes.subarray(0, 100_000_000));
		await until('a part has come', () => receiver.received > 50_000_000);
		await killLeader(cluster, world, 'ipc-pipe', name);
		sender.stdin.end(bytes.subarray(100_000_000));
		const {status, stderr} = await sender.end();
		assert.equal(status, 0, stderr);
		const {stdout, status: end, stderr: told} = await receiver.end();
		assert.equal(end, 0, told);
		assert.ok(stdout.equals(bytes), `${stdout.length} bytes came: ${told}`);
	},
);

test(
	'a queue of three servers: its leader is killed in the middle of 10,000 messages, and a worker has done each',
	needsThree,
	async (t) => {
		const {cluster, world} = await threeServers(t);
		const name = world.name();
		await made(world, 'ipc-mq', name);
		const lines = Array.from({length: 10_000}, (_, i) => String(i));
		// The two that work print what they have done; a message that both have done counts as a double.
		const workers = [1, 2].map(() => world.start('ipc-mq', ['recv', name, '--follow']));
		const done = () => workers.flatMap((worker) => worker.output.toString().split('\n')).filter((line) => line !== '');
		const sender = world.start('ipc-mq', ['send', name]);
		for (const line of lines.slice(0, 5000)) sender.stdin.write(`${line}\n`);
		await until('some are done', () => done().length > 2000);
		await killLeader(cluster, world, 'ipc-mq', name);
		for (const line of lines.slice(5000)) sender.stdin.write(`${line}\n`);
		const sent = await sender.end();
		assert.equal(sent.status, 0, sent.stderr);
		await until('all are done', () => new Set(done()).size === lines.length);
		for (const worker of workers) await worker.kill().end();
		const all = done();
		assert.deepEqual([...new Set(all)].sort(), [...lines].sort());
		t.diagnostic(`${all.length - lines.length} of ${lines.length} messages were done twice`);
	},
);

test('segments of three servers: one server is killed, and they are as before', needsThree, async (t) => {
	const {cluster, world} = await threeServers(t);
	const [first, second] = [world.name(), world.name()];
	const bytes = randomBytes(2 * 1024 ** 2);
	// One too large for a value, and made when the bucket was on one server.
	const write = () => world.run('ipc-shm', ['write', first, '--create'], {input: bytes});
	await until('the cluster makes it', async () => (await write()).status === 0);
	await made(world, 'ipc-shm', second);
	assertDone(await world.run('ipc-shm', ['set', second, '42']), '0 42\n');
	await [...cluster.servers.values()][0]?.kill();
	assertDone(await world.run('ipc-shm', ['get', second]), '42\n');
	const read = await world.run('ipc-shm', ['read', first]);
	assert.deepEqual([read.status, read.stderr, read.stdout.length], [0, '', bytes.length]);
	assert.ok(read.stdout.equals(bytes));
	const {stdout} = await world.run('ipc-shm', ['stat', first, '--json']);
	assert.equal(JSON.parse(stdout.toString()).cluster.replicas, 3);
});

test('receivers of signals on different servers of three: each gets its own', needsThree, async (t) => {
	const {cluster, world} = await threeServers(t);
	const places = [...cluster.servers.values()].map(({place}) => place);
	const at = (i: number) => ({env: {NATS_URL: places[i] as string}, input: ''});
	const [first, second] = [world.name(), world.name()];
	const receivers = await Promise.all(
		[first, second].map((name, i) =>
			world.start('ipc-signal', ['wait', 'RTMIN', '--name', name, '--json', '--ready-fd', '3'], at(i)).ready(),
		),
	);
	const words = ['send', 'RTMIN', first, second, '--value', '7', '-t', '5m'];
	assertDone(await world.start('ipc-signal', words, at(2)).end(), '');
	for (const receiver of receivers) assert.equal(JSON.parse((await receiver.end()).stdout.toString()).value, 7);
});

test('two that want one name at once, on different servers of three: one gets it', needsThree, async (t) => {
	const {cluster, world} = await threeServers(t);
	const places = [...cluster.servers.values()].map(({place}) => place);
	for (let round = 0; round < 10; round++) {
		const name = world.name();
		const both = places.slice(0, 2).map((place) =>
			world.start('ipc-signal', ['wait', 'USR1', '--name', name, '--ready-fd', '3'], {
				env: {NATS_URL: place},
				input: '',
			}),
		);
		const loser = await Promise.race(both.map(async (one) => ({one, end: await one.end()})));
		assert.match(loser.end.stderr, /has that name\n$/);
		const winner = both.find((one) => one !== loser.one) as Running;
		await winner.ready();
		assertDone(await world.run('ipc-signal', ['send', 'USR1', name, '-t', '5m']), '');
		assert.equal((await winner.end()).status, 0);
	}
});
