import assert from 'node:assert/strict';
import {existsSync, readFileSync} from 'node:fs';
import test, {type TestContext} from 'node:test';
import {CallWorld, request} from '../support/calls.js';
import {NatsText} from '../support/nats/nats-text.js';
import {type NatsServer, needsNats, sharedServer} from '../support/nats/nats-world.js';
import type {Ended} from '../support/run.js';
import {uniqueName} from '../support/unique-name.js';
import {until} from '../support/until.js';
import {assertDone, assertFails} from '../support/world.js';

const server = sharedServer();

/** A world of calls whose commands find a cluster by NATS_URL. */
class ClusterCallWorld extends CallWorld {
	/** What the server calls the name. */
	readonly subject: string;
	readonly name: string;

	constructor(
		t: TestContext,
		private readonly nats: NatsServer,
	) {
		super(t);
		this.name = uniqueName().replace(/[^A-Za-z0-9_-]/g, '-');
		this.subject = `ipc.call.${this.name}`;
	}

	override get env(): Record<string, string> {
		return {...super.env, NATS_URL: this.nats.place};
	}

	get address(): string {
		return `nats:${this.name}`;
	}

	/** A server that is slow to show that it lives, on a busy machine, is none that has died. */
	override call(address: string, ...words: string[]): Promise<Ended> {
		return super.call(address, '-t', '5m', ...words);
	}
}

/** A test with a server. */
const on = (title: string, body: (world: ClusterCallWorld, witness: NatsText) => Promise<void>) =>
	test(title, needsNats, async (t) => {
		const nats = await server.started();
		await body(new ClusterCallWorld(t, nats), await NatsText.connect(t, nats.place));
	});

/** The same over a socket of this machine and over a cluster. */
const both = (title: string, body: (world: CallWorld, address: string) => Promise<void>) => {
	test(`${title}: local`, async (t) => body(new CallWorld(t), 'calc'));
	on(`${title}: cluster`, (world) => body(world, world.address));
};

both('call, list, notify, batch, failures', async (world, address) => {
	world.method('add', 'echo $(($1 + $2))');
	world.method('broken', 'echo "cannot find it" >&2', 'exit 3');
	world.method('note', 'echo "$1" > note', 'mv note done');
	await world.serve(address, ['--methods', 'methods', '--jobs', '2']);
	assertDone(await world.call(address, 'add', '2', '40'), '42\n');
	assertDone(await world.call(address, '--list'), 'add\nbroken\nnote\n');
	assertFails(await world.call(address, 'sub'), 1, 'ipc-sock: sub: method not found (-32601)\n');
	assertFails(
		await world.call(address, 'broken'),
		1,
		"ipc-sock: broken: 'broken' exited with status 3 (-32000)\ncannot find it\n",
	);
	assertDone(await world.call(address, 'note', 'seen', '--notify'), '');
	await until('the notification was carried out', () => existsSync(world.file('done')));
	assert.equal(readFileSync(world.file('done'), 'utf8'), 'seen\n');
	const input = [request('add', [1, 2], 1), request('broken', [], 2), '{"method":"add","params":[3,4],"id":"x"}\n'];
	const {status, stdout, stderr} = await world.run('ipc-sock', ['call', address, '--batch', '-t', '5m'], {
		input: input.join(''),
	});
	assert.deepEqual([status, stderr], [1, 'ipc-sock: 1 of 3 calls failed\n']);
	const answers = stdout
		.toString()
		.trim()
		.split('\n')
		.map((line) => JSON.parse(line))
		.map(({id, result, error}) => [id, result ?? error.code]);
	assert.deepEqual(answers.sort(), [
		[1, 3],
		[2, -32000],
		['x', 7],
	]);
});

on('no process serves: status 1 at once, for a call, a notification and a batch', async (world) => {
	const {address} = world;
	const why = `'${address}': no process serves it`;
	assertFails(await world.call(address, 'add', '1'), 1, `ipc-sock: cannot call 'add' on ${why}\n`);
	assertFails(await world.call(address, 'add', '--notify'), 1, `ipc-sock: cannot call ${why}\n`);
	assertFails(
		await world.run('ipc-sock', ['call', address, '--batch', '-t', '5m'], {input: request('add', [], 1)}),
		1,
		`ipc-sock: ${why}; ended with 1 call unanswered\n`,
	);
});

