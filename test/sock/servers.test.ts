import assert from 'node:assert/strict';
import {once} from 'node:events';
import {chmodSync, chownSync, readFileSync, readlinkSync, statSync, writeFileSync} from 'node:fs';
import {connect, type Socket} from 'node:net';
import {join} from 'node:path';
import test from 'node:test';
import {needs} from '../support/needs.js';
import {isAlive, isStopped, socketsOf} from '../support/proc.js';
import {rounds} from '../support/rounds.js';
import {peer, root} from '../support/run.js';
import {makeCertificates} from '../support/secure-world.js';
import {freePort, SocketWorld} from '../support/sockets.js';
import {until} from '../support/until.js';
import {anotherUser, asAnother, needsRoot} from '../support/users.js';
import {assertDone, assertFails} from '../support/world.js';

/** A client that is half open: it goes on hearing after it has said all. */
async function client(path: string): Promise<{socket: Socket; heard: () => string}> {
	const socket = connect({path, allowHalfOpen: true});
	let text = '';
	socket.on('data', (piece) => {
		text += piece;
	});
	socket.on('error', () => {});
	await once(socket, 'connect');
	return {socket, heard: () => text};
}

test('a command per connection, with who is there in its environment', async (t) => {
	const world = new SocketWorld(t);
	await world.ready([
		'listen',
		'up',
		'-k',
		'--',
		'sh',
		'-c',
		'echo $IPC_PEER_PID $IPC_PEER_UID $IPC_PEER_GID; tr a-z A-Z',
	]);
	const asked = world.start('ipc-sock', ['connect', 'up'], {input: 'text\n'});
	const {stdout} = await asked.end();
	assert.equal(stdout.toString(), `${asked.pid} ${process.getuid?.()} ${process.getgid?.()}\nTEXT\n`);
});

test('one connection: the status is that of the command', async (t) => {
	const world = new SocketWorld(t);
	const server = await world.ready(['listen', 'x', '--', 'sh', '-c', 'exit 7']);
	await world.sock('connect', 'x');
	assertFails(await server.end(), 7, '');
	assertFails(await world.sock('listen', 'x', '-t', '20ms', '--', 'true'), 124, '');
	world.assertNothingLeft();
});

test('--max: N at a time, the others wait', async (t) => {
	const world = new SocketWorld(t);
	await world.ready(['listen', 'x', '-k', '--max', '2', '--', 'sh', '-c', 'echo in; read line; echo out']);
	const clients = [await client(world.path('x')), await client(world.path('x')), await client(world.path('x'))];
	const [one, two, three] = clients as [(typeof clients)[0], (typeof clients)[0], (typeof clients)[0]];
	await until('two are served', () => one.heard() === 'in\n' && two.heard() === 'in\n');
	assert.equal(three.heard(), '');
	one.socket.write('go\n');
	await until('the third has its turn', () => three.heard() === 'in\n');
	for (const {socket} of clients) socket.destroy();
});

test('SIGTERM: the commands are told, the socket goes', async (t) => {
	const world = new SocketWorld(t);
	const server = await world.ready([
		'listen',
		'x',
		'-k',
		'--',
		'sh',
		'-c',
		'trap "echo told; exit" TERM; echo here; while :; do sleep 0.01; done',
	]);
	const {socket, heard} = await client(world.path('x'));
	await until('it is served', () => heard() === 'here\n');
	server.kill('SIGTERM');
	await server.closed;
	assert.equal(server.child.signalCode, 'SIGTERM');
	await until('the command has said so', () => heard() === 'here\ntold\n');
	socket.destroy();
	world.assertNothingLeft();
});

test('many clients at once, each with its own answer: relay in front of a command', async (t) => {
	const world = new SocketWorld(t);
	await world.ready(['listen', 'back', '-k', '--max', '20', '--', 'cat']);
	await world.ready(['relay', 'front', 'back']);
	const count = rounds(200, 1000);
	const clients = await Promise.all(Array.from({length: count}, () => client(world.path('front'))));
	for (const [i, {socket}] of clients.entries()) socket.end(`client ${i}\n`);
	await Promise.all(clients.map(({socket}) => once(socket, 'end')));
	assert.deepEqual(
		clients.map(({heard}) => heard()),
		clients.map((_, i) => `client ${i}\n`),
	);
	for (const {socket} of clients) socket.destroy();
});

