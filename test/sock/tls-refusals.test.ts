import assert from 'node:assert/strict';
import {once} from 'node:events';
import {connect, createServer} from 'node:net';
import test from 'node:test';
import {secure} from '../support/secure-world.js';
import {freePort, SocketWorld} from '../support/sockets.js';
import {until} from '../support/until.js';
import {assertDone, assertFails} from '../support/world.js';

for (const verb of ['relay', 'listen', 'serve'] as const)
	secure(
		`${verb}: a client that never finishes its handshake is cut off, and the next is served`,
		'openssl',
		async (world) => {
			const {port} = world;
			if (verb === 'relay') await world.ready(['listen', 'app', '-k', '--', 'cat']);
			const words = {
				relay: ['relay', world.own, 'app', '--max', '1', ...world.identity()],
				listen: ['listen', world.own, ...world.identity(), '--', 'cat'],
				serve: ['serve', world.own, '--max', '1', ...world.identity(), '--', 'echo', '1'],
			}[verb];
			const server = await world.ready(words);
			const silent = connect({host: '127.0.0.1', port}).resume();
			silent.on('error', () => {});
			await new Promise((resolve) => silent.once('close', resolve));
			await until('it is reported', () => server.errors.includes('\n'));
			assert.match(server.errors, /^ipc-sock: refused a client: it did not finish its handshake in time\n$/);
			if (verb === 'serve') assertDone(await world.sock('call', world.address, 'x', ...world.trust), '1\n');
			else assertDone(await world.run('ipc-sock', ['connect', world.address, ...world.trust], {input: 'hi\n'}), 'hi\n');
		},
	);

for (const verb of ['relay', 'listen'] as const)
	secure(
		`${verb} --ca: a client whose certificate is not trusted learns that it was refused`,
		'openssl',
		async (world) => {
			await world.ready(['listen', 'app', '-k', '--', 'cat']);
			const words = verb === 'relay' ? ['relay', world.own, 'app'] : ['listen', world.own, '-k', '--', 'cat'];
			const [start = '', ...more] = words;
			const server = await world.ready([
				start,
				...more.slice(0, 1),
				...world.identity(),
				...world.trust,
				...more.slice(1),
			]);
			const stranger = [world.address, ...world.trust, ...world.identity('stranger')];
			const refused =
				/^ipc-sock: (the connection to|cannot connect to) 'tls:localhost:\d+'( failed)?: the peer broke off .*\n$/;
			for (let i = 0; i < 3; i++) {
				// It still sends when it is refused: whether one that has ended has lost something cannot always be told.
				const client = world.start('ipc-sock', ['connect', ...stranger]);
				client.stdin.write('hi\n');
				await client.closed;
				assert.deepEqual([client.child.exitCode, client.output.toString()], [1, '']);
				assert.match(client.errors, refused);
			}
			const [address = '', ...identity] = stranger;
			assert.equal((await world.sock('call', address, 'x', ...identity)).status, 1);
			await until('they are reported', () => server.errors.split('\n').length > 4);
			for (const line of server.errors.trimEnd().split('\n'))
				assert.match(line, /^ipc-sock: refused a client: its certificate is not trusted \([A-Z_]+\)$/);
			const known = ['connect', world.address, ...world.trust, ...world.identity('client')];
			assertDone(await world.run('ipc-sock', known, {input: 'hi\n'}), 'hi\n');
		},
	);

secure(
	'connect: a server that leaves without the end mark of TLS, and without reading all, is an error',
	'python3',
	async (world) => {
		const hasty = `import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("${world.file('server.pem')}", "${world.file('server.key')}")
listener = socket.create_server(("127.0.0.1", ${world.port}))
print("open", flush=True)
while True:
    tls = context.wrap_socket(listener.accept()[0], server_side=True)
    tls.sendall(b"partial")
    tls.close()
`;
		await world.startOther('python3', ['-c', hasty]).printed('open');
		const input = Buffer.alloc(20_000_000);
		for (let i = 0; i < 5; i++) {
			const {status, stderr} = await world.run('ipc-sock', ['connect', world.address, ...world.trust], {input});
			assert.equal(status, 1);
			assert.match(stderr, /^ipc-sock: .*\n$/);
		}
	},
);

test('connect -n over a network: status 0 where a listener has room, 1 where there is none', async (t) => {
	const world = new SocketWorld(t);
	const [port, unused] = [await freePort(), await freePort()];
	await world.ready(['listen', `tcp:127.0.0.1:${port}`, '-k', '--', 'cat']);
	const settings = {input: 'hi\n'};
	assertDone(await world.run('ipc-sock', ['connect', `tcp:127.0.0.1:${port}`, '-n'], settings), 'hi\n');
	assertFails(
		await world.run('ipc-sock', ['connect', `tcp:127.0.0.1:${unused}`, '-n'], settings),
		1,
		`ipc-sock: cannot connect to 'tcp:127.0.0.1:${unused}': no process listens there\n`,
	);
});

test('relay: a target that cannot be reached is an error also with -q; a reset is told with -v', async (t) => {
	const world = new SocketWorld(t);
	const quiet = await world.ready(['relay', 'front', 'nothing', '-q']);
	await world.run('ipc-sock', ['connect', 'front'], {input: 'hi\n'});
	await until('it is reported', () => quiet.errors.includes('\n'));
	assert.equal(quiet.errors, "ipc-sock: cannot connect to 'nothing': no such socket\n");

	const target = createServer((socket) => socket.on('data', () => socket.resetAndDestroy())).listen(0, '127.0.0.1');
	t.after(() => target.close());
	await once(target, 'listening');
	const {port} = target.address() as {port: number};
	const relay = await world.ready(['relay', 'reset', `tcp:127.0.0.1:${port}`, '-v']);
	await world.run('ipc-sock', ['connect', 'reset'], {input: 'hi\n'});
	await until('it is told', () => /closed a connection: the peer broke off the connection\n/.test(relay.errors));
});
