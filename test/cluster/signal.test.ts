import assert from 'node:assert/strict';
import {hostname} from 'node:os';
import test from 'node:test';
import {NatsText} from '../support/nats/nats-text.js';
import {NatsWorld, needsNats, sharedServer} from '../support/nats/nats-world.js';
import {assertDone, assertFails} from '../support/world.js';

const server = sharedServer();

/** A test with a server, and a name for a receiver. */
const on = (title: string, body: (world: NatsWorld, name: string, witness: NatsText) => Promise<void>) =>
	test(title, needsNats, async (t) => {
		const nats = await server.started();
		const world = new NatsWorld(t, nats);
		await body(world, world.name(), await NatsText.connect(t, nats.place));
	});

const waitFor = (world: NatsWorld, name: string, ...words: string[]) =>
	world.start('ipc-signal', ['wait', '--name', name, '--ready-fd', '3', ...words]).ready();

on('a signal travels with its value and its sender; each is acknowledged', async (world, name) => {
	const receiver = await waitFor(world, name, 'USR1', 'RTMIN', '--follow');
	const send = async (...words: string[]) => {
		const sender = world.start('ipc-signal', ['send', ...words, '-t', '5m'], {input: ''});
		assertDone(await sender.end(), '');
		return sender.pid;
	};
	const uid = process.getuid?.();
	const first = await send('RTMIN', name, '--value', '-42');
	await receiver.printed(`RTMIN ${first} ${uid} -42\n`);
	const second = await send('USR1', name.replace(':', ':@'));
	await receiver.printed(`USR1 ${second} ${uid} -\n`);
	const {signal} = await receiver.kill('SIGTERM').end();
	assert.equal(signal, 'SIGTERM');
});

on('--json has the host; real-time signals arrive in order', async (world, name) => {
	const receiver = await waitFor(world, name, 'RTMIN', '--json', '--count', '20');
	for (let i = 0; i < 20; i++)
		assertDone(await world.run('ipc-signal', ['send', 'RTMIN', name, '--value', String(i), '-t', '5m']), '');
	const {stdout, status} = await receiver.end();
	assert.equal(status, 0);
	const received = stdout
		.toString()
		.trim()
		.split('\n')
		.map((line) => JSON.parse(line));
	assert.deepEqual(
		received.map(({signal, value, code, host}) => ({signal, value, code, host})),
		Array.from({length: 20}, (_, value) => ({signal: 'RTMIN', value, code: 'QUEUE', host: hostname()})),
	);
});

on('on runs a command with the sender and its host in the environment', async (world, name) => {
	const handler = await world
		.start('ipc-signal', [
			...['on', 'RTMIN', '--name', name, '--count', '1', '--ready-fd', '3', '--'],
			...['sh', '-c', 'echo $IPC_SIGNAL $IPC_SENDER_PID $IPC_SENDER_HOST $IPC_VALUE'],
		])
		.ready();
	const sender = world.start('ipc-signal', ['send', 'RTMIN', name, '--value', '7', '--json', '-t', '5m'], {input: ''});
	const {stdout} = await sender.end();
	assert.deepEqual(JSON.parse(stdout.toString()), {
		...{target: name, pid: handler.pid, host: hostname(), signal: 'RTMIN', result: 'sent'},
	});
	assertDone(await handler.end(), `RTMIN ${sender.pid} ${hostname()} 7\n`);
});

on('refused: nobody there, a signal that is not waited for, a name that is taken', async (world, name) => {
	const send = (...words: string[]) => world.run('ipc-signal', ['send', ...words, '-t', '5m']);
	assertFails(
		await send('USR1', name),
		1,
		`ipc-signal: cannot send USR1 to ${name}: no process is registered as '${name}'\n`,
	);
	const receiver = await waitFor(world, name, 'USR1');
	assertFails(
		await send('USR2', name),
		1,
		`ipc-signal: cannot send USR2 to ${name}: process ${receiver.pid} on ${hostname()} does not wait for USR2, but for USR1\n`,
	);
	assertFails(
		await world.run('ipc-signal', ['wait', 'USR1', '--name', name]),
		1,
		`ipc-signal: cannot register '${name}': process ${receiver.pid} on ${hostname()} has that name\n`,
	);
	assertDone(await send('0', name), '');
	assertFails(
		await send('USR1', name, '--wait'),
		2,
		`ipc-signal: '${name}' is on a cluster, and --wait works on this machine only\nTry 'ipc-signal send --help'.\n`,
	);
	// A dead one's name is free.
	await receiver.kill('SIGKILL').closed;
	const next = await waitFor(world, name, 'USR1');
	assertDone(await send('USR1', name), '');
	assert.equal((await next.end()).status, 0);
});

on('of many that start at once one keeps the name', async (world, name) => {
	const all = Array.from({length: 6}, () =>
		world.start('ipc-signal', ['wait', 'USR1', '--name', name, '--ready-fd', '3']),
	);
	const refused = new Set<unknown>();
	await new Promise<void>((resolve, reject) => {
		for (const one of all)
			void one.end().then(({status, stderr}) => {
				if (status === 1 && /has that name\n$/.test(stderr)) refused.add(one);
				else reject(new Error(`${status}: ${stderr}`));
				if (refused.size === 5) resolve();
			});
	});
	const kept = all.find((one) => !refused.has(one));
	await kept?.ready();
	assertDone(await world.run('ipc-signal', ['send', 'USR1', name, '-t', '5m']), '');
	assert.equal((await kept?.end())?.status, 0);
});

on('on the server: a request that is answered; a sender can claim to be any process', async (world, name, witness) => {
	const receiver = await waitFor(world, name, 'RTMIN+2', '--json');
	const subject = name.replace('nats:', 'ipc.signal.');
	const request = {signal: 'RTMIN+2', value: 5, host: 'far', pid: 4711, uid: 12};
	const {text} = await witness.request(subject, JSON.stringify(request));
	const {result, pid} = JSON.parse(text);
	assert.deepEqual({result, pid}, {result: 'queued', pid: receiver.pid});
	const {stdout} = await receiver.end();
	assert.deepEqual(JSON.parse(stdout.toString()), {
		...{signal: 'RTMIN+2', pid: 4711, uid: 12, value: 5, code: 'QUEUE', host: 'far'},
	});
});

on('a value that no signal carries is refused, and nothing is queued', async (world, name, witness) => {
	const receiver = await waitFor(world, name, 'RTMIN', '--count', '2');
	const ask = async (value: string) => {
		const request = `{"signal":"RTMIN","value":${value},"host":"h","pid":1,"uid":0}`;
		return JSON.parse((await witness.request(`ipc.signal.${name.slice('nats:'.length)}`, request)).text).result;
	};
	for (const value of ['1e99', '2147483648', '0.5', '"1"', '{}', 'true']) assert.equal(await ask(value), 'bad-value');
	for (const value of ['-2147483648', 'null']) assert.equal(await ask(value), 'queued');
	assertDone(await receiver.end(), 'RTMIN 1 0 -2147483648\nRTMIN 1 0 -\n');
});
