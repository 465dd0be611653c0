import assert from 'node:assert/strict';
import {existsSync} from 'node:fs';
import {connect, createServer} from 'node:net';
import test from 'node:test';
import {secure} from '../support/secure-world.js';
import {SocketWorld} from '../support/sockets.js';
import {until} from '../support/until.js';
import {assertDone, assertFails} from '../support/world.js';

secure('connect: to a server of OpenSSL, which is verified whatever the environment says', 'openssl', async (world) => {
	await world.reversing();
	const settings = {input: 'abc\n', env: {NODE_TLS_REJECT_UNAUTHORIZED: '0'}};
	const ask = (...words: string[]) => world.run('ipc-sock', ['connect', ...words, '-c', '1'], settings);
	assertDone(await ask(world.address, ...world.trust), 'cba\n');
	for (const [address, words, why] of [
		[world.address, [], '(unable to|self-signed)'],
		[world.address, ['--ca', world.file('other.pem')], '(unable to|self-signed)'],
		[world.own, world.trust, '.*(does not match|altnames|not in the cert)'],
	] as const) {
		const message = new RegExp(`^ipc-sock: cannot connect to '${address}': ${why}[^\\n]*\\n$`, 'i');
		assertFails(await ask(address, ...words), 1, message);
	}
});

secure('connect and call: a server that wants a certificate turns away who has none', 'openssl', async (world) => {
	await world.reversing('-Verify', '1', '-verify_return_error', '-CAfile', world.file('ca.pem'));
	const settings = {input: 'abc\n'};
	const words = [world.address, ...world.trust];
	const known = await world.run('ipc-sock', ['connect', ...words, ...world.identity('client'), '-c', '1'], settings);
	assertDone(known, 'cba\n');
	// With TLS 1.3 the client learns of it when its handshake is over.
	const refused =
		/^ipc-sock: (the connection to|cannot connect to) 'tls:localhost:\d+'( failed)?: [^\n]*alert[^\n]*\n$/;
	assertFails(await world.run('ipc-sock', ['connect', ...words], settings), 1, refused);
	assertFails(
		await world.sock('call', world.address, 'x', ...world.trust),
		1,
		/^ipc-sock: cannot (call 'x' on|connect to) 'tls:localhost:\d+': [^\n]*alert[^\n]*\n$/,
	);
});

secure('listen: a client of OpenSSL, both ways; then no other', 'openssl', async (world) => {
	const listener = await world.ready(['listen', world.own, ...world.identity()]);
	const client = world.startOther('openssl', [
		...['s_client', '-quiet', '-verify_return_error', '-connect', `localhost:${world.port}`],
		...['-CAfile', world.file('ca.pem')],
	]);
	client.stdin.write('hello\n');
	await listener.printed('hello\n');
	listener.stdin.end('answer\n');
	await client.printed('answer\n');
	await listener.closed;
	assert.deepEqual([listener.child.exitCode, listener.output.toString(), listener.errors], [0, 'hello\n', '']);
	await client.closed;
});

secure('listen with a command: clients of socat, one after the other and some at once', 'socat', async (world) => {
	await world.ready(['listen', world.own, '-k', ...world.identity(), '--', 'tr', 'a-z', 'A-Z']);
	const target = `OPENSSL:localhost:${world.port},cafile=${world.file('ca.pem')}`;
	const ask = async (text: string) => (await world.shell(`printf ${text} | socat -t 60 - ${target}`)).stdout.toString();
	assert.equal(await ask('one'), 'ONE');
	assert.deepEqual(await Promise.all(['two', 'three', 'four'].map(ask)), ['TWO', 'THREE', 'FOUR']);
});

secure('listen: a client that breaks off is an error, and -k goes on', 'python3', async (world) => {
	const broken = `import socket, ssl, struct, sys
raw = socket.create_connection(("127.0.0.1", ${world.port}))
raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
tls = ssl.create_default_context(cafile="${world.file('ca.pem')}").wrap_socket(raw, server_hostname="localhost")
tls.sendall(b"half")
sys.stdin.read()
tls.close()
`;
	const listener = await world.ready(['listen', world.own, '-k', ...world.identity()]);
	const client = world.startOther('python3', ['-c', broken]);
	await listener.printed('half');
	client.stdin.end();
	await until('it is reported', () => listener.errors !== '');
	assert.match(
		listener.errors,
		/^ipc-sock: a connection to 'tls:127\.0\.0\.1:\d+' failed: the peer broke off the connection\n$/,
	);
	const next = await world.run('ipc-sock', ['connect', world.address, ...world.trust, '--idle', '0'], {input: 'whole'});
	assert.equal(next.status, 0);
	await listener.printed('halfwhole');
});

secure('connect and listen: much data both ways arrives whole', 'openssl', async (world) => {
	const [there, back] = [world.random('there', 3_000_001), world.random('back', 5_000_003)];
	const listener = await world.ready(['listen', world.own, ...world.identity()]);
	listener.stdin.end(back);
	const client = await world.run('ipc-sock', ['connect', world.address, ...world.trust], {input: there});
	assertDone(client, back);
	assertDone(await listener.end(), there);
});

