import assert from 'node:assert/strict';
import test from 'node:test';
import {NatsText} from '../support/nats/nats-text.js';
import {NatsServer, NatsWorld, needsNats, sharedServer} from '../support/nats/nats-world.js';
import {QueueWorld, small} from '../support/queues.js';
import {assertDone, assertFails, type World} from '../support/world.js';

const server = sharedServer();

/** A test with a server. */
const on = (title: string, body: (world: NatsWorld) => Promise<void>) =>
	test(title, needsNats, async (t) => body(new NatsWorld(t, await server.started())));

/** The same over a queue of this machine and over one on a cluster. */
const onBoth = (title: string, body: (world: World, name: string) => Promise<void>) => {
	test(`on this machine: ${title}`, async (t) => {
		const world = new QueueWorld(t);
		await body(world, world.name());
	});
	on(`on a cluster: ${title}`, (world) => body(world, world.name()));
};

onBoth('create, send, recv, stat, list, remove', async (world, name) => {
	assertDone(await world.run('ipc-mq', ['create', name, ...small]), '');
	assertDone(await world.run('ipc-mq', ['send', name], {input: 'a\nb\n'}), '');
	assertDone(await world.run('ipc-mq', ['send', name, '-p', '9', 'urgent']), '');
	const {stdout} = await world.run('ipc-mq', ['stat', name, '--json']);
	const {messages, maxmsg} = JSON.parse(stdout.toString());
	assert.deepEqual({messages, maxmsg}, {messages: 3, maxmsg: 10});
	const where = name.startsWith('nats:') ? ['nats:'] : [];
	const listed = await world.run('ipc-mq', ['list', ...where, '--no-headings', '-o', 'name,messages']);
	assert.match(listed.stdout.toString(), new RegExp(`^${name} +3$`, 'm'));
	assertDone(await world.run('ipc-mq', ['recv', name]), 'urgent\n');
	assertDone(await world.run('ipc-mq', ['recv', name, '--all']), 'a\nb\n');
	assertFails(await world.run('ipc-mq', ['recv', name, '-n']), 3, '');
	assertDone(await world.run('ipc-mq', ['remove', name]), '');
	assertFails(
		await world.run('ipc-mq', ['recv', name]),
		1,
		`ipc-mq: cannot open '${name}': no such queue (make it with: ipc-mq create ${name})\n`,
	);
});

onBoth('a full queue: 3 with -n, 124 with -t, and a waiting sender goes on when there is room', async (world, name) => {
	assertDone(await world.run('ipc-mq', ['create', name, '--maxmsg', '2', '--msgsize', '256']), '');
	assertDone(await world.run('ipc-mq', ['send', name, 'a', 'b']), '');
	assertFails(await world.run('ipc-mq', ['send', name, 'c', '-n']), 3, '');
	assertFails(await world.run('ipc-mq', ['send', name, 'c', '-t', '2s']), 124, '');
	const sender = world.start('ipc-mq', ['send', name, 'c'], {input: ''});
	assertDone(await world.run('ipc-mq', ['recv', name, '-c', '3']), 'a\nb\nc\n');
	assertDone(await sender.end(), '');
});

on('a receiver that waits gets the message', async (world) => {
	const name = world.name();
	const receiver = world.start('ipc-mq', ['recv', name, '--create', '--follow', '--ready-fd', '3']);
	await receiver.ready();
	assertDone(await world.run('ipc-mq', ['send', name, 'one']), '');
	await receiver.printed('one\n');
	assertDone(await world.run('ipc-mq', ['send', name, '-p', '3', 'two']), '');
	await receiver.printed('two\n');
	const {status, signal, stderr} = await receiver.kill('SIGINT').end();
	assert.deepEqual({status, signal, stderr}, {status: null, signal: 'SIGINT', stderr: ''});
});

on('what the reader of stdout has not read goes back, and nothing else', async (world) => {
	const name = world.name();
	assertDone(await world.run('ipc-mq', ['create', name]), '');
	const numbers = Array.from({length: 100}, (_, i) => `${i}\n`);
	assertDone(await world.run('ipc-mq', ['send', name], {input: numbers.join('')}), '');
	const {stdout} = await world.shell(`ipc-mq recv ${name} --follow | head -3`);
	assert.equal(stdout.toString(), '0\n1\n2\n');
	const rest = await world.run('ipc-mq', ['recv', name, '--all']);
	assert.deepEqual(
		rest.stdout.toString().split('\n').sort(),
		['', ...numbers.slice(3).map((line) => line.trim())].sort(),
	);
	assertDone(await world.run('ipc-mq', ['send', name, 'kept']), '');
	assert.equal((await world.shell(`ipc-mq recv ${name} >/dev/full`)).status, 1);
	assertDone(await world.run('ipc-mq', ['recv', name]), 'kept\n');
});

