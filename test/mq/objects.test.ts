import assert from 'node:assert/strict';
import test from 'node:test';
import {lookAtQueues, type QueueStatus} from '../../src/objects/queue/queue-status.js';
import {needs} from '../support/needs.js';
import {QueueWorld} from '../support/queues.js';
import {peer} from '../support/run.js';
import {until} from '../support/until.js';
import {asAnother, needsRoot} from '../support/users.js';
import {assertDone, assertFails} from '../support/world.js';

const parse = (line: Buffer | string | undefined) => JSON.parse(String(line));

test('create makes a queue of that attributes and mode, as a C program sees it', async (t) => {
	const world = new QueueWorld(t);
	const [a, b] = [world.name(), world.name()];
	assertDone(await world.mq('create', a, `/${b}`, '--maxmsg', '3', '--msgsize', '1K', '-m', '640'), '');
	assert.equal(await world.stranger('attributes', a), '3 1024 0\n');
	assert.equal(await world.stranger('attributes', b), '3 1024 0\n');
	assert.equal(parse((await world.mq('stat', a, '--json')).stdout).mode, '0640');
});

test('create without a attributes takes the defaults of the system', async (t) => {
	const world = new QueueWorld(t);
	const name = world.name();
	const {msgDefault, msgsizeDefault} = parse((await world.mq('limits', '--json')).stdout);
	assertDone(await world.mq('create', name), '');
	assert.equal(await world.stranger('attributes', name), `${msgDefault} ${msgsizeDefault} 0\n`);
	assert.equal(parse((await world.mq('stat', name, '--json')).stdout).mode, '0600');
});

test('create says when one is there, with its attributes, and --exclusive makes that an error; the others are made', async (t) => {
	const world = new QueueWorld(t);
	const [a, b, c] = [await world.queue(), world.name(), world.name()];
	const again = await world.mq('create', a, b, '--maxmsg', '2', '--msgsize', '99');
	assert.deepEqual(
		[again.status, again.stdout.toString(), again.stderr],
		[0, '', `ipc-mq: '${a}' already exists with maxmsg 10 and msgsize 256\n`],
	);
	assert.equal(await world.stranger('attributes', b), '2 99 0\n');
	assertFails(
		await world.mq('create', '-x', a, c, '--maxmsg', '2', '--msgsize', '99'),
		1,
		`ipc-mq: cannot create '${a}': it already exists\n`,
	);
	assert.equal(await world.stranger('attributes', c), '2 99 0\n');
});

test('create of a queue that exists and may not be opened: an error that says whose it is', needsRoot, async (t) => {
	const world = new QueueWorld(t);
	const [name, other] = [await world.queue(), world.name()];
	const mounted = 'mount -t tmpfs none /dev && mkdir /dev/mqueue && mount -t mqueue none /dev/mqueue';
	for (const [line, owner] of [
		[`unshare -m bash -c '${mounted} && exec "$@"' mounted`, ': it belongs to root, with mode 0600'],
		// Only the mqueue file system knows, and not every user may mount it.
		['unshare -m bash -c \'umount /dev/mqueue 2>/dev/null; exec "$@"\' unmounted', ''],
	])
		assertFails(
			await world.shell(`${line} ${asAnother} ipc-mq create ${name} ${other} --maxmsg 1 --msgsize 9 -q`),
			1,
			`ipc-mq: '${name}' already exists, and cannot be opened: permission denied${owner}\n`,
		);
	assert.equal(await world.stranger('attributes', other), '1 9 0\n');
});

for (const [title, words, message] of [
	[
		'more messages than msg_max',
		'--maxmsg 65537 --msgsize 10',
		/: 65537 messages are more than fs\.mqueue\.msg_max, which is [0-9]+ \(see sysctl\(8\); 65536 at most\)\n$/,
	],
	[
		'larger messages than msgsize_max',
		'--maxmsg 1 --msgsize 17M',
		/: messages of 17825792 bytes are larger than fs\.mqueue\.msgsize_max, which is [0-9]+ \(see sysctl\(8\); 16777216 at most\)\n$/,
	],
	[
		'both',
		'--maxmsg 65537 --msgsize 17M',
		/: 65537 messages are more than fs\.mqueue\.msg_max.* and messages of 17825792 bytes are larger than fs\.mqueue\.msgsize_max/,
	],
] as const) {
	test(`create names the limit in the way: ${title}`, async (t) => {
		const world = new QueueWorld(t);
		const name = world.name();
		const ended = await world.mq('create', name, ...words.split(' '));
		assertFails(ended, 1, message);
		assert.ok(ended.stderr.startsWith(`ipc-mq: cannot create '${name}': `));
	});
}

