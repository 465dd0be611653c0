import assert from 'node:assert/strict';
import {existsSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import test, {type TestContext} from 'node:test';
import {NatsServer, NatsWorld, needsNats, sharedServer} from '../support/nats/nats-world.js';
import {QueueWorld, small} from '../support/queues.js';
import {until} from '../support/until.js';
import {assertDone, type World} from '../support/world.js';

const server = sharedServer();

/** One body, two rows: a queue on this machine and one on a cluster. */
function both(title: string, body: (world: World, newQueue: () => Promise<string>) => Promise<void>): void {
	test(`${title}: on this machine`, (t) => {
		const world = new QueueWorld(t);
		return body(world, () => world.queue());
	});
	test(`${title}: on a cluster`, needsNats, async (t) => {
		const world = new NatsWorld(t, await server.started());
		return body(world, () => clusterQueue(world));
	});
}

async function clusterQueue(world: NatsWorld): Promise<string> {
	const name = world.name();
	assertDone(await world.run('ipc-mq', ['create', name, ...small]), '');
	return name;
}

const onCluster = (title: string, body: (world: NatsWorld, t: TestContext) => Promise<void>) =>
	test(title, needsNats, async (t) => body(new NatsWorld(t, await server.started()), t));

both('a worker runs a command for each message', async (world, newQueue) => {
	const name = await newQueue();
	assertDone(await world.run('ipc-mq', ['send', name, 'a', 'b', '-p', '4']), '');
	const {stdout, status} = await world.run('ipc-mq', [
		...['recv', name, '--all', '--', 'sh', '-c', 'echo "$IPC_PRIORITY $IPC_QUEUE $(cat)"'],
	]);
	assert.equal(status, 0);
	assert.equal(stdout.toString(), `4 ${name} a\n4 ${name} b\n`);
});

both('a failed message is retried, then goes to the dead-letter queue', async (world, newQueue) => {
	const [name, dead] = [await newQueue(), await newQueue()];
	const tries = world.file('tries');
	assertDone(await world.run('ipc-mq', ['send', name, 'bad', '-p', '2']), '');
	const {status, stderr} = await world.run('ipc-mq', [
		...['recv', name, '--all', '--retry', '1', '--dead-letter', dead, '--', 'sh', '-c', `echo try >>${tries}; exit 5`],
	]);
	assert.equal(status, 0);
	assert.match(stderr, new RegExp(`'sh' .*5.*: moved the message to '${dead}'`));
	assert.equal(readFileSync(tries, 'utf8'), 'try\ntry\n');
	assertDone(await world.run('ipc-mq', ['recv', dead, '--json']), '{"data":"bad","priority":2}\n');
	assert.equal((await world.run('ipc-mq', ['recv', name, '-n'])).status, 3);
});

both('SIGTERM drains a worker: what runs finishes, what waits stays, and the status is 0', async (world, newQueue) => {
	const name = await newQueue();
	const go = world.file('go');
	assertDone(await world.run('ipc-mq', ['send', name, 'a', 'b', 'c']), '');
	const command = `trap 'echo TERM' TERM; m=$(cat); echo "begins $m"; until [ -e ${go} ]; do sleep 0.01; done; echo "ends $m"`;
	const worker = world.start('ipc-mq', ['recv', name, '--follow', '--drain', '--jobs', '2', '--', 'sh', '-c', command]);
	await until('both run', () => worker.output.toString().match(/begins/g)?.length === 2);
	worker.kill('SIGTERM');
	await until('it has heard the signal', () => worker.errors !== '');
	writeFileSync(go, '');
	const {status, signal, stdout, stderr} = await worker.end();
	const waits = 'ipc-mq: waiting for 2 running commands (another signal ends that)\n';
	assert.deepEqual({status, signal, stderr}, {status: 0, signal: null, stderr: waits});
	assert.deepEqual(stdout.toString().trim().split('\n').sort(), ['begins a', 'begins b', 'ends a', 'ends b']);
	assertDone(await world.run('ipc-mq', ['recv', name, '--all']), 'c\n');
});

both(
	'a worker that drains while it waits ends with 0, and a second SIGTERM ends what runs',
	async (world, newQueue) => {
		const name = await newQueue();
		const waiting = world.start('ipc-mq', ['recv', name, '--follow', '--drain', '--ready-fd', '3', '--', 'cat']);
		await waiting.ready();
		waiting.kill('SIGTERM');
		assertDone(await waiting.end(), '');
		assertDone(await world.run('ipc-mq', ['send', name, 'kept']), '');
		const command = ['bash', '-c', "trap 'kill $!; exit 1' TERM; sleep 1000 & echo runs; wait"];
		const worker = await world
			.start('ipc-mq', ['recv', name, '--follow', '--drain', '--', ...command])
			.printed('runs\n');
		worker.kill('SIGTERM');
		await until('it has heard the signal', () => worker.errors !== '');
		worker.kill('SIGTERM');
		const waits = 'ipc-mq: waiting for 1 running command (another signal ends that)\n';
		assert.deepEqual([(await worker.end()).signal, worker.errors], ['SIGTERM', waits]);
		assertDone(await world.run('ipc-mq', ['recv', name, '--all']), 'kept\n');
	},
);

both('--backoff waits before each retry, and a signal ends that wait', async (world, newQueue) => {
	const name = await newQueue();
	assertDone(await world.run('ipc-mq', ['send', name, 'bad', '-p', '3']), '');
	const which = "\\(message 1, priority 3: 'bad'\\)";
	const retried = await world.run('ipc-mq', ['recv', name, '-v', '--retry', '2', '--backoff', '20ms', '--', 'false']);
	assert.equal(retried.status, 1);
	assert.match(
		retried.stderr,
		new RegExp(
			`'false' exited with status 1: retry 1 of 2 in 20ms ${which}\n.*: retry 2 of 2 in 40ms ${which}\n.*: returned the message to '${name}' ${which}\n$`,
		),
	);
	for (const [words, expected] of [
		[[], {status: null, signal: 'SIGTERM'}],
		[['--drain'], {status: 0, signal: null}],
	] as const) {
		const worker = world.start('ipc-mq', [
			...['recv', name, '--follow', '-v', '--retry', '2', '--backoff', '1h', ...words, '--', 'false'],
		]);
		await until('it waits', () => /retry 1 of 2 in 1h00m/.test(worker.errors));
		worker.kill('SIGTERM');
		const {status, signal} = await worker.end();
		assert.deepEqual({status, signal}, expected);
	}
	assertDone(await world.run('ipc-mq', ['recv', name, '--json']), '{"data":"bad","priority":3}\n');
});

both('without a dead-letter queue a failed message goes back and the worker ends with 1', async (world, newQueue) => {
	const name = await newQueue();
	assertDone(await world.run('ipc-mq', ['send', name, 'bad']), '');
	assert.equal((await world.run('ipc-mq', ['recv', name, '--follow', '--', 'false'])).status, 1);
	assertDone(await world.run('ipc-mq', ['recv', name]), 'bad\n');
});

both('TERM gives back what is in hand', async (world, newQueue) => {
	const name = await newQueue();
	assertDone(await world.run('ipc-mq', ['send', name, 'long', 'next']), '');
	const begun = world.file('begun');
	const worker = world.start('ipc-mq', ['recv', name, '--follow', '--', 'sh', '-c', `touch ${begun}; exec sleep 1000`]);
	await until('the command runs', () => existsSync(begun));
	const {signal} = await worker.kill('SIGTERM').end();
	assert.equal(signal, 'SIGTERM');
	const {stdout} = await world.run('ipc-mq', ['recv', name, '-c', '2']);
	assert.deepEqual(stdout.toString().split('\n').sort(), ['', 'long', 'next']);
});

both('wait ends when there is a message, and leaves it there', async (world, newQueue) => {
	const name = await newQueue();
	assert.equal((await world.run('ipc-mq', ['wait', name, '-n'])).status, 3);
	const waiter = world.start('ipc-mq', ['wait', name, '--ready-fd', '3'], {input: ''});
	await waiter.ready();
	assertDone(await world.run('ipc-mq', ['send', name, 'x']), '');
	assertDone(await waiter.end(), '');
	assertDone(await world.run('ipc-mq', ['purge', name]), '1\n');
});

onCluster('a message whose receiver was killed goes to the next one', async (world) => {
	const name = await clusterQueue(world);
	assertDone(await world.run('ipc-mq', ['send', name, 'a']), '');
	const begun = world.file('begun');
	const worker = world.start('ipc-mq', ['recv', name, '--', 'sh', '-c', `touch ${begun}; exec sleep 1000`]);
	await until('the command runs', () => existsSync(begun));
	worker.killGroup();
	await worker.closed;
	// Until the server gives it up nobody else can have it.
	assertDone(await world.run('ipc-mq', ['recv', name]), 'a\n');
});

test('one worker on each of two machines: both work on one queue', needsNats, async (t) => {
	const nats = await server.started();
	// Nothing but the server is common to them.
	const machines = [new NatsWorld(t, nats), new NatsWorld(t, nats)];
	const name = await clusterQueue(machines[0] as NatsWorld);
	const meeting = (machines[0] as NatsWorld).file('meeting');
	mkdirSync(meeting);
	// The first two messages are done when both work.
	const line = `touch ${meeting}/$0; while [ $(ls ${meeting} | wc -l) -lt 2 ]; do sleep 0.1; done; cat`;
	const workers = machines.map((world, i) =>
		world.start('ipc-mq', ['recv', name, '--follow', '--drain', '--', 'sh', '-c', line, String(i)]),
	);
	const lines = Array.from({length: 8}, (_, i) => `job ${i}`);
	assertDone(await (machines[1] as NatsWorld).run('ipc-mq', ['send', name], {input: `${lines.join('\n')}\n`}), '');
	const done = () => workers.flatMap(({output}) => output.toString().match(/job [0-9]/g) ?? []);
	await until('all are done', () => done().length >= lines.length);
	// The command of the last one may not have ended yet.
	for (const worker of workers) assert.equal((await worker.kill('SIGTERM').end()).status, 0);
	assert.deepEqual(done().sort(), lines);
});

onCluster('a command that takes longer than the server waits for an answer keeps its message', async (world) => {
	const name = await clusterQueue(world);
	assertDone(await world.run('ipc-mq', ['send', name, 'a']), '');
	const begun = world.file('begun');
	const line = `touch ${begun}; while [ ! -e ${begun}.go ]; do sleep 0.1; done`;
	const worker = world.start('ipc-mq', ['recv', name, '--', 'sh', '-c', line]);
	await until('the command runs', () => existsSync(begun));
	assert.equal((await world.run('ipc-mq', ['recv', name, '-t', '12s'])).status, 124);
	assertDone(await world.shell(`touch ${begun}.go`));
	assertDone(await worker.end(), '');
	assert.equal((await world.run('ipc-mq', ['recv', name, '-n'])).status, 3);
});

test('move takes a queue of this machine to a cluster, and back', needsNats, async (t) => {
	const world = new QueueWorld(t);
	const nats = new NatsWorld(t, await server.started());
	const [local, back, cluster] = [await world.queue(), await world.queue(), nats.name()];
	assertDone(await world.run('ipc-mq', ['send', local, 'a', 'b', '-p', '3']), '');
	assertDone(await world.run('ipc-mq', ['send', local, 'c']), '');
	assertDone(await nats.run('ipc-mq', ['move', local, cluster, '--create', '--json']), '{"moved":3}\n');
	assertDone(await nats.run('ipc-mq', ['move', cluster, back]), '');
	assert.equal((await nats.run('ipc-mq', ['recv', cluster, '-n'])).status, 3);
	assertDone(await world.run('ipc-mq', ['recv', back, '--all']), 'a\nb\nc\n');
});

test('the server is killed and started again: each message arrives once', needsNats, async (t) => {
	const own = await new NatsServer().start();
	t.after(() => own.end());
	const world = new NatsWorld(t, own);
	const name = world.name();
	assertDone(await world.run('ipc-mq', ['create', name]), '');
	const lines = Array.from({length: 4000}, (_, i) => `${i}\n`);
	const receiver = world.start('ipc-mq', ['recv', name, '--follow']);
	const sender = world.start('ipc-mq', ['send', name]);
	for (const line of lines.slice(0, 2000)) sender.stdin.write(line);
	await receiver.printed('\n1500\n');
	await own.kill();
	for (const line of lines.slice(2000)) sender.stdin.write(line);
	sender.stdin.end();
	await own.start();
	const sent = await sender.end();
	assert.deepEqual({status: sent.status, signal: sent.signal}, {status: 0, signal: null}, sent.stderr);
	await until('all have arrived', () => receiver.output.length >= lines.join('').length);
	const {stdout, stderr} = await receiver.kill().end();
	assert.deepEqual(stdout.toString().split('\n').sort(), lines.join('').split('\n').sort());
	assert.match(stderr, /lost the connection to nats:\/\/127\.0\.0\.1:\d+; trying again/);
});