on('limits: what the server sets', async (world) => {
	const {status, stdout} = await world.run('ipc-mq', ['limits', 'nats:', '--json']);
	assert.equal(status, 0);
	const {msgsizeMax, streamsMax, storage} = JSON.parse(stdout.toString());
	assert.deepEqual([msgsizeMax, streamsMax, typeof storage], [1_048_320, null, 'number']);
	assertFails(await world.run('ipc-mq', ['limits', 'nats:', '--maxmsg', '3']), 2, /cannot be combined with a cluster/);
});
test(
	'a receiver with a command that waits for a message ends by a signal, also when the server is gone',
	needsNats,
	async (t) => {
		const own = await new NatsServer().start();
		t.after(() => own.end());
		const world = new NatsWorld(t, own);
		assertDone(await world.run('ipc-mq', ['create', 'nats:q']), '');
		const receive = async () => {
			const waiting = world.start('ipc-mq', ['recv', 'nats:q', '--follow', '--ready-fd', '3', '--', 'true']);
			await waiting.ready();
			return waiting;
		};
		const first = await receive();
		first.kill('SIGTERM');
		assert.equal((await first.end()).signal, 'SIGTERM');
		const second = await receive();
		await own.kill();
		second.kill('SIGINT');
		assert.equal((await second.end()).signal, 'SIGINT');
	},
);

test('without a server: one line, status 1', needsNats, async (t) => {
	const world = new NatsWorld(t, {place: ''} as never);
	assertFails(
		await world.run('ipc-mq', ['recv', 'nats://127.0.0.1:1/jobs']),
		1,
		"ipc-mq: cannot open 'nats://127.0.0.1:1/jobs': no NATS server answers at nats://127.0.0.1:1: connection refused (start one with: nats-server -js -a 127.0.0.1)\n",
	);
	assertFails(
		await world.run('ipc-mq', ['recv', 'nats:jobs']),
		2,
		/^ipc-mq: 'nats:jobs' names no server: set NATS_URL/,
	);
});

test('a message of another client is received, whatever priority its subject has', needsNats, async (t) => {
	const nats = await server.started();
	const world = new NatsWorld(t, nats);
	const witness = await NatsText.connect(t, nats.place);
	const name = world.name();
	const subject = `ipc.mq.${name.slice('nats:'.length)}`;
	assertDone(await world.run('ipc-mq', ['create', name]), '');
	for (const priority of ['00005', '99999', '32768', 'abc'])
		assert.match((await witness.request(`${subject}.${priority}`, priority)).text, /"seq"/);
	assertDone(
		await world.run('ipc-mq', ['recv', name, '--count', '3', '-n', '--json']),
		[
			'{"data":"99999","priority":32767}',
			'{"data":"32768","priority":32767}',
			'{"data":"00005","priority":5}',
			'',
		].join('\n'),
	);
	assertFails(await world.run('ipc-mq', ['recv', name, '-n']), 3, '');
	assertDone(await world.run('ipc-mq', ['remove', name]), '');
});

test('a stream of another program is no queue without our subjects, and may have no limit', needsNats, async (t) => {
	const nats = await server.started();
	const world = new NatsWorld(t, nats);
	const witness = await NatsText.connect(t, nats.place);
	const make = async (name: string, subject: string) => {
		const bare = name.slice('nats:'.length);
		const subjects = [subject.replace('NAME', bare)];
		const stream = {name: `ipc-mq-${bare}`, subjects, retention: 'workqueue', storage: 'memory'};
		const {text} = await witness.request(`$JS.API.STREAM.CREATE.${stream.name}`, JSON.stringify(stream));
		assert.doesNotMatch(text, /"error"/);
		t.after(() => world.run('ipc-mq', ['remove', name]));
		return bare;
	};
	const foreign = world.name();
	const bare = await make(foreign, 'orders.NAME.>');
	const why = `the stream 'ipc-mq-${bare}' of another program does not store 'ipc.mq.${bare}.*'\n`;
	for (const words of [['send', 'x'], ['recv', '-n'], ['wait', '-n'], ['stat'], ['create'], ['purge']]) {
		const [verb = '', ...rest] = words;
		const ended = await world.run('ipc-mq', [verb, foreign, ...rest]);
		assertFails(ended, 1, `ipc-mq: cannot open '${foreign}': ${why}`);
	}
	assertFails(await world.run('ipc-mq', ['remove', foreign]), 1, `ipc-mq: cannot remove '${foreign}': ${why}`);
	assert.match((await witness.request(`$JS.API.STREAM.INFO.ipc-mq-${bare}`, '')).text, /"config"/);

	const endless = world.name();
	await make(endless, 'ipc.mq.NAME.>');
	assertDone(await world.run('ipc-mq', ['send', endless, 'x']), '');
	const stat = await world.run('ipc-mq', ['stat', endless, '--json']);
	assert.equal(JSON.parse(stat.stdout.toString()).maxmsg, null);
	assert.match(
		(await world.run('ipc-mq', ['stat', endless])).stdout.toString(),
		/^messages: +1 \(no limit\), 0 in hand$/m,
	);
	const {stdout} = await world.run('ipc-mq', ['list', 'nats:', '--no-headings', '-o', 'name,messages,maxmsg']);
	assert.match(stdout.toString(), new RegExp(`^${endless} +1 +-$`, 'm'));
	assertDone(await world.run('ipc-mq', ['recv', endless]), 'x\n');
});