test('relay: half-closing, an unreachable target, and bytes both ways', async (t) => {
	const world = new SocketWorld(t);
	const relay = await world.ready(['relay', 'front', 'back']);
	// In a file: what comes to its stdin after the connection has been closed is none of its business.
	writeFileSync(world.file('lost'), 'lost');
	assertFails(
		await world.shell('ipc-sock connect front < lost', {cwd: world.scratch}),
		1,
		/closed the connection before reading all/,
	);
	assert.match(relay.errors, /^ipc-sock: cannot connect to 'back': no such socket\n$/);
	await world.ready(['listen', 'back', '-k', '--', 'sh', '-c', 'sha256sum; head -c 5000000 /dev/zero']);
	const data = world.random('data', 5_000_000);
	const {status, stdout} = await world.shell(
		'ipc-sock connect front < data > got; sha256sum < data; head -c 67 got; tail -c +69 got | wc -c',
		{cwd: world.scratch},
	);
	assert.equal(status, 0);
	const [expected = '', got = ''] = stdout.toString().split('\n');
	assert.equal(got.slice(0, 64), expected.slice(0, 64));
	assert.match(stdout.toString(), /\n?5000000\n$|4999999\n$|500000\d\n$/);
	assert.equal(data.length, 5_000_000);
});

/** How many connections wait to be accepted at a port, as the kernel has it. proc(5), /proc/net/tcp */
function waitingAt(port: number): number {
	const hex = port.toString(16).toUpperCase().padStart(4, '0');
	const line = readFileSync('/proc/net/tcp', 'latin1')
		.split('\n')
		.find((row) => row.includes(`:${hex} 00000000:0000 0A`));
	return Number.parseInt(/ [0-9A-F]{8}:([0-9A-F]{8}) /.exec(line ?? '')?.[1] ?? 'NaN', 16);
}

test('relay from tls: --max holds, handshakes included, and no variable turns verification off', {
	...needs('openssl'),
}, async (t) => {
	const world = new SocketWorld(t);
	await makeCertificates(world);
	const file = (name: string) => world.file(name);
	const env = {NODE_TLS_REJECT_UNAUTHORIZED: '0'};
	await world.ready(['listen', 'app', '-k', '--', 'tr', 'a-z', 'A-Z']);
	const port = await freePort();
	const server = ['--cert', file('server.pem'), '--key', file('server.key'), '--ca', file('ca.pem')];
	const entrance = await world.ready(['relay', `tls:127.0.0.1:${port}`, 'app', '--max', '2', ...server], {env});
	const silent = Array.from({length: 20}, () => connect({host: '127.0.0.1', port}).on('error', () => {}));
	await until('all but two wait to be accepted', () => waitingAt(port) === 18);
	for (const socket of silent) socket.destroy();

	const target = `tls:localhost:${port}`;
	const client = (who: string) => ['--cert', file(`${who}.pem`), '--key', file(`${who}.key`)];
	await world.ready(['relay', 'good', target, '--ca', file('ca.pem'), ...client('client')], {env});
	const settings = {input: 'secret\n'};
	for (let i = 0; i < 4; i++) assertDone(await world.run('ipc-sock', ['connect', 'good'], settings), 'SECRET\n');

	const unverified = await world.ready(['relay', 'unverified', target, ...client('client')], {env});
	const {stdout} = await world.run('ipc-sock', ['connect', 'unverified'], settings);
	assert.equal(stdout.toString(), '');
	assert.match(unverified.errors, /^ipc-sock: cannot connect to 'tls:localhost:\d+': .*\n$/);

	await world.ready(['relay', 'stranger', target, '--ca', file('ca.pem'), ...client('stranger')], {env});
	const refused = await world.run('ipc-sock', ['connect', 'stranger'], settings);
	assert.equal(refused.stdout.toString(), '');
	await until('the stranger was turned away', () =>
		/refused a client: its certificate is not trusted/.test(entrance.errors),
	);
	assert.doesNotMatch(entrance.errors, /NODE_TLS/);
});

