import assert from 'node:assert/strict';
import {existsSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'node:test';
import {needs} from '../support/needs.js';
import {sleepsIn} from '../support/proc.js';
import {peer, root} from '../support/run.js';
import {freePort, SocketWorld} from '../support/sockets.js';
import {uniqueName} from '../support/unique-name.js';
import {until} from '../support/until.js';
import {assertDone, assertFails} from '../support/world.js';

const megabytes = 1_000_000;

test('the story: two commands talk, and nothing stays', async (t) => {
	const world = new SocketWorld(t);
	const listener = await world.ready(['listen', 'talk'], {input: 'answer\n'});
	assertDone(await world.run('ipc-sock', ['connect', 'talk'], {input: 'question\n'}), 'answer\n');
	assertDone(await listener.end(), 'question\n');
	world.assertNothingLeft();
});

for (const address of [`@${uniqueName()}`, 'unix:here', './there', 'name'])
	test(`an address: ${address}`, async (t) => {
		const world = new SocketWorld(t);
		const words = address;
		const settings = {cwd: world.scratch};
		const listener = await world.ready(['listen', words], {input: 'a', ...settings});
		assertDone(await world.run('ipc-sock', ['connect', words], {input: 'b', ...settings}), 'a');
		assertDone(await listener.end(), 'b');
	});

/** Both ways at once, more than any buffer holds, through pipes and through files. */
const exchange = (title: string, run: (world: SocketWorld) => Promise<void>, ...programs: string[]) =>
	test(`10 MB of random bytes both ways at once, unchanged: ${title}`, needs(...programs), async (t) => {
		const world = new SocketWorld(t);
		const one = world.random('one', 10 * megabytes);
		const two = world.random('two', 10 * megabytes);
		await run(world);
		assert.ok(readFileSync(world.file('one.got')).equals(one));
		assert.ok(readFileSync(world.file('two.got')).equals(two));
	});

/** The file of a socket is there a moment before it accepts connections. */
const background = (line: string, path: string) => `${line} & ipc-sock wait ./${path} -t 250`;
const shell = async (world: SocketWorld, line: string) =>
	assertDone(await world.shell(`cd '${world.scratch}'; mkdir -p -m 700 run; ${line}; wait`), '');

exchange('ipc-sock and ipc-sock, files', async (world) =>
	shell(world, `${background('ipc-sock listen t < one > two.got', 'run/t')}; ipc-sock connect t < two > one.got`),
);
exchange('ipc-sock and ipc-sock, pipes', async (world) =>
	shell(
		world,
		`${background('cat one | ipc-sock listen t | cat > two.got', 'run/t')}; cat two | ipc-sock connect t | cat > one.got`,
	),
);
exchange('ipc-sock and ipc-sock, TCP', async (world) => {
	const address = `tcp:127.0.0.1:${await freePort()}`;
	await shell(
		world,
		`ipc-sock listen ${address} < one > two.got & ipc-sock wait ${address} -t 250; ipc-sock connect ${address} < two > one.got`,
	);
});
exchange(
	'socat listens',
	async (world) =>
		shell(
			world,
			`${background('socat -t250 - UNIX-LISTEN:s < one > two.got', 's')}; ipc-sock connect ./s < two | cat > one.got`,
		),
	'socat',
);
exchange(
	'socat connects',
	async (world) =>
		shell(
			world,
			`${background('cat one | ipc-sock listen ./s > two.got', 's')}; socat -t250 - UNIX-CONNECT:s < two > one.got`,
		),
	'socat',
);
exchange(
	'nc listens',
	async (world) =>
		// An nc that listens leaves once we have ended, whether or not it has sent all: so we end last.
		shell(
			world,
			`${background('nc -N -lU s < one > two.got', 's')}; (cat two; until [ $(stat -c %s one.got) = ${10 * megabytes} ]; do sleep 0.01; done) | ipc-sock connect ./s > one.got`,
		),
	'nc',
);
exchange(
	'nc connects',
	async (world) =>
		shell(world, `${background('ipc-sock listen ./s < one > two.got', 's')}; nc -N -U s < two > one.got`),
	'nc',
);

/** A reply that comes after a while, in two parts, from a server that never closes. */
const lateReply = (title: string, ...words: string[]) =>
	test(`a late reply from a server that keeps the connection open is printed whole: ${title}`, async (t) => {
		const world = new SocketWorld(t);
		const path = world.file('late');
		await world.stranger('late', path, 'part one, ', 'part two\n');
		assertDone(await world.run('ipc-sock', ['connect', path, ...words], {input: 'q\n'}), 'part one, part two\n');
	});
lateReply('until one line has come', '--count', '1');
lateReply('until a silence', '--idle', '3s');

test('a late reply from a server that keeps the connection open: without a word for when to end, --timeout ends it', async (t) => {
	const world = new SocketWorld(t);
	const path = world.file('late');
	await world.stranger('late', path, 'one ', 'two\n');
	const {status, stdout} = await world.run('ipc-sock', ['connect', path, '-t', '4'], {input: 'q\n'});
	assert.deepEqual([status, stdout.toString()], [124, 'one two\n']);
});

test('the end of our input reaches the other side, and its answer reaches us', async (t) => {
	const world = new SocketWorld(t);
	await world.ready(['listen', 'sum', '--', 'sh', '-c', 'wc -c']);
	assertDone(await world.run('ipc-sock', ['connect', 'sum'], {input: 'twelve bytes'}), '12\n');
});

test('--count ends after N records, of lines and of NUL, and prints no more', async (t) => {
	const world = new SocketWorld(t);
	await world.ready(['listen', 'a', '--', 'printf', 'one\ntwo\nthree\n']);
	assertDone(await world.sock('connect', 'a', '-c', '2'), 'one\ntwo\n');
	await world.ready(['listen', 'b', '--', 'printf', 'one\\0two\\0three']);
	assertDone(await world.sock('connect', 'b', '-c', '2', '-0'), 'one\0two\0');
});

test('--count ends although our input goes on', async (t) => {
	const world = new SocketWorld(t);
	await world.ready(['listen', 'a', '-k', '--', 'sh', '-c', 'printf "one\\ntwo\\nthree\\n"; exec cat']);
	for (const stdout of ['pipe', 'file'] as const) {
		const line = stdout === 'pipe' ? 'ipc-sock connect a -c 2 | cat' : 'ipc-sock connect a -c 2 > out; cat out';
		// Its stdin is open as long as this test is.
		const client = world.startOther('bash', ['-c', line], {cwd: world.scratch});
		await client.closed;
		assert.deepEqual([client.child.signalCode, client.output.toString(), client.errors], [null, 'one\ntwo\n', '']);
	}
	const listener = await world.ready(['listen', 'b', '-c', '1']);
	const other = world.start('ipc-sock', ['connect', 'b']);
	other.stdin.write('one\ntwo\n');
	await listener.closed;
	assert.deepEqual([listener.child.exitCode, listener.output.toString()], [0, 'one\n']);
});

test('no process there, no process any more, not a socket, not allowed: the reason is reported', async (t) => {
	const world = new SocketWorld(t);
	assertFails(await world.sock('connect', 'gone'), 1, "ipc-sock: cannot connect to 'gone': no such socket\n");
	const holder = await world.stranger('hold', world.file('dead'), 'stream');
	await holder.kill('SIGKILL').end();
	assertFails(
		await world.sock('connect', world.file('dead')),
		1,
		`ipc-sock: cannot connect to '${world.file('dead')}': no process listens there: a process that has ended left the file behind\n`,
	);
	world.random('file', 1);
	const none = `@${uniqueName()}`;
	assertFails(
		await world.sock('connect', world.file('file')),
		1,
		`ipc-sock: '${world.file('file')}' is a regular file, not a socket\n`,
	);
	assertFails(
		await world.sock('connect', none),
		1,
		`ipc-sock: cannot connect to '${none}': no process listens there\n`,
	);
	await world.stranger('hold', world.file('dgram'), 'dgram');
	assertFails(
		await world.sock('connect', world.file('dgram')),
		1,
		`ipc-sock: cannot connect to '${world.file('dgram')}': it is not a stream socket (see: ipc-sock stat, and --type)\n`,
	);
});

test('a listener whose queue is full: --nonblock is not now, --timeout gives up', async (t) => {
	const world = new SocketWorld(t);
	const path = world.file('busy');
	await world.stranger('hold', path, 'stream');
	for (let i = 0; i < 9; i++) await world.stranger('deaf', path);
	assertFails(await world.sock('connect', path, '-n'), 3, '');
	assertFails(await world.sock('connect', path, '-t', '50ms'), 124, '');
	assertFails(await world.sock('connect', path, '-t', '50ms', '-E', '9'), 9, '');
});

test('nobody comes: --timeout, with nothing left', async (t) => {
	const world = new SocketWorld(t);
	assertFails(await world.sock('listen', 'lonely', '-t', '20ms'), 124, '');
	world.assertNothingLeft();
});

// biome-ignore lint/suspicious/noTemplateCurlyInString: it is the shell's
const statusOfFirst = 'echo ${PIPESTATUS[0]}';

test('the reader of our stdout leaves: we end by SIGPIPE', async (t) => {
	const world = new SocketWorld(t);
	await world.ready(['listen', 'flood', '--', 'yes']);
	const {stdout, stderr} = await world.shell(`ipc-sock connect flood < /dev/null | head -1; ${statusOfFirst}`);
	assert.deepEqual([stdout.toString(), stderr], ['y\n141\n', '']);
});

test('stdout is full: the reason is reported', async (t) => {
	const world = new SocketWorld(t);
	await world.ready(['listen', 'full', '--', 'echo', 'text']);
	const {status, stderr} = await world.shell('ipc-sock connect full < /dev/null > /dev/full');
	assert.deepEqual([status, stderr], [1, 'ipc-sock: cannot write to stdout: no space left on the device\n']);
});

test('the other side leaves before it has read all: that is reported, and what it had to say is printed', async (t) => {
	const world = new SocketWorld(t);
	await world.ready(['listen', 'short', '--', 'sh', '-c', 'head -c 3; exec 1>&-']);
	const {status, stdout, stderr} = await world.run('ipc-sock', ['connect', 'short'], {
		input: Buffer.alloc(9_000_000, 'x'),
	});
	assert.deepEqual([status, stdout.toString()], [1, 'xxx']);
	assert.match(stderr, /^ipc-sock: 'short' closed the connection before reading all data/);
});

test('the other side leaves while we are silent: we end, although our input goes on', async (t) => {
	const world = new SocketWorld(t);
	await world.ready(['listen', 'brief', '--', 'echo', 'bye']);
	const running = world.start('ipc-sock', ['connect', 'brief']);
	await running.closed;
	assert.deepEqual([running.child.exitCode, running.output.toString()], [0, 'bye\n']);
});

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
	test(`${signal} while listening: the socket goes, and we end by that signal`, async (t) => {
		const world = new SocketWorld(t);
		const listener = await world.ready(['listen', 'wait', '--keep-open']);
		assert.ok(world.isSocket(world.path('wait')));
		await until('it sleeps', () => sleepsIn(listener.pid, /poll/));
		listener.kill(signal);
		await listener.closed;
		assert.equal(listener.child.signalCode, signal);
		world.assertNothingLeft();
	});

test('--keep-open: one after the other', async (t) => {
	const world = new SocketWorld(t);
	const listener = await world.ready(['listen', 'log', '--keep-open'], {input: ''});
	for (const word of ['one', 'two', 'three']) {
		assertDone(await world.run('ipc-sock', ['connect', 'log'], {input: `${word}\n`}), '');
	}
	await listener.printed('three\n');
	assert.equal(listener.output.toString(), 'one\ntwo\nthree\n');
});

test('packets: records of stdin, records on stdout, both ways (seqpacket)', async (t) => {
	const world = new SocketWorld(t);
	const listener = await world.ready(['listen', 'p', '--type', 'seqpacket'], {input: 'x\ny\n'});
	assertDone(await world.run('ipc-sock', ['connect', 'p', '--type', 'seqpacket'], {input: 'a\n\nb'}), 'x\ny\n');
	assertDone(await listener.end(), 'a\n\nb\n');
});

test('packets: the end of the other side is the end of its direction only', async (t) => {
	const world = new SocketWorld(t);
	const numbers = Buffer.from(Array.from({length: 1000}, (_, i) => `${i}\n`).join(''));
	const silent = await world.ready(['listen', 'p', '--type', 'seqpacket'], {input: ''});
	assertDone(await world.run('ipc-sock', ['connect', 'p', '--type', 'seqpacket'], {input: numbers}), '');
	assertDone(await silent.end(), numbers.toString());
	const talker = await world.ready(['listen', 'q', '--type', 'seqpacket'], {input: numbers});
	assertDone(await world.run('ipc-sock', ['connect', 'q', '--type', 'seqpacket'], {input: ''}), numbers.toString());
	assertDone(await talker.end(), '');
});

test('packets: the other side leaves while we are silent, or before it has read all', async (t) => {
	const world = new SocketWorld(t);
	await world.ready(['listen', 'p', '--type', 'seqpacket', '-c', '1', '-k'], {input: ''});
	const silent = world.start('ipc-sock', ['connect', 'p', '--type', 'seqpacket']);
	silent.stdin.write('one\n');
	await silent.closed;
	assert.deepEqual([silent.child.exitCode, silent.errors], [0, '']);
	assertFails(
		await world.run('ipc-sock', ['connect', 'p', '--type', 'seqpacket'], {input: Buffer.alloc(1_000_000, 'x\n')}),
		1,
		"ipc-sock: 'p' closed the connection before reading all data\n",
	);
});

for (const type of ['seqpacket', 'dgram'])
	test(`packets both ways at once, more than any buffer holds: ${type}`, async (t) => {
		const world = new SocketWorld(t);
		const records = (word: string) =>
			Buffer.from(Array.from({length: 3000}, (_, i) => `${word}${i}`.padEnd(1000, '.')).join('\n')).toString();
		const [one, two] = [`${records('a')}\n`, `${records('b')}\n`];
		const words = ['--type', type, ...(type === 'dgram' ? ['--idle', '4s'] : [])];
		const listener = await world.ready(['listen', 'p', ...words], {input: one});
		const client = world.start('ipc-sock', ['connect', 'p', ...words], {input: two});
		assertDone(await client.end(), one);
		assertDone(await listener.end(), two);
	});

test('packets nobody takes: --timeout gives up, and says how many were sent', async (t) => {
	const world = new SocketWorld(t);
	await world.stranger('hold', world.file('full'), 'dgram', 'bound');
	const {status, stderr} = await world.run('ipc-sock', ['connect', world.file('full'), '--type', 'dgram', '-t', '2s'], {
		input: 'x\n'.repeat(5000),
	});
	assert.equal(status, 124);
	assert.match(stderr, /^ipc-sock: gave up on '.*': [0-9]+ records sent\n$/);
});

test('framing in a stream that counts nothing is refused, and what cannot be combined', async (t) => {
	const world = new SocketWorld(t);
	const refuses = async (message: RegExp, ...words: string[]) => assertFails(await world.sock(...words), 2, message);
	await refuses(/a stream is passed on unchanged/, 'connect', 'x', '-0');
	await refuses(/framed as length cannot be counted/, 'connect', 'x', '-c', '1', '--framing', 'length');
	await refuses(/CMD reads the connection itself/, 'listen', 'x', '--idle', '1', '--', 'cat');
	await refuses(/datagrams have no connection/, 'listen', 'x', '--type', 'dgram', '--', 'cat');
	await refuses(/--max needs a command/, 'listen', 'x', '--max', '3');
	await refuses(/plain TCP is not encrypted/, 'listen', 'tcp:0.0.0.0:7999');
	await refuses(/--hold needs a stream, not seqpacket/, 'connect', 'x', '--hold', '--type', 'seqpacket');
	await refuses(
		/the kernel does not identify clients of a network/,
		'listen',
		'tcp:127.0.0.1:7999',
		'--allow',
		'uid:0',
	);
	world.assertNothingLeft();
});

test('a long path, and one that is too long', async (t) => {
	const world = new SocketWorld(t);
	const folder = world.file('d'.repeat(120));
	await world.shell(`mkdir '${folder}'`);
	const listener = await world.ready(['listen', `${folder}/s`], {input: 'far'});
	assert.ok(existsSync(`${folder}/s`));
	assertDone(await world.sock('connect', `${folder}/s`), 'far');
	assertDone(await listener.end(), '');
	assertFails(
		await world.sock('listen', `${folder}/${'n'.repeat(100)}`),
		1,
		/its name has 100 bytes, and in a path of more than 107 bytes/,
	);
});

test('a descriptor of a stranger: what it sends before it is killed is all here', async (t) => {
	const world = new SocketWorld(t);
	const listener = await world.ready(['listen', 'x']);
	const client = world.startOther(peer('sock-peer'), ['deaf', world.path('x')]);
	await client.printed('ready\n');
	client.kill('SIGKILL');
	assertDone(await listener.end(), '');
});

test('datagrams both ways: the listener answers whom it has heard', async (t) => {
	const world = new SocketWorld(t);
	const listener = await world.ready(['listen', 'd', '--type', 'dgram', '--idle', '2s'], {input: 'answer\n'});
	const asked = await world.run('ipc-sock', ['connect', 'd', '--type', 'dgram', '-c', '1'], {input: 'one\ntwo\n'});
	assertDone(asked, 'answer\n');
	assertDone(await listener.end(), 'one\ntwo\n');
	world.assertNothingLeft();
});

test('an empty packet is not an end', async (t) => {
	const world = new SocketWorld(t);
	const listener = await world.ready(['listen', 'p', '--type', 'seqpacket'], {input: 'a\n\nb\n'});
	assertDone(await world.run('ipc-sock', ['connect', 'p', '--type', 'seqpacket']), 'a\n\nb\n');
	assertDone(await listener.end(), '');
});

test('packets as JSON, with who sent them', async (t) => {
	const world = new SocketWorld(t);
	const listener = await world.ready(['listen', 'p', '--type', 'seqpacket', '--json']);
	const client = world.start('ipc-sock', ['connect', 'p', '--type', 'seqpacket', '--json'], {
		input: '{"base64":"/w=="}\n',
	});
	assert.equal(
		(await listener.printed('\n')).output.toString(),
		`{"base64":"/w==","pid":${client.pid},"uid":${process.getuid?.()},"gid":${process.getgid?.()}}\n`,
	);
	listener.stdin.end();
	assertDone(await client.end(), '');
	assertDone(await listener.end());
});

test('--keep-open: one client that leaves without reading is reported, and the next is served', async (t) => {
	const world = new SocketWorld(t);
	const listener = await world.ready(['listen', 'log', '--keep-open'], {input: Buffer.alloc(9_000_000, 'x')});
	const rude = await world.stranger('deaf', world.path('log'));
	await until('our data is on the way', async () =>
		/waiting|connections: 1/.test((await world.sock('stat', 'log')).stdout.toString()),
	);
	await rude.kill('SIGKILL').end();
	await until('it is said', () => listener.errors.includes("'log' closed the connection before reading all"));
	assertDone(await world.run('ipc-sock', ['connect', 'log'], {input: 'fine\n'}));
	await listener.printed('fine\n');
});

test('--hold: a server that takes the end of our input for a goodbye still answers', needs('socat'), async (t) => {
	const world = new SocketWorld(t);
	const path = world.file('hasty');
	// Its listener ends half a second after the end of what it reads.
	const server = world.startOther('socat', [`UNIX-LISTEN:${path}`, 'SYSTEM:read line; sleep 1; echo answer to $line']);
	await until('it listens', () => world.isSocket(path));
	assertDone(await world.run('ipc-sock', ['connect', path, '--hold'], {input: 'q\n'}), 'answer to q\n');
	await server.closed;
});

test('--hold: --idle counts from the end of stdin, and then the peer learns of the end', async (t) => {
	const world = new SocketWorld(t);
	const listener = await world.ready(['listen', 'x']);
	assertDone(await world.run('ipc-sock', ['connect', 'x', '--hold', '--idle', '20ms'], {input: 'q\n'}), '');
	listener.stdin.end();
	assertDone(await listener.end(), 'q\n');
});

test('a host name that nobody finds in time: --timeout', async (t) => {
	const world = new SocketWorld(t);
	const library = world.file('slow.so');
	const source = join(root, 'test', 'peers', 'preload', 'slow-lookup.c');
	assertDone(await world.shell(`cc -shared -fPIC -o '${library}' '${source}'`), '');
	const env = {LD_PRELOAD: library};
	const late = async (status: number, ...words: string[]) =>
		assertFails(await world.run('ipc-sock', [...words, '-t', '200ms'], {env}), status, '');
	await late(124, 'connect', 'tcp:db.example.org:80', '--insecure');
	await late(7, 'connect', 'tls:db.example.org:80', '-E', '7');
	await late(124, 'call', 'tcp:db.example.org:80', 'x', '--insecure');
});
