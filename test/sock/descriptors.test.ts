import assert from 'node:assert/strict';
import {readFileSync, writeFileSync} from 'node:fs';
import test from 'node:test';
import {needs} from '../support/needs.js';
import {peer} from '../support/run.js';
import {SocketWorld} from '../support/sockets.js';
import {until} from '../support/until.js';
import {anotherUser, asAnother, needsRoot} from '../support/users.js';
import {assertDone, assertFails} from '../support/world.js';

test('descriptors of ours are read by a stranger', async (t) => {
	const world = new SocketWorld(t);
	writeFileSync(world.file('text'), 'what the file says\n');
	const path = world.file('s');
	const stranger = await world.stranger('recv-fd', path);
	assertDone(await world.sock('send-fd', path, world.file('text')), '');
	assertDone(await stranger.end(), 'ready\nwhat the file says\n');
});

test("a stranger's descriptor is the command's descriptor 3, and who sent it is known", async (t) => {
	const world = new SocketWorld(t);
	writeFileSync(world.file('text'), 'what the file says\n');
	const command = ['sh', '-c', 'cat <&3; echo "$IPC_FDS $IPC_PEER_PID $IPC_PEER_UID"; exit 5'];
	const receiver = await world.ready(['recv-fd', 'desk', '--', ...command]);
	const stranger = world.startOther(peer('sock-peer'), ['send-fd', world.path('desk'), world.file('text')]);
	await stranger.end();
	const {status, stdout, stderr} = await receiver.end();
	assert.deepEqual([status, stderr], [5, '']);
	assert.equal(stdout.toString(), `what the file says\n3 ${stranger.pid} ${process.getuid?.()}\n`);
	world.assertNothingLeft();
});

test('several, of files and of our own; one for writing', async (t) => {
	const world = new SocketWorld(t);
	writeFileSync(world.file('one'), '1');
	writeFileSync(world.file('two'), '2');
	const command = ['sh', '-c', 'echo $IPC_FDS; cat <&3; cat <&4; echo written >&5'];
	const receiver = await world.ready(['recv-fd', 'desk', '--', ...command]);
	const sent = await world.shell('exec 7< two 8> out; exec ipc-sock send-fd desk one 7 8', {cwd: world.scratch});
	assertDone(sent, '');
	assertDone(await receiver.end(), '3 4 5\n12');
	assert.equal(readFileSync(world.file('out'), 'utf8'), 'written\n');
});

test('recv-fd can connect, too; datagrams carry descriptors as well', needs('python3'), async (t) => {
	const world = new SocketWorld(t);
	writeFileSync(world.file('text'), 'text');
	const receiver = await world.ready(['recv-fd', 'desk', '--type', 'dgram', '--', 'sh', '-c', 'cat <&3']);
	assertDone(await world.sock('send-fd', 'desk', '--type', 'dgram', world.file('text')), '');
	assertDone(await receiver.end(), 'text');
	// A server that hands a descriptor to the process that connects.
	const server = world.startOther(
		'python3',
		[
			'-c',
			'import socket,sys;s=socket.socket(socket.AF_UNIX);s.bind(sys.argv[1]);s.listen();print("ready",flush=True);c,_=s.accept();f=open(sys.argv[2]);socket.send_fds(c,[b"x"],[f.fileno()])',
			world.file('server'),
			world.file('text'),
		],
		{},
	);
	await server.printed('ready');
	assertDone(await world.sock('recv-fd', world.file('server'), '--connect', '--', 'sh', '-c', 'cat <&3'), 'text');
});

for (const type of ['stream', 'dgram', 'seqpacket'])
	test(
		`--allow: the descriptors of another user are closed, those of an allowed one are taken (${type})`,
		needsRoot,
		async (t) => {
			const world = new SocketWorld(t);
			await world.shell(`chmod 755 '${world.scratch}'`);
			writeFileSync(world.file('text'), 'of a friend');
			const path = world.file('s');
			const receiver = await world.ready([
				'recv-fd',
				path,
				'--type',
				type,
				'--allow',
				'uid:root',
				'--',
				'cat',
				'/dev/fd/3',
			]);
			const intruder = world.shell(`exec ${asAnother} ${peer('sock-peer')} pass-pipe ${path} ${type}`);
			await until('it was turned away', () => receiver.errors !== '');
			const refused = await intruder;
			// A connection may be closed before anything has been passed on: then sending fails.
			const couldSend = refused.status === 0 && refused.signal === null;
			assert.ok(couldSend || type !== 'dgram', refused.stderr);
			assert.equal(refused.stdout.toString(), couldSend ? 'closed\n' : '');
			assertDone(await world.sock('send-fd', path, '--type', type, world.file('text')), '');
			const {status, stdout, stderr} = await receiver.end();
			assert.deepEqual([status, stdout.toString()], [0, 'of a friend']);
			assert.match(stderr, new RegExp(`^ipc-sock: refused .*${anotherUser}.*\n$`));
		},
	);

test('--allow with --connect: there is nobody to check', async (t) => {
	const world = new SocketWorld(t);
	assertFails(
		await world.sock('recv-fd', 'x', '--connect', '--allow', 'uid:0', '--', 'true'),
		2,
		/^ipc-sock: --allow and --connect cannot be combined\n/,
	);
});

test('nobody takes them, none comes, none is open', async (t) => {
	const world = new SocketWorld(t);
	assertFails(await world.sock('send-fd', 'gone', '0'), 1, "ipc-sock: cannot connect to 'gone': no such socket\n");
	for (const number of ['77', '12', '99999999999'])
		assertFails(
			await world.sock('send-fd', 'gone', number),
			1,
			`ipc-sock: cannot pass on descriptor ${number}: it is not open\n`,
		);
	assertFails(
		await world.sock('send-fd', 'gone', './none'),
		1,
		"ipc-sock: cannot open './none': no such file or folder\n",
	);
	assertFails(await world.sock('recv-fd', 'x', '-t', '20ms', '--', 'true'), 124, '');
	assertFails(await world.sock('recv-fd', 'x', '-n', '--', 'true'), 3, '');
	const receiver = await world.ready(['recv-fd', 'x', '--verbose', '--', 'echo', 'taken']);
	const silent = world.start('ipc-sock', ['connect', 'x']);
	assertDone(await world.sock('send', 'x', 'no descriptor'), '');
	await until('it is said', () => /process \d+ .* disconnected without passing a descriptor$/m.test(receiver.errors));
	assertDone(await world.sock('send-fd', 'x', '0'), '');
	await receiver.closed;
	assert.deepEqual([receiver.child.exitCode, receiver.output.toString()], [0, 'taken\n']);
	await silent.closed;
	for (const verb of ['recv-fd', 'listen', 'serve'])
		assertFails(
			await world.sock(verb, 'x', '--', 'no-such-command-here'),
			127,
			"ipc-sock: cannot run 'no-such-command-here': not found\n",
		);
	const path = world.file('unread');
	await world.stranger('hold', path, 'stream');
	assertFails(await world.sock('send-fd', path, '0', '-t', '50ms'), 124, '');
	world.assertNothingLeft();
});

test('more than the kernel passes on at a time', async (t) => {
	const world = new SocketWorld(t);
	assertFails(
		await world.sock('send-fd', 'x', ...new Array(254).fill('0')),
		1,
		'ipc-sock: cannot pass on 254 descriptors: the kernel takes 253 at a time\n',
	);
});