secure('serve and call: as on any other address, and a client in Python', 'python3', async (world) => {
	const wrote = world.file('wrote');
	const command = ['sh', '-c', `case $IPC_METHOD in note) touch ${wrote};; *) echo $(($1 + $2));; esac`, 'sh'];
	const mutual = [...world.identity(), ...world.trust];
	const server = await world.ready(['serve', world.own, ...mutual, '--', ...command]);
	const client = [...world.trust, ...world.identity('client')];
	const call = (...words: string[]) => world.sock('call', world.address, ...client, ...words);
	assertDone(await call('add', '2', '40'), '42\n');
	assertDone(await call('--notify', 'note'), '');
	await until('the notification is done', () => existsSync(wrote));
	const batch = Array.from({length: 50}, (_, i) => `${JSON.stringify({method: 'add', params: [i, 1], id: i})}\n`);
	const {stdout, status} = await world.run('ipc-sock', ['call', world.address, ...client, '--batch'], {
		input: batch.join(''),
	});
	const results = stdout
		.toString()
		.trim()
		.split('\n')
		.map((line) => JSON.parse(line).result);
	assert.deepEqual([status, results.sort((a, b) => a - b)], [0, Array.from({length: 50}, (_, i) => i + 1)]);
	const script = `import socket, ssl
context = ssl.create_default_context(cafile="${world.file('ca.pem')}")
context.load_cert_chain("${world.file('client.pem')}", "${world.file('client.key')}")
tls = context.wrap_socket(socket.create_connection(("127.0.0.1", ${world.port})), server_hostname="localhost")
tls.sendall(b'{"jsonrpc":"2.0","method":"add","params":[1,2],"id":7}\\n')
print(tls.makefile().readline(), end="")
`;
	const {stdout: answer} = await world.startOther('python3', ['-c', script], {input: ''}).end();
	assert.deepEqual(JSON.parse(answer.toString()), {jsonrpc: '2.0', result: 3, id: 7});
	const stranger = await world.sock(
		'call',
		world.address,
		...world.trust,
		...world.identity('stranger'),
		'add',
		'1',
		'1',
	);
	assertFails(stranger, 1, /^ipc-sock: cannot (call 'add' on|connect to) 'tls:localhost:\d+': [^\n]*\n$/);
	await until('the stranger is reported', () => /^ipc-sock: refused a client: /m.test(server.errors));
	server.kill();
	assert.equal((await server.end()).signal, 'SIGTERM');
});

secure('a server that never answers, a client that never comes: --timeout', 'openssl', async (world) => {
	const silent = createServer(() => {}).listen(world.port, '127.0.0.1');
	await new Promise((resolve) => silent.once('listening', resolve));
	try {
		assertFails(await world.sock('connect', world.address, '-t', '300ms'), 124, '');
		assertFails(await world.sock('call', world.address, 'x', '-t', '300ms', '-E', '9'), 9, '');
		assertFails(
			await world.sock('listen', world.own, ...world.identity()),
			1,
			`ipc-sock: cannot listen on '${world.own}': another process uses that port (see: ss -ltnp)\n`,
		);
	} finally {
		silent.close();
	}
	assertFails(
		await world.sock('connect', world.address),
		1,
		`ipc-sock: cannot connect to '${world.address}': no process listens there\n`,
	);
	assertFails(await world.sock('listen', world.own, ...world.identity(), '-t', '20ms'), 124, '');
	const listener = await world.ready(['listen', world.own, ...world.identity()]);
	const plain = connect({host: '127.0.0.1', port: world.port}).on('error', () => {});
	plain.write('GET / HTTP/1.0\r\n\r\n');
	await until('who speaks no TLS is turned away', () => /^ipc-sock: refused a client: /.test(listener.errors));
	listener.kill();
	assert.equal((await listener.end()).signal, 'SIGTERM');
});

test('tls: addresses and their options: what may not be', async (t) => {
	const world = new SocketWorld(t);
	const refuses = async (message: RegExp, ...words: string[]) => assertFails(await world.sock(...words), 2, message);
	const address = 'tls:localhost:7999';
	await refuses(/^ipc-sock: TLS is a stream, not dgram\n/, 'connect', address, '--type', 'dgram');
	await refuses(/^ipc-sock: listening on a tls: address needs --cert and --key\n/, 'listen', address);
	await refuses(/^ipc-sock: listening on a tls: address needs --cert and --key\n/, 'serve', address, '--', 'true');
	for (const verb of ['connect', 'listen'])
		await refuses(/^ipc-sock: --cert, --key and --ca need a tls: address\n/, verb, 'x', '--ca', 'c');
	await refuses(/^ipc-sock: --cert and --key must be given together\n/, 'call', address, 'x', '--key', 'k');
	await refuses(
		/^ipc-sock: --ca cannot be used with 'nats:.*', which is on a cluster\n/,
		'call',
		'nats:x',
		'y',
		'--ca',
		'c',
	);
	await refuses(/--allow needs a local socket/, 'listen', address, '--cert', 'c', '--key', 'k', '--allow', 'uid:0');
	const none = world.file('none');
	const unread = `ipc-sock: cannot read '${none}': no such file or folder\n`;
	assertFails(await world.sock('connect', address, '--ca', none), 1, unread);
	assertFails(await world.sock('listen', address, '--cert', none, '--key', none), 1, unread);
	world.assertNothingLeft();
});