test('relay over TLS: both sides are verified', needs('openssl'), async (t) => {
	const world = new SocketWorld(t);
	await makeCertificates(world);
	const file = (name: string) => world.file(name);
	await world.ready(['listen', 'app', '-k', '--', 'tr', 'a-z', 'A-Z']);
	const port = await freePort();
	const server = ['--cert', file('server.pem'), '--key', file('server.key'), '--ca', file('ca.pem')];
	const entrance = await world.ready(['relay', `tls:127.0.0.1:${port}`, 'app', ...server]);
	const target = `tls:localhost:${port}`;

	const before = socketsOf(entrance.pid);
	for (let i = 0; i < 5; i++) {
		const hasty = connect({host: '127.0.0.1', port});
		hasty.end(i % 2 ? 'no hello' : '');
		await once(hasty.resume(), 'close').catch(() => {});
	}
	await until('those who left before they had said hello are forgotten', () => socketsOf(entrance.pid) <= before);
	assert.doesNotMatch(entrance.errors, /timeout/i);
	const said = entrance.errors.length;

	writeFileSync(file('empty.pem'), '# nobody\n');
	const swapped = ['--cert', file('server.key'), '--key', file('server.pem')];
	const notOurs = ['--cert', file('server.pem'), '--key', file('client.key')];
	for (const [words, message] of [
		[swapped, /^ipc-sock: '.*server\.key' has no certificate in it \(PEM is expected\)\n$/],
		[['--cert', file('server.pem'), '--key', file('ca.pem')], /^ipc-sock: '.*ca\.pem' has no private key in it .*\n$/],
		[notOurs, /^ipc-sock: cannot use the certificate in '.*server\.pem' with the key in '.*client\.key': .*\n$/],
		[['--ca', file('empty.pem')], /^ipc-sock: '.*empty\.pem' has no certificate in it \(PEM is expected\)\n$/],
	] as const)
		assertFails(await world.sock('relay', 'never', target, ...words), 1, message);
	assertFails(
		await world.sock('relay', `tls:127.0.0.1:${port + 1}`, 'app', ...notOurs),
		1,
		/cannot use the certificate/,
	);
	const client = (who: string) => ['--cert', file(`${who}.pem`), '--key', file(`${who}.key`)];

	await world.ready(['relay', 'good', target, '--ca', file('ca.pem'), ...client('client')]);
	assertDone(await world.run('ipc-sock', ['connect', 'good'], {input: 'secret\n'}), 'SECRET\n');

	const unknown = await world.ready(['relay', 'unknown', target, ...client('client')]);
	const {stdout} = await world.run('ipc-sock', ['connect', 'unknown'], {input: 'secret\n'});
	assert.equal(stdout.toString(), '');
	assert.match(unknown.errors, /cannot connect to 'tls:localhost:\d+': (unable to verify|self-signed|unable to get)/);

	for (const [name, words] of [
		['none', ['--ca', file('ca.pem')]],
		['stranger', ['--ca', file('ca.pem'), ...client('stranger')]],
	] as const) {
		await world.ready(['relay', name, target, ...words]);
		const refused = await world.run('ipc-sock', ['connect', name], {input: 'secret\n'});
		assert.equal(refused.stdout.toString(), '');
	}
	await until(
		'both were turned away',
		() => (entrance.errors.slice(said).match(/refused a client/g) ?? []).length >= 2,
	);
	const other = await world.ready([
		'relay',
		'byaddress',
		`tls:127.0.0.1:${port}`,
		'--ca',
		file('ca.pem'),
		...client('client'),
	]);
	const wrongName = await world.run('ipc-sock', ['connect', 'byaddress'], {input: 'secret\n'});
	assert.equal(wrongName.stdout.toString(), '');
	assert.match(other.errors, /cannot connect to 'tls:127\.0\.0\.1:\d+': .*(does not match|altnames|not in the cert)/i);
});

test('relay: what may not be', async (t) => {
	const world = new SocketWorld(t);
	const refuses = async (message: RegExp, ...words: string[]) =>
		assertFails(await world.sock('relay', ...words), 2, message);
	await refuses(
		/'tcp:example.org:80' is not on this machine, and plain TCP is not encrypted/,
		'x',
		'tcp:example.org:80',
	);
	await refuses(/'tcp:0.0.0.0:7999' is not on this machine/, 'tcp:0.0.0.0:7999', 'x');
	await refuses(/listening on a tls: address needs --cert and --key/, 'tls:127.0.0.1:7999', 'x');
	await refuses(/--cert and --key must be given together/, 'x', 'tls:127.0.0.1:7999', '--cert', 'c');
	await refuses(/cannot relay .* to itself/, '@x', '@x');
	await refuses(/--mode needs a local socket/, 'tcp:127.0.0.1:7999', 'x', '-m', '600');
	for (const who of ['uid:4294967295', 'gid:99999999999', 'uid:-1'])
		await refuses(/the number of a (user|group) is from 0 to 4294967294/, 'x', 'y', '--allow', who);
	assertFails(await world.sock('wait', 'tls:localhost:7999'), 2, /ipc-sock wait tcp:localhost:7999/);
	await refuses(/need a tls: address/, 'x', 'y', '--ca', 'c');
	assertFails(
		await world.sock('relay', 'x', 'tls:localhost:7999', '--ca', world.file('none')),
		1,
		/cannot (use the certificates: )?.*none.*: no such file or folder/,
	);
	world.assertNothingLeft();
});