test('create names RLIMIT_MSGQUEUE, its value, what was needed and what would fit', async (t) => {
	const world = new QueueWorld(t);
	const name = world.name();
	assertFails(
		await world.shell(`ulimit -q 80000; ipc-mq create ${name} --maxmsg 10 --msgsize 8K`),
		1,
		`ipc-mq: cannot create '${name}': it takes 82880 bytes (81K) and all your queues together may take 80000 (RLIMIT_MSGQUEUE; see: ulimit -q); alone it could hold 9 messages\n`,
	);
});

test('create names RLIMIT_MSGQUEUE also when it is the second queue that does not fit', needsRoot, async (t) => {
	const world = new QueueWorld(t);
	const [a, b] = [world.name(), world.name()];
	assertFails(
		await world.shell(`ulimit -q 100000; ${asAnother} ipc-mq create ${a} ${b} --maxmsg 10 --msgsize 8192`),
		1,
		`ipc-mq: cannot create '${b}': it takes 82880 bytes (81K) and all your queues together may take 100000 (RLIMIT_MSGQUEUE; see: ulimit -q)\n`,
	);
	assert.equal(await world.level(a), 0);
});

test('what is not a name for a queue, or no attributes, is used wrongly', async (t) => {
	const world = new QueueWorld(t);
	assertFails(await world.mq('create', 'a/b'), 2, /^ipc-mq: invalid queue name 'a\/b': '\/' is not allowed\n/);
	assertFails(await world.mq('create', '@a'), 2, /^ipc-mq: invalid queue name '@a': '@' is not allowed\n/);
	const name = world.name();
	assertFails(await world.mq('create', name, '--maxmsg', '0'), 2, /the minimum is 1/);
	assertFails(
		await world.mq('create', name, '--msgsize', '0'),
		1,
		`ipc-mq: cannot create '${name}': no queue can hold 10 messages of 0 bytes\n`,
	);
});

test('remove goes on past a failure and ends nonzero; who has it open goes on', async (t) => {
	const world = new QueueWorld(t);
	const [a, b, nope] = [await world.queue(), await world.queue(), world.name()];
	const receiver = await world.start('ipc-mq', ['recv', a, '-t', '200ms', '--ready-fd', '3']).ready();
	assertFails(await world.mq('rm', a, nope, b), 1, `ipc-mq: cannot remove '${nope}': no such queue\n`);
	await assert.rejects(world.stranger('attributes', a), /No such file/);
	await assert.rejects(world.stranger('attributes', b), /No such file/);
	assertFails(await receiver.end(), 124, '');
});

test('purge throws away what is there and prints how much that was', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	await world.mq('send', name, 'a', 'b', 'c');
	assertDone(await world.mq('purge', name), '3\n');
	assert.equal(await world.level(name), 0);
	assertDone(await world.mq('purge', name, '--json'), '{"purged":0}\n');
});

test('stat --json tells all there is, and takes nothing', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	await world.mq('send', name, 'abc', 'de');
	const ended = await world.mq('stat', `/${name}`, '--json');
	assertDone(ended);
	const owner = (await world.shell('id -un')).stdout.toString().trim();
	assert.deepEqual(parse(ended.stdout), {
		name,
		messages: 2,
		maxmsg: 10,
		msgsize: 256,
		bytes: 5,
		mode: '0600',
		owner,
		users: [],
		notifyPid: null,
		rescued: 0,
	});
	assertDone(
		await world.mq('stat', name),
		`name:     ${name}\nmessages: 2 of 10\nmsgsize:  256 bytes\nbytes:    5 bytes queued\nmode:     0600\nowner:    ${owner}\nopen:     none\nnotify:   none\n`,
	);
	assert.equal(await world.level(name), 2);
});

test('messages and bytes do not contradict one another while others send and receive', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue('--msgsize', '5');
	const churner = await world.startOther(peer('mq-peer'), ['churn', name, '12345']).printed('runs');
	const isPossible = ({messages, bytes}: Pick<QueueStatus, 'messages' | 'bytes'>) =>
		bytes === null || (bytes > 0 === messages > 0 && bytes <= 5 * messages);
	for (let i = 0; i < 60; i++) {
		const [status] = lookAtQueues([{kind: 'name', name}]);
		assert.ok(status && isPossible(status), `${status?.messages} messages have ${status?.bytes} bytes`);
	}
	const {stdout} = await world.mq('stat', name, '--json');
	assert.ok(isPossible(parse(stdout)), stdout.toString());
	assertDone(await churner.end(), 'runs\n');
	assert.match((await world.mq('stat', name)).stdout.toString(), /^messages: 0 of 10\n.*\nbytes: +0 bytes queued$/m);
	// Messages without bytes are no contradiction.
	await world.mq('send', name, '', '');
	assert.match((await world.mq('stat', name)).stdout.toString(), /^messages: 2 of 10\n.*\nbytes: +0 bytes queued$/m);
	await world.mq('send', name, 'x');
	assert.match((await world.mq('stat', name)).stdout.toString(), /^messages: 3 of 10\n.*\nbytes: +1 byte queued$/m);
});

