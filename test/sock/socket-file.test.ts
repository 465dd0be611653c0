import assert from 'node:assert/strict';
import {existsSync, lstatSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'node:test';
import {needs} from '../support/needs.js';
import {peer, root} from '../support/run.js';
import {SocketWorld} from '../support/sockets.js';
import {uniqueName} from '../support/unique-name.js';
import {until} from '../support/until.js';
import {anotherUser, asAnother, needsRoot} from '../support/users.js';
import {assertDone, assertFails} from '../support/world.js';

const inode = (path: string) => statSync(path).ino;

for (const type of ['stream', 'dgram', 'seqpacket']) {
	test(`a socket file that a killed process left is replaced (${type})`, async (t) => {
		const world = new SocketWorld(t);
		const path = world.file('s');
		const dead = await world.stranger('hold', path, type);
		await dead.kill('SIGKILL').end();
		const ours = await world.ready(['recv', path, '--type', type]);
		assert.ok(world.isSocket(path));
		assertDone(await world.sock('send', path, '--type', type, 'alive'), '');
		assertDone(await ours.end(), 'alive\n');
		assert.ok(!existsSync(path));
	});

	test(`one that a process uses is refused, and its owner named (${type})`, async (t) => {
		const world = new SocketWorld(t);
		const path = world.file('s');
		const alive = await world.stranger('hold', path, type);
		const before = inode(path);
		for (const ours of ['stream', 'dgram', 'seqpacket'])
			assertFails(
				await world.sock('recv', path, '--type', ours),
				1,
				`ipc-sock: cannot listen on '${path}': process ${alive.pid} (sock-peer) already uses it\n`,
			);
		assert.equal(inode(path), before);
	});
}

test('one that is bound and does not listen yet is alive as well', async (t) => {
	const world = new SocketWorld(t);
	const path = world.file('s');
	await world.stranger('hold', path, 'stream', 'bound');
	assertFails(await world.sock('listen', path), 1, /already uses it/);
});

test('a living listener does not notice that it was asked', async (t) => {
	const world = new SocketWorld(t);
	const listener = await world.ready(['listen', 'one'], {input: 'for the first'});
	assertFails(await world.sock('listen', 'one'), 1, new RegExp(`process ${listener.pid} \\(.*\\) already uses it`));
	assertDone(await world.sock('wait', 'one'), '');
	assertDone(await world.sock('connect', 'one'), 'for the first');
});

test('an abstract name that a process uses', async (t) => {
	const world = new SocketWorld(t);
	const name = `@${uniqueName()}`;
	const alive = await world.stranger('hold', name, 'stream');
	assertFails(
		await world.sock('listen', name),
		1,
		`ipc-sock: cannot listen on '${name}': process ${alive.pid} (sock-peer) already uses it\n`,
	);
});

test('what is not a socket is never touched', async (t) => {
	const world = new SocketWorld(t);
	const path = world.file('data');
	writeFileSync(path, 'precious');
	symlinkSync('data', world.file('link'));
	symlinkSync('nowhere', world.file('broken'));
	assertFails(await world.sock('listen', path), 1, `ipc-sock: '${path}' is a regular file, not a socket\n`);
	assertFails(await world.sock('listen', world.file('link')), 1, /is a symbolic link, not a socket/);
	assertFails(await world.sock('listen', world.file('broken')), 1, /is a symbolic link, not a socket/);
	assertFails(await world.sock('listen', world.scratch), 1, /is a folder, not a socket/);
	assertFails(await world.sock('remove', path), 1, `ipc-sock: '${path}' is a regular file, not a socket\n`);
	assertFails(await world.sock('remove', '--force', path), 1, /not a socket/);
	assert.equal(readFileSync(path, 'utf8'), 'precious');
	assert.ok(lstatSync(world.file('link')).isSymbolicLink());
});

for (const stale of [false, true])
	test(`of ten that start at the same moment exactly one wins${stale ? ', over a stale file' : ''}`, async (t) => {
		const world = new SocketWorld(t);
		const path = world.file('s');
		if (stale) await (await world.stranger('hold', path, 'stream')).kill('SIGKILL').end();
		const all = await Promise.all(
			Array.from({length: 10}, () =>
				world.start('ipc-sock', ['listen', '--ready-fd', '3', path], {input: 'winner'}).readyOrEnded(),
			),
		);
		assertDone(await world.sock('connect', path), 'winner');
		const ends = await Promise.all(all.map((one) => one.end()));
		assert.equal(ends.filter(({status}) => status === 0).length, 1);
		for (const {status, stderr} of ends)
			if (status !== 0)
				assert.match(
					stderr,
					/^ipc-sock: cannot listen on '.*': (process \d+ \(.*\)|another process) already uses it\n$/,
				);
		assert.ok(!existsSync(path));
	});

test('what stands in its place at the end is not removed', async (t) => {
	const world = new SocketWorld(t);
	const path = world.file('s');
	const ours = await world.ready(['listen', path, '--keep-open']);
	await world.shell(`rm '${path}'`);
	await world.stranger('hold', path, 'stream');
	const theirs = inode(path);
	ours.kill('SIGTERM');
	await ours.closed;
	assert.equal(inode(path), theirs);
});

test('the example of the manual finds all stale files, whatever their names', needs('jq'), async (t) => {
	const world = new SocketWorld(t);
	const page = readFileSync(join(root, 'man', 'ipc-sock.1'), 'utf8');
	const line = /^\.Dl (ipc\\-sock list .*stale.*)$/m.exec(page)?.[1] ?? '';
	const written = line.replaceAll('\\-', '-').replaceAll('\\(aq', "'").replaceAll('\\(dq', '"');
	assertDone(await world.shell(written), '');
	mkdirSync(world.path('.'), {mode: 0o700});
	for (const name of ['-a', 'b c'])
		await (await world.stranger('hold', world.path(name), 'stream')).kill('SIGKILL').end();
	const ended = await world.shell(`${written} | sort`);
	assertDone(ended, '-a\nb c\n');
	assertDone(await world.shell(`${written} | tr '\\n' '\\0' | xargs -0 ipc-sock remove --`), '');
	assert.ok(!existsSync(world.path('-a')) && !existsSync(world.path('b c')));
});

test('the mode is there before anybody can connect; the umask applies', async (t) => {
	const world = new SocketWorld(t);
	const modeOf = (name: string) => (statSync(world.path(name)).mode & 0o777).toString(8);
	await world.ready(['listen', 'plain', '--keep-open']);
	assert.equal(modeOf('plain'), '600');
	const {stdout} = await world.shell(
		'umask 027; ipc-sock listen wide -m 777 --ready-fd 4 4>ready & until [ -s ready ]; do sleep 0.01; done; stat -c %a $RUN/wide; kill $!',
		{cwd: world.scratch},
	);
	assert.equal(stdout.toString(), '750\n');
});

test("a listener does not notice that another user's listen and remove are refused", needsRoot, async (t) => {
	const world = new SocketWorld(t);
	await world.shell(`chmod 755 '${world.scratch}'`);
	const path = world.file('s');
	const listener = await world.ready(['listen', path, '--mode', '666', '--count', '1']);
	await world.shell(`chmod 666 '${path}'`);
	const refused = async (verb: string, why: string) => {
		const {status, stderr} = await world.shell(`exec ${asAnother} ipc-sock ${verb} ${path}`);
		assert.deepEqual([status, stderr], [1, `ipc-sock: ${why}\n`]);
	};
	await refused('listen', `cannot listen on '${path}': a process of root already uses it`);
	await refused('remove', `cannot remove '${path}': a process of root uses it (--force removes it anyway)`);
	// It still waits for its only client.
	assertDone(await world.run('ipc-sock', ['connect', path], {input: 'it is me\n'}), '');
	assert.equal((await listener.end()).stdout.toString(), 'it is me\n');
});

test('another user is turned away by the mode, and by --allow', {
	skip: needsRoot.skip || needs('socat').skip,
}, async (t) => {
	const world = new SocketWorld(t);
	await world.shell(`chmod 755 '${world.scratch}'`);
	const path = world.file('s');
	const nobody = (line: string) => world.shell(`exec ${asAnother} ${line}`);
	const asNobody = () => nobody(`socat -u OPEN:/dev/null UNIX-CONNECT:${path}`);

	const closed = await world.ready(['listen', path, '--keep-open']);
	assert.match((await asNobody()).stderr, /Permission denied/);
	closed.kill();
	await closed.closed;

	const listed = await world.ready(['listen', path, '--keep-open', '--allow', 'uid:root', '--', 'echo', 'hello']);
	assert.equal(statSync(path).mode & 0o777, 0o666);
	const away = await nobody(`socat -u UNIX-CONNECT:${path} STDOUT`);
	assert.equal(away.stdout.toString(), '');
	assertDone(await world.sock('connect', path), 'hello\n');
	listed.kill();
	await listed.closed;
	assert.match(
		listed.errors,
		new RegExp(`^ipc-sock: refused .*${anotherUser}.*process \\d+ \\(socat\\): --allow does not list it\n$`),
	);

	const allowed = await world.ready([
		'listen',
		path,
		'-k',
		'--allow',
		`gid:1234,uid:${anotherUser}`,
		'--',
		'echo',
		'come in',
	]);
	assert.equal((await nobody(`socat -u UNIX-CONNECT:${path} STDOUT`)).stdout.toString(), 'come in\n');
	const {stdout} = await world.run('ipc-sock', ['connect', path]);
	assert.equal(stdout.toString(), '');
	const byGroup = await world.shell(
		`exec setpriv --reuid ${anotherUser + 1} --regid 65532 --groups 1234 socat -u UNIX-CONNECT:${path} STDOUT`,
	);
	assert.equal(byGroup.stdout.toString(), 'come in\n');
	allowed.kill();
	await allowed.closed;

	const records = await world.ready(['recv', path, '--type', 'dgram', '--allow', 'uid:root']);
	await nobody(`${peer('sock-peer')} packet ${path} dgram intruder`);
	assertDone(await world.sock('send', path, '--type', 'dgram', 'friend'), '');
	const {stdout: received, stderr} = await records.end();
	assert.equal(received.toString(), 'friend\n');
	assert.match(stderr, /refused .*--allow does not list it/);
});

for (const type of ['dgram', 'seqpacket'])
	test(
		`listen --type ${type} --allow: what another user sends is not printed, and gets no answer`,
		needsRoot,
		async (t) => {
			const world = new SocketWorld(t);
			await world.shell(`chmod 755 '${world.scratch}'`);
			const path = world.file('s');
			// Datagrams have no end.
			const words = [path, '--type', type, ...(type === 'dgram' ? ['--idle', '3s'] : [])];
			const listener = await world.ready(['listen', ...words, '--allow', 'uid:root'], {input: 'for a friend\n'});
			const intruder = world.shell(`exec ${asAnother} ${peer('sock-peer')} packet ${path} ${type} intruder`);
			await until('it was turned away', () => listener.errors !== '');
			await intruder;
			assertDone(await world.run('ipc-sock', ['connect', ...words], {input: 'friend\n'}), 'for a friend\n');
			const {stdout, stderr} = await listener.end();
			assert.equal(stdout.toString(), 'friend\n');
			assert.match(stderr, new RegExp(`^ipc-sock: refused .*${anotherUser}.*\n$`));
		},
	);

test('clients that are turned away do not put a timeout off, nor fill the log', needsRoot, async (t) => {
	const world = new SocketWorld(t);
	await world.shell(`chmod 755 '${world.scratch}'`);
	const flooded = async (verb: string, type: string, ...command: string[]): Promise<void> => {
		const path = world.file(verb + type);
		const server = await world.ready([verb, path, '-t', '3s', '--allow', 'uid:root', '--type', type, ...command]);
		const packet = `${peer('sock-peer')} packet ${path} ${type} x 2> /dev/null`;
		const flood = world.shell(`exec ${asAnother} sh -c 'while [ -e ${path} ]; do ${packet}; sleep 0.05; done'`);
		await server.closed;
		await flood;
		assert.equal(server.child.exitCode, 124, `${verb} ${type}`);
		const lines = server.errors.trimEnd().split('\n');
		assert.ok(lines.length <= 20, server.errors);
		for (const line of lines) assert.match(line, /^ipc-sock: (refused |\d+ more messages? like this )/);
	};
	// Each of them waits for its whole time.
	await Promise.all([
		flooded('recv', 'dgram'),
		flooded('recv', 'stream'),
		flooded('listen', 'dgram'),
		flooded('listen', 'stream'),
		flooded('recv-fd', 'dgram', '--', 'true'),
	]);
});

test('--allow: unknown names, and what is not a rule', async (t) => {
	const world = new SocketWorld(t);
	assertFails(
		await world.sock('listen', 'x', '--allow', 'uid:no-such-user-here'),
		1,
		"ipc-sock: cannot allow 'uid:no-such-user-here': no such user\n",
	);
	assertFails(await world.sock('listen', 'x', '--allow', 'gid:no-such-group'), 1, /no such group/);
	assertFails(await world.sock('listen', 'x', '--allow', 'root'), 2, /uid:USER or gid:GROUP is expected/);
	world.assertNothingLeft();
});

test('a folder that is not ours: a name is refused, a path needs leave to write', needsRoot, async (t) => {
	const world = new SocketWorld(t);
	await world.shell(`chmod 755 '${world.scratch}'; mkdir -m 755 '${world.file('foreign')}'`);
	const {stderr} = await world.shell(
		`IPC_RUNTIME_DIR=${world.folder} exec ${asAnother} ipc-sock listen ${world.file('foreign')}/s`,
	);
	assert.match(stderr, /cannot listen on '.*': permission denied/);
});