test('hub: what one says all others hear, whole lines only', async (t) => {
	const world = new SocketWorld(t);
	await world.ready(['hub', 'room']);
	const [one, two, three] = [
		await client(world.path('room')),
		await client(world.path('room')),
		await client(world.path('room')),
	];
	one.socket.write('first half, ');
	two.socket.write('a line\n');
	await until('it is heard', () => three.heard() === 'a line\n' && one.heard() === 'a line\n');
	one.socket.write('second half\n');
	await until('it is heard', () => two.heard() === 'first half, second half\n' && three.heard().endsWith('half\n'));
	assert.equal(three.heard(), 'a line\nfirst half, second half\n');
	assert.equal(one.heard(), 'a line\n');
	for (const {socket} of [one, two, three]) socket.destroy();
});

test('hub: a client that had connected before something is sent gets it, though the hub accepts it afterwards', async (t) => {
	const world = new SocketWorld(t);
	const hub = await world.ready(['hub', 'room', '--verbose']);
	const speaker = await client(world.path('room'));
	await until('it has been accepted', () => / connected$/m.test(hub.errors));
	for (let round = 0; round < 5; round++) {
		hub.kill('SIGSTOP');
		await until('it is stopped', () => isStopped(hub.pid));
		const late = await client(world.path('room'));
		speaker.socket.write(`round ${round}\n`);
		hub.kill('SIGCONT');
		await until('it is heard', () => late.heard() === `round ${round}\n`);
		late.socket.destroy();
	}
	speaker.socket.destroy();
});

/** Opens, says that no more will come from here, and then closes altogether. */
async function halfClosedThenGone(path: string): Promise<void> {
	const {socket} = await client(path);
	socket.end();
	await once(socket, 'finish');
	socket.destroy();
	await once(socket, 'close');
}

test('hub: clients that had ended their output and then left make room for others', async (t) => {
	const world = new SocketWorld(t);
	const hub = await world.ready(['hub', 'room', '--max', '2', '--verbose']);
	for (let i = 0; i < 4; i++) await halfClosedThenGone(world.path('room'));
	const listener = await client(world.path('room'));
	// One that has ended its output and is there still hears what is said.
	listener.socket.end();
	const speaker = await client(world.path('room'));
	speaker.socket.write('here\n');
	await until('it is heard', () => listener.heard() === 'here\n');
	await until('four have left', () => hub.errors.match(/ disconnected$/gm)?.length === 4);
	for (const {socket} of [listener, speaker]) socket.destroy();
	await until('all have left', () => hub.errors.match(/ disconnected$/gm)?.length === 6);
});

test('relay, tap: a client that had ended its output and then left is not kept, nor is the server', async (t) => {
	const world = new SocketWorld(t);
	// It never says anything, and never ends.
	const server = await world.ready(['listen', 'back', '-k', '--', 'sh', '-c', 'cat; exec sleep 1000']);
	const relay = await world.ready(['relay', 'front', 'back', '--max', '1', '--verbose']);
	for (let i = 0; i < 3; i++) await halfClosedThenGone(world.path('front'));
	await until('three have left', () => relay.errors.match(/ disconnected$/gm)?.length === 3);
	const tap = await world.ready(['tap', 'back']);
	await halfClosedThenGone(world.path('back'));
	await tap.printed(' closed\n');
	server.kill();
});