test('stat shows who has it open, and how', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	const holders = await Promise.all(
		['read', 'write', 'readwrite'].map((how) => world.startOther(peer('mq-peer'), ['hold', name, how]).printed('open')),
	);
	const {users} = parse((await world.mq('stat', name, '--json')).stdout);
	const byPid = (x: {pid: number}, y: {pid: number}) => x.pid - y.pid;
	assert.deepEqual(
		users.sort(byPid),
		holders.map(({pid}, i) => ({pid, command: 'mq-peer', access: ['r', 'w', 'rw'][i]})).sort(byPid),
	);
	const text = (await world.mq('stat', name)).stdout.toString();
	for (const [i, {pid}] of holders.entries())
		assert.match(text, new RegExp(`^(open:)? +${pid} mq-peer \\(${['r', 'w', 'rw'][i]}\\)$`, 'm'));
	await Promise.all(holders.map((holder) => holder.end()));
	assert.deepEqual(parse((await world.mq('stat', name, '--json')).stdout).users, []);
});

test('stat shows who is registered for notification, and a message of ours notifies', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	const listener = await world.startOther(peer('mq-peer'), ['notify', name]).printed('registered');
	assert.equal(parse((await world.mq('stat', name, '--json')).stdout).notifyPid, listener.pid);
	assert.match((await world.mq('stat', name)).stdout.toString(), new RegExp(`^notify: +process ${listener.pid}$`, 'm'));
	assertDone(await world.mq('send', name, 'x'), '');
	assertDone(await listener.end(), 'registered\nnotified\n');
	assert.equal(parse((await world.mq('stat', name, '--json')).stdout).notifyPid, null);
});

test('a queue that a C program made is as good as ours, and the other way round', async (t) => {
	const world = new QueueWorld(t);
	const name = world.name();
	await world.stranger('create', name, '4', '32');
	await world.stranger('send', name, '5', 'from C');
	assertDone(await world.mq('recv', name, '--json'), '{"data":"from C","priority":5}\n');
	assertDone(await world.mq('send', name, '-p', '32767', 'to C'), '');
	assert.equal(await world.stranger('recv', name), '32767 4 to C\n');
});

