import assert from 'node:assert/strict';
import test, {type TestContext} from 'node:test';
import {NatsCluster, NatsWorld, needsNats} from '../support/nats.js';
import {randomBytes} from '../support/random.js';
import {until} from '../support/until.js';

/** Three servers take their time: only `npm run test:long` starts them. */
const isLong = process.env.IPC_TEST_LONG === '1';
const needsThree = needsNats.skip || !isLong ? {skip: needsNats.skip || 'only in npm run test:long'} : {};

async function threeServers(t: TestContext): Promise<{cluster: NatsCluster; world: NatsWorld}> {
	const cluster = await new NatsCluster().start();
	t.after(() => cluster.end());
	return {cluster, world: new NatsWorld(t, cluster)};
}

/** The servers need a moment to choose a leader. */
const made = (world: NatsWorld, command: string, name: string) =>
	until('the cluster makes it', async () => {
		const words = ['create', name, '--replicas', '3', ...(command === 'ipc-mq' ? ['--maxmsg', '20000'] : [])];
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