test('hub: clients that never end their lines do not fill the memory together', async (t) => {
	const world = new SocketWorld(t);
	const hub = await world.ready(['hub', 'room']);
	const greedy = await Promise.all(Array.from({length: 20}, () => client(world.path('room'))));
	// Each within its own limit.
	const endless = Buffer.alloc(15 * 1024 ** 2, 'x');
	for (const {socket} of greedy) socket.write(endless);
	await until('some are put out', () =>
		/disconnected: the incomplete records of all clients are more than 256M/.test(hub.errors),
	);
	const [listener, speaker] = [await client(world.path('room')), await client(world.path('room'))];
	speaker.socket.write('here\n');
	await until('it is heard', () => listener.heard() === 'here\n');
	for (const {socket} of [...greedy, listener, speaker]) socket.destroy();
});

test('hub: one that does not read is put out, and said; the others hear everything, and memory stays', async (t) => {
	const world = new SocketWorld(t);
	const hub = await world.ready(['hub', 'room', '--buffer', '64K']);
	const deaf = await world.stranger('deaf', world.path('room'));
	const listener = world.start('ipc-sock', ['connect', 'room', '-c', '200000']);
	await until(
		'both are there',
		async () => JSON.parse((await world.sock('stat', 'room', '--json')).stdout.toString()).connections === 2,
	);
	const line = `${'x'.repeat(99)}\n`;
	const speaker = world.shell(`yes ${'x'.repeat(99)} | head -200000 | ipc-sock send room`);
	await until('all of it has come', () => listener.received >= 200_000 * line.length);
	assert.equal(listener.output.length, 200_000 * line.length);
	assertDone(await speaker, '');
	assert.match(hub.errors, new RegExp(`process ${deaf.pid} .* disconnected: it was not reading`));
});