test('list shows each queue once, as a table and as JSON', async (t) => {
	const world = new QueueWorld(t);
	const [a, b] = [await world.queue(), await world.queue()];
	await world.mq('send', a, 'abc');
	const ours = (text: Buffer) =>
		text
			.toString()
			.split('\n')
			.filter((line) => line.includes(a) || line.includes(b));
	const table = await world.mq('list');
	assertDone(table);
	assert.match(table.stdout.toString(), /^NAME +MESSAGES +MAXMSG +MSGSIZE +BYTES +MODE +OWNER +OPEN +NOTIFY\n/);
	assert.match(ours(table.stdout).join('\n'), new RegExp(`^${a} +1 +10 +256 +3 +0600 +\\S+ +[0-9]+ +-\n${b} +0 `));
	const chosen = await world.mq('ls', '--no-headings', '-o', 'messages,name');
	assert.deepEqual(
		ours(chosen.stdout).map((line) => line.trim()),
		[`1  ${a}`, `0  ${b}`],
	);
	const rows = ours((await world.mq('list', '--json')).stdout).map((line) => JSON.parse(line));
	assert.deepEqual(
		rows.map(({name, messages, users}) => [name, messages, users]),
		[
			[a, 1, []],
			[b, 0, []],
		],
	);
	assertFails(
		await world.mq('list', '-o', 'colour'),
		2,
		/^ipc-mq: unknown column 'colour' \(columns: name, messages, /,
	);
});

test('limits are those of the kernel, and say how many queues fit', async (t) => {
	const world = new QueueWorld(t);
	const found = await world.shell('ulimit -q 100000; ipc-mq limits --maxmsg 10 --msgsize 256 --json');
	assertDone(found);
	const knobs = (
		await world.shell('cd /proc/sys/fs/mqueue; cat msg_max msgsize_max queues_max msg_default msgsize_default')
	).stdout
		.toString()
		.trim()
		.split('\n')
		.map(Number);
	const [msgMax, msgsizeMax, queuesMax, msgDefault, msgsizeDefault] = knobs;
	assert.deepEqual(parse(found.stdout), {
		msgMax,
		msgsizeMax,
		queuesMax,
		msgDefault,
		msgsizeDefault,
		rlimitMsgqueue: 100_000,
		maxmsg: 10,
		msgsize: 256,
		bytesPerQueue: 3520,
		queuesThatFit: 28,
	});
	const text = await world.shell('ulimit -q 100000; ipc-mq limits --maxmsg 10 --msgsize 256');
	assertDone(text);
	assert.match(
		text.stdout.toString(),
		new RegExp(`^msg_max: +${msgMax} messages in a queue \\(sysctl fs.mqueue.msg_max\\)\n`),
	);
	assert.match(
		text.stdout.toString(),
		/^msgqueue: +100000 bytes in all queues of a user \(RLIMIT_MSGQUEUE, ulimit -q\)$/m,
	);
	assert.match(text.stdout.toString(), /^this: +10 messages of 256 bytes take 3520 bytes: 28 such queues fit$/m);
});

test('what limits says fits does fit, and not one more', needsRoot, async (t) => {
	const world = new QueueWorld(t);
	const names = [world.name(), world.name(), world.name()];
	assertFails(
		await world.shell(`ulimit -q 7100; ${asAnother} ipc-mq create ${names.join(' ')} --maxmsg 10 --msgsize 256`),
		1,
		new RegExp(`^ipc-mq: cannot create '${names[2]}': it takes 3520 bytes .* may take 7100 `),
	);
});

test('watch prints a JSON line per change, also when it is removed', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	const watcher = await world.start('ipc-mq', ['watch', name, '-i', '10ms']).printed('\n');
	await world.stranger('send', name, '0', 'abc');
	await watcher.printed('"messages":1');
	await world.mq('rm', name);
	await watcher.printed('"removed":true}\n');
	const {signal, stdout, stderr} = await watcher.kill().end();
	assert.deepEqual([signal, stderr], ['SIGTERM', '']);
	const lines = stdout.toString().trim().split('\n');
	assert.equal(new Set(lines).size, lines.length);
	// The stranger may be seen in it too, and that he has left is a change of its own.
	const levels = lines.map((line) => JSON.stringify([parse(line).messages, parse(line).bytes, parse(line).removed]));
	assert.deepEqual([...new Set(levels)], ['[0,0,null]', '[1,3,null]', '[null,null,true]']);
	assert.deepEqual(parse(lines.at(-1)), {name, removed: true});
});

test('watch draws in place on a terminal, with the level over time', needs('script'), async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	await world.mq('send', name, 'abc');
	const {stdout, status} = await world.shell(`script -qec 'ipc-mq watch ${name} --count 1' /dev/null`, {
		env: {TERM: 'xterm'},
	});
	assert.equal(status, 0);
	assert.match(stdout.toString(), /messages: 1 of 10/);
	assert.match(stdout.toString(), /level: +[▁▂▃▄▅▆▇█]/);
	assert.ok(stdout.toString().endsWith('\x1b[?25h'));
});

test('another user gets permission denied, from every verb', needsRoot, async (t) => {
	const world = new QueueWorld(t);
	const [name, other] = [await world.queue(), await world.queue()];
	await world.mq('send', name, 'mine');
	for (const line of [
		`send ${name} x`,
		`recv ${name}`,
		`recv ${name} --all`,
		`wait ${name}`,
		`stat ${name}`,
		`watch ${name}`,
		`purge ${name}`,
		`copy ${name} ${other}`,
	])
		assertFails(
			await world.shell(`${asAnother} ipc-mq ${line}`),
			1,
			`ipc-mq: cannot open '${name}': permission denied\n`,
		);
	assertFails(
		await world.shell(`${asAnother} ipc-mq rm ${name}`),
		1,
		/^ipc-mq: cannot remove '.*': (permission denied|operation not permitted)\n$/,
	);
	assert.equal(await world.level(name), 1);
});

test('another user may do what the mode says: send, and not receive', needsRoot, async (t) => {
	const world = new QueueWorld(t);
	const name = world.name();
	assertDone(await world.shell(`umask 0; ipc-mq create ${name} --maxmsg 3 --msgsize 9 -m 622`));
	assertDone(await world.shell(`${asAnother} ipc-mq send ${name} x`), '');
	assertFails(
		await world.shell(`${asAnother} ipc-mq recv ${name}`),
		1,
		`ipc-mq: cannot open '${name}': permission denied\n`,
	);
	assertDone(await world.mq('recv', name), 'x\n');
});