on('a call or an answer beyond the limit of the server is refused with both numbers', async (world) => {
	const {address} = world;
	world.method('size', 'wc -c');
	world.method('long', "head -c 1048570 /dev/zero | tr '\\0' a");
	await world.serve(address, ['--methods', 'methods', '--stdin']);
	const input = JSON.stringify(['a'.repeat(1_048_570)]);
	const {stderr, status} = await world.run('ipc-sock', ['call', address, 'size', '-p', '-', '-t', '5m'], {input});
	assert.equal(status, 1);
	assert.match(stderr, /the call has 1048\d\d\d bytes and the server takes 1048576 \(its max_payload\)\n$/);
	assertFails(
		await world.call(address, 'long'),
		1,
		'ipc-sock: long: The answer has 1048606 bytes and the cluster takes 1048576 (its max_payload) (-32002)\n',
	);
});

on('a call that takes too long: 124', async (world) => {
	await world.serve(world.address, ['--', 'sleep', '600']);
	assertFails(await world.run('ipc-sock', ['call', world.address, 'm', '-t', '3s']), 124, '');
});

on('servers of one name share the calls', async (world) => {
	const {address} = world;
	for (const name of ['one', 'two']) await world.serve(address, ['--', 'sh', '-c', `echo ${name}`]);
	const seen = new Set<string>();
	await until('both have answered', async () => {
		const input = Array.from({length: 50}, (_, i) => request('m', [], i)).join('');
		const {stdout} = await world.run('ipc-sock', ['call', address, '--batch', '-t', '5m'], {input});
		for (const line of stdout.toString().trim().split('\n')) seen.add(JSON.parse(line).result);
		return seen.size === 2;
	});
	assert.deepEqual([...seen].sort(), ['one', 'two']);
});

on('a server that is told to stop answers the calls that it has', async (world) => {
	world.method('sleep', 'echo >> started', 'exec sleep 600');
	const serving = await world.serve(world.address, ['--methods', 'methods', '--jobs', '1']);
	// One runs and one waits for its turn.
	const input = request('sleep', [], 1) + request('sleep', [], 2) + request('rpc.discover', [], 3);
	const caller = world.start('ipc-sock', ['call', world.address, '--batch', '-t', '5m'], {input});
	await until('one runs', () => existsSync(world.file('started')));
	// The call before this one has arrived too.
	await caller.printed('"id":3}');
	serving.kill('SIGTERM');
	const {status, stdout} = await caller.end();
	assert.equal(status, 1);
	assert.equal(stdout.toString().match(/The server has been stopped/g)?.length, 2);
	assert.equal((await serving.end()).signal, 'SIGTERM');
});

on(
	'on the server: a request as text, with a subject to answer to; a wrong answer is told as such',
	async (world, witness) => {
		const {address} = world;
		await witness.subscribe(world.subject);
		const answered = async (text: string) => {
			const caller = world.start('ipc-sock', ['call', address, 'add', '2', '40', '-t', '5m'], {input: ''});
			const {reply, text: asked} = await witness.message();
			assert.equal(asked, '{"jsonrpc":"2.0","method":"add","params":[2,40],"id":1}');
			witness.publish(reply, text);
			return caller.end();
		};
		assertDone(await answered('{"jsonrpc":"2.0","result":42,"id":1}'), '42\n');
		const fails = async (text: string, why: string) =>
			assertFails(
				await answered(text),
				1,
				`ipc-sock: cannot call 'add' on '${address}': its answer is not valid: ${why}\n`,
			);
		await fails('null', 'it is null');
		await fails('{}', '{} has neither a result nor an error');
		await fails('', 'it is empty');
		await fails('no', 'it is not JSON');
		await fails('{"result":1,"id":7}', 'it has the id 7, and the call had 1');
	},
);

on('a client of another make calls a method', async (world, witness) => {
	world.method('add', 'echo $(($1 + $2))');
	await world.serve(world.address, ['--methods', 'methods']);
	const {text} = await witness.request(world.subject, '{"jsonrpc":"2.0","method":"add","params":[2,3],"id":"a"}');
	assert.deepEqual(JSON.parse(text), {jsonrpc: '2.0', result: 5, id: 'a'});
});

test('used wrongly on a cluster', async (t) => {
	const world = new CallWorld(t);
	assertFails(
		await world.call('nats://h/x', 'm', '--preset', 'qmp'),
		2,
		/^ipc-sock: --preset cannot be used with '.*', which is on a cluster\n/,
	);
	assertFails(
		await world.run('ipc-sock', ['serve', 'nats://h/x', '--max', '3', '--', 'true']),
		2,
		/^ipc-sock: --max cannot be used with /,
	);
	assertFails(await world.run('ipc-sock', ['wait', 'nats://h/x']), 2, /^ipc-sock: 'nats:\/\/h\/x' is on a cluster/);
});