test('tap: shows both ways, and puts everything back', async (t) => {
	const world = new SocketWorld(t);
	await world.ready(['listen', 'api', '-k', '--', 'tr', 'a-z', 'A-Z']);
	const before = (await world.shell('stat -c %i,%a $RUN/api')).stdout.toString();
	const tap = await world.ready(['tap', 'api', '--json']);
	assert.deepEqual(world.leftovers(), ['api', 'api.tapped']);
	const asked = world.start('ipc-sock', ['connect', 'api'], {input: 'hello\n'});
	assertDone(await asked.end(), 'HELLO\n');
	await tap.printed('close');
	const events = tap.output
		.toString()
		.trim()
		.split('\n')
		.map((line) => JSON.parse(line));
	assert.deepEqual(
		events.map(({event, from, data}) => [event, from, data].filter(Boolean).join(' ')),
		['open', 'data client hello\n', 'end client', 'data server HELLO\n', 'end server', 'close'],
	);
	assert.equal(events[0].pid, asked.pid);
	for (const {time} of events) assert.match(time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
	assertFails(await world.sock('tap', 'api'), 1, /'api' is already tapped by process \d+ /);
	tap.kill('SIGINT');
	await tap.closed;
	assert.equal(tap.child.signalCode, 'SIGINT');
	assert.deepEqual(world.leftovers(), ['api']);
	assert.equal((await world.shell('stat -c %i,%a $RUN/api')).stdout.toString(), before);
	assertDone(await world.run('ipc-sock', ['connect', 'api'], {input: 'again'}), 'AGAIN');
});

test('tap: for people, and --count', async (t) => {
	const world = new SocketWorld(t);
	await world.ready(['listen', 'api', '-k', '--', 'sh', '-c', 'cat; echo; printf "\\033"']);
	const tap = await world.ready(['tap', 'api', '-c', '1']);
	await world.run('ipc-sock', ['connect', 'api'], {input: 'one\ntwo\n'});
	const {status, stdout} = await tap.end();
	assert.equal(status, 0);
	const lines = stdout.toString().split('\n').slice(0, -1);
	for (const line of lines) assert.match(line, /^\d\d:\d\d:\d\d\.\d{3} #1 /);
	const said = lines.map((line) => line.slice(16));
	assert.match(said[0] ?? '', /^opened by .*process \d+ \(.*\)$/);
	assert.ok(
		said.includes('> one') &&
			said.includes('> two') &&
			said.includes('< one') &&
			said.some((line) => line.includes('\\e')),
	);
	assert.deepEqual(world.leftovers(), ['api']);
});

test('tap: killed without warning, the next one, and remove, put it right', async (t) => {
	const world = new SocketWorld(t);
	await world.ready(['listen', 'api', '-k', '--', 'cat']);
	for (const repair of ['remove', 'tap'] as const) {
		const tap = await world.ready(['tap', 'api']);
		tap.kill('SIGKILL');
		await tap.closed;
		assert.deepEqual(world.leftovers(), ['api', 'api.tapped']);
		if (repair === 'remove') {
			const {status, stderr} = await world.sock('remove', 'api');
			assert.deepEqual(
				[status, stderr],
				[0, "ipc-sock: restored the live socket 'api': a tap that was killed had replaced it\n"],
			);
		} else {
			const next = await world.ready(['tap', 'api']);
			next.kill('SIGTERM');
			await next.closed;
		}
		assert.deepEqual(world.leftovers(), ['api']);
		assertDone(await world.run('ipc-sock', ['connect', 'api'], {input: 'back'}), 'back');
	}
});

test('tap: the listener ends meanwhile, nothing stays; what cannot be tapped', async (t) => {
	const world = new SocketWorld(t);
	const server = await world.ready(['listen', 'api', '-k', '--', 'cat']);
	const tap = await world.ready(['tap', 'api']);
	server.kill('SIGKILL');
	await server.closed;
	tap.kill('SIGTERM');
	await tap.closed;
	assert.deepEqual([world.leftovers(), tap.errors], [[], '']);
	assertFails(await world.sock('tap', 'none'), 1, "ipc-sock: cannot tap 'none': no such socket\n");
	assertFails(await world.sock('tap', '@x'), 2, /an abstract name cannot be renamed/);
	await world.stranger('hold', world.file('d'), 'dgram');
	assertFails(await world.sock('tap', world.file('d')), 1, /is not a listening stream socket/);
	const dead = await world.stranger('hold', world.file('s'), 'stream');
	await dead.kill('SIGKILL').end();
	assertFails(await world.sock('tap', world.file('s')), 1, /no process listens there/);
});

test(
	'tap: the owner of the folder puts a link in place of the new socket: no other file changes',
	needsRoot,
	async (t) => {
		const world = new SocketWorld(t);
		const compiled = await world.shell(
			`cc -shared -fPIC -D_GNU_SOURCE -o '${world.file('replace.so')}' '${join(root, 'test', 'peers', 'preload', 'replace-bound.c')}' -ldl`,
		);
		assert.equal(compiled.status, 0, compiled.stderr);
		const folder = world.file('foreign');
		const path = join(folder, 'api');
		const victim = world.file('victim');
		writeFileSync(victim, 'of root', {mode: 0o600});
		await world.shell(`chmod 755 '${world.scratch}'; mkdir '${folder}'; chown ${anotherUser} '${folder}'`);
		const server = world.startOther('setpriv', [
			...asAnother.split(' ').slice(1),
			...[peer('sock-peer'), 'hold', path, 'stream'],
		]);
		await server.printed('ready\n');
		chmodSync(path, 0o666);
		const env = {LD_PRELOAD: world.file('replace.so'), IPC_TEST_VICTIM: victim};
		const {stdout, stderr} = await world.start('ipc-sock', ['tap', path, '-c', '1'], {env}).end();
		const {uid, mode} = statSync(victim);
		assert.deepEqual([uid, mode & 0o777], [0, 0o600]);
		assert.equal(stdout.toString(), '');
		assert.equal(stderr, `ipc-sock: cannot tap '${path}': another process has replaced 'api.tapped'\n`);
		// It was replaced, and not merely not found.
		assert.equal(readlinkSync(`${path}.tapped`), victim);
		assert.ok(world.isSocket(`${path}.tapped.away`));
	},
);

test('tap: the new socket has the mode and the owner of the other, whatever the umask', needsRoot, async (t) => {
	const world = new SocketWorld(t);
	await world.ready(['listen', 'api', '-k', '--', 'cat']);
	chmodSync(world.path('api'), 0o662);
	chownSync(world.path('api'), 65_533, 65_532);
	const tap = world.startOther('sh', ['-c', 'umask 077; exec ipc-sock tap api --json --ready-fd 3'], {});
	await tap.ready();
	const {uid, gid, mode} = statSync(world.path('api'));
	assert.deepEqual([uid, gid, mode & 0o777], [65_533, 65_532, 0o662]);
	assertDone(await world.run('ipc-sock', ['connect', 'api'], {input: 'through'}), 'through');
	// Its own probe is no connection.
	await tap.printed('close');
	for (const line of tap.output.toString().trim().split('\n')) assert.equal(JSON.parse(line).connection, 1);
});

test('tap: the reader of its output leaves: everything is put back', async (t) => {
	const world = new SocketWorld(t);
	await world.ready(['listen', 'api', '-k', '--', 'cat']);
	const tap = await world.ready(['tap', 'api']);
	tap.stdout.destroy();
	await world.run('ipc-sock', ['connect', 'api', '-t', '5'], {input: 'x'});
	await tap.closed;
	assert.equal(tap.child.signalCode, 'SIGPIPE');
	assert.deepEqual(world.leftovers(), ['api']);
});

test('tap: a signal, or the end of its reader, leaves connections that are open untouched', async (t) => {
	for (const end of ['SIGINT', 'SIGPIPE'] as const) {
		const world = new SocketWorld(t);
		await world.ready(['listen', 'api', '-k', '--', 'cat']);
		const tap = await world.ready(['tap', 'api']);
		const clients = [await client(world.path('api')), await client(world.path('api'))];
		for (const [i, {socket, heard}] of clients.entries()) {
			socket.write(`before ${i}\n`);
			await until('it is answered', () => heard() === `before ${i}\n`);
		}
		if (end === 'SIGINT') tap.kill('SIGINT');
		else {
			tap.stdout.destroy();
			clients[0]?.socket.write('seen by nobody\n');
		}
		await tap.closed;
		assert.equal(tap.child.signalCode, end);
		const pid = Number(
			/^ipc-sock: process (\d+) passes on 2 open connections until the end of each\n$/.exec(tap.errors)?.[1],
		);
		assert.deepEqual(world.leftovers(), ['api']);
		const [first, second] = clients as [(typeof clients)[0], (typeof clients)[0]];
		first.socket.end('after\n');
		const expected = end === 'SIGINT' ? 'before 0\nafter\n' : 'before 0\nseen by nobody\nafter\n';
		await until('the rest is answered', () => first.heard() === expected);
		assert.ok(isAlive(pid));
		second.socket.write('after\n');
		await until('the rest is answered', () => second.heard() === 'before 1\nafter\n');
		second.socket.destroy();
		await until('the process has ended with them', () => !isAlive(pid));
	}
});

test('relay: what a server said before it left without reading everything is heard', async (t) => {
	const world = new SocketWorld(t);
	await world.ready(['listen', 'back', '-k', '--', 'sh', '-c', 'head -c 10; seq 20000']);
	await world.ready(['relay', 'front', 'back']);
	const {stdout} = await world.run('ipc-sock', ['connect', 'front'], {input: Buffer.alloc(3_000_000, 'x')});
	assert.equal(stdout.toString(), `${'x'.repeat(10)}${Array.from({length: 20_000}, (_, i) => `${i + 1}\n`).join('')}`);
});

test(
	'relay: a server that reads no more and goes on talking is not kept once the client has left',
	needs('python3'),
	async (t) => {
		const world = new SocketWorld(t);
		await world.shell('mkdir -p -m 700 $RUN');
		const script = `import socket, sys, time
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print('ready', flush=True)
peer, _ = listener.accept()
peer.recv(10)
peer.shutdown(socket.SHUT_RD)
try:
    while True:
        peer.send(b'still here')
        time.sleep(0.01)
except BrokenPipeError:
    print('alone', flush=True)`;
		const server = await world.startOther('python3', ['-c', script, world.path('back')]).printed('ready\n');
		await world.ready(['relay', 'front', 'back']);
		const {socket, heard} = await client(world.path('front'));
		socket.write('x'.repeat(10));
		// By now it reads no more: a write that has begun before would wait for it.
		await until('it is heard', () => heard().length > 0);
		socket.write(Buffer.alloc(1_000_000, 'x'));
		await once(socket, 'drain');
		socket.destroy();
		assertDone(await server.end(), 'ready\nalone\n');
	},
);

test('relay: a target whose queue is short gets all of many that come at once', async (t) => {
	const world = new SocketWorld(t);
	await world.ready(['listen', 'back', '-k', '--backlog', '1', '--max', '4', '--', 'cat']);
	await world.ready(['relay', 'front', 'back']);
	const clients = await Promise.all(Array.from({length: 60}, () => client(world.path('front'))));
	for (const [i, {socket}] of clients.entries()) socket.end(`${i}`);
	await Promise.all(clients.map(({socket}) => once(socket, 'end')));
	assert.deepEqual(
		clients.map(({heard}) => heard()),
		clients.map((_, i) => `${i}`),
	);
});