test('another user who may receive and not send gets messages all the same', needsRoot, async (t) => {
	const world = new QueueWorld(t);
	const name = world.name();
	assertDone(await world.shell(`umask 0; ipc-mq create ${name} --maxmsg 3 --msgsize 9 -m 644`));
	await world.mq('send', name, 'x');
	assertDone(await world.shell(`${asAnother} ipc-mq recv ${name}`), 'x\n');
});

test('nothing needs /dev/mqueue mounted', needsRoot, async (t) => {
	const world = new QueueWorld(t);
	const name = world.name();
	const unmounted = (line: string) =>
		world.shell(`unshare -m bash -c 'while mountpoint -q /dev/mqueue; do umount /dev/mqueue; done; ${line}'`);
	assertDone(
		await unmounted(
			`ipc-mq create ${name} --maxmsg 3 --msgsize 9 && ipc-mq send ${name} a b && ipc-mq wait ${name} && ipc-mq recv ${name} && ipc-mq list --no-headings -o name | grep ${name} && ipc-mq purge ${name} && ipc-mq rm ${name}`,
		),
		`a\n${name}\n1\n`,
	);
	assertFails(
		await unmounted(`${asAnother} ipc-mq list`),
		1,
		'ipc-mq: cannot list the queues: the mqueue file system is not mounted (mount it, as root: mkdir -p /dev/mqueue && mount -t mqueue none /dev/mqueue)\n',
	);
});

test('where it is mounted, list uses that, also for another user', needsRoot, async (t) => {
	const world = new QueueWorld(t);
	const name = world.name();
	assertDone(await world.shell(`umask 0; ipc-mq create ${name} --maxmsg 3 --msgsize 9 -m 644`));
	const ended = await world.shell(
		`unshare -m bash -c 'mount -t tmpfs none /dev && mkdir /dev/mqueue && mount -t mqueue none /dev/mqueue && mknod -m 666 /dev/null c 1 3 && ls /dev/mqueue/${name} && ${asAnother} ipc-mq list --json'`,
	);
	assertDone(ended);
	const [path, ...rows] = ended.stdout.toString().trim().split('\n');
	assert.equal(path, `/dev/mqueue/${name}`);
	assert.equal(rows.map(parse).filter((row) => row.name === name).length, 1);
});

test('wait: -n, -t, wakes when a message comes, and takes nothing', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	assertFails(await world.mq('wait', name, '-n'), 3, '');
	assertFails(await world.mq('wait', name, '-t', '50ms'), 124, '');
	assertFails(await world.mq('wait', name, '-t', '50ms', '-E', '7'), 7, '');
	const waiters = await Promise.all([1, 2].map(() => world.start('ipc-mq', ['wait', name, '--ready-fd', '3']).ready()));
	await world.stranger('send', name, '3', 'x');
	for (const waiter of waiters) assertDone(await waiter.end(), '');
	assertDone(await world.mq('wait', name), '');
	assert.equal(await world.stranger('recv', name), '3 1 x\n');
	const nope = world.name();
	assertFails(
		await world.mq('wait', nope),
		1,
		`ipc-mq: cannot open '${nope}': no such queue (make it with: ipc-mq create ${nope})\n`,
	);
});

test('wait ends by the signal that ends it', async (t) => {
	const world = new QueueWorld(t);
	const waiter = await world.start('ipc-mq', ['wait', await world.queue(), '--ready-fd', '3']).ready();
	waiter.kill();
	const {signal, stderr} = await waiter.end();
	assert.deepEqual({signal, stderr}, {signal: 'SIGTERM', stderr: ''});
});

test('a queue that comes and goes while others send with --create: no process fails', async (t) => {
	const world = new QueueWorld(t);
	const name = world.name();
	const loop = (line: string) => world.shell(`for i in {1..10}; do ${line} || exit; done`);
	const makers = [1, 2].map(() =>
		loop(`ipc-mq send ${name} --create --maxmsg 10 --msgsize 9 -n x; case $? in 0|3) ;; *) false;; esac`),
	);
	const remover = loop(`ipc-mq rm ${name} 2>/dev/null; true`);
	for (const ended of await Promise.all([...makers, remover])) assert.deepEqual([ended.status, ended.stderr], [0, '']);
	await until('it is gone', async () => {
		await world.mq('rm', name);
		return (await world.mq('stat', name)).status === 1;
	});
});
