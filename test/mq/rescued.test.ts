import assert from 'node:assert/strict';
import {
	chmodSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	statSync,
	symlinkSync,
	utimesSync,
	writeFileSync,
} from 'node:fs';
import test from 'node:test';
import {RescuedMessages} from '../../src/objects/queue/rescued-messages.js';
import {isStopped, processes} from '../support/proc.js';
import {QueueWorld} from '../support/queues.js';
import type {Running} from '../support/run.js';
import {until} from '../support/until.js';
import {anotherUser, asAnother, needsRoot} from '../support/users.js';
import {assertDone, assertFails} from '../support/world.js';

/** A command that says that it runs, and fails when TERM comes. */
const stubborn = ['bash', '-c', `trap 'kill $!; exit 1' TERM; sleep 100 & echo runs; wait`];

const files = (world: QueueWorld) => world.leftovers().filter((name) => name.includes('rescued-'));

const waits = (name: string, count: string) =>
	`ipc-mq: '${name}' is full: waiting for room for ${count} in hand (another signal ends that)\n`;

const kept = (name: string, part = '1 of 1 message') =>
	`ipc-mq: ${part} not delivered could not be put back: the queue is full; kept in a file: the next recv of '${name}' takes it first\n`;

/** A worker with the message `precious` of priority 7 in hand, whose queue is full by now. */
async function holding(world: QueueWorld, ...words: string[]): Promise<{name: string; worker: Running}> {
	const name = await world.queue('--maxmsg', '1');
	assertDone(await world.mq('send', name, 'precious', '-p', '7'), '');
	const worker = await world.start('ipc-mq', ['recv', name, '--follow', ...words, '--', ...stubborn]).printed('runs\n');
	assertDone(await world.mq('send', name, 'filler'), '');
	return {name, worker};
}

const toWait = (worker: Running) => until('it waits for room', () => worker.errors.includes('waiting for room'));

test('SIGTERM with the queue full: the worker waits for room, and the message goes back', async (t) => {
	const world = new QueueWorld(t);
	const {name, worker} = await holding(world);
	worker.kill();
	await toWait(worker);
	// In a file already: a kill would cost nothing.
	assert.equal(files(world).length, 1);
	assert.equal(await world.stranger('recv', name), '0 6 filler\n');
	const {signal, stderr} = await worker.end();
	assert.deepEqual([signal, stderr], ['SIGTERM', waits(name, '1 message')]);
	assert.equal(await world.stranger('recv', name), '7 8 precious\n');
	assert.deepEqual(files(world), []);
});

test('a second SIGTERM ends that: the message lies in a file, and the next recv takes it first', async (t) => {
	const world = new QueueWorld(t);
	const {name, worker} = await holding(world);
	worker.kill();
	await toWait(worker);
	worker.kill();
	const {signal, stderr} = await worker.end();
	assert.deepEqual([signal, stderr], ['SIGTERM', waits(name, '1 message') + kept(name)]);
	const [file = ''] = files(world);
	assert.equal(statSync(world.path(file)).mode & 0o7777, 0o600);
	assert.match(readFileSync(world.path(file), 'utf8'), /^ipc-mq rescued message 1\n\{.*\}\nprecious$/);
	assert.match((await world.mq('stat', name)).stdout.toString(), /^rescued: +1 message in files$/m);
	assert.equal(JSON.parse((await world.mq('stat', name, '--json')).stdout.toString()).rescued, 1);
	assertDone(await world.mq('wait', name, '-n'), '');
	assertDone(
		await world.mq('recv', name, '--all', '--json'),
		'{"data":"precious","priority":7}\n{"data":"filler","priority":0}\n',
	);
	assert.deepEqual(files(world), []);
});

test('--timeout ends it too', async (t) => {
	const world = new QueueWorld(t);
	const {name, worker} = await holding(world, '--timeout', '300ms');
	worker.kill();
	const {signal, stderr} = await worker.end();
	assert.deepEqual([signal, stderr], ['SIGTERM', waits(name, '1 message') + kept(name)]);
	assertDone(await world.mq('recv', name, '--', 'sh', '-c', 'echo $IPC_PRIORITY; cat'), '7\nprecious');
});

test('SIGKILL while it waits: the message is there all the same, and no one has it before', async (t) => {
	const world = new QueueWorld(t);
	const {name, worker} = await holding(world);
	worker.kill();
	await toWait(worker);
	// Still in the worker's hand: not for others. Stopped it does not put it back before we have looked.
	worker.kill('SIGSTOP');
	await until('it has stopped', () => isStopped(worker.pid));
	assertDone(await world.mq('recv', name), 'filler\n');
	assertDone(await world.mq('send', name, 'more'), '');
	await worker.kill('SIGKILL').end();
	const rest = await world.mq('recv', name, '--all');
	assert.deepEqual(rest.stdout.toString().split('\n').sort(), ['', 'more', 'precious']);
});

test('with --dead-letter that is where it goes, when there is no room', async (t) => {
	const world = new QueueWorld(t);
	const dead = world.name();
	const {name, worker} = await holding(world, '--dead-letter', dead);
	worker.kill();
	await toWait(worker);
	worker.kill();
	const {stderr} = await worker.end();
	assert.equal(stderr, `${waits(name, '1 message')}ipc-mq: the queue is full: 1 message in hand went to '${dead}'\n`);
	assert.equal(await world.stranger('recv', dead), '7 8 precious\n');
	assert.deepEqual(files(world), []);
});

test('a command that fails without a signal: a moment is waited for room, then the message is kept', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue('--maxmsg', '1');
	await world.mq('send', name, 'precious');
	assertFails(
		await world.mq('recv', name, '--', 'sh', '-c', `ipc-mq send ${name} filler; exit 3`),
		1,
		`${kept(name)}ipc-mq: 'sh' exited with status 3 (message 1, priority 0: 'precious')\n`,
	);
	assertDone(await world.mq('recv', name, '--all'), 'precious\nfiller\n');
});

test('80 messages, eight hands and senders that fill the queue at once: none is lost', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	const input = Array.from({length: 80}, (_, i) => `m${i}`);
	const sender = world.start('ipc-mq', ['send', name], {input: `${input.join('\n')}\n`});
	const done = world.file('done');
	const command = ['bash', '-c', `read -r line; sleep 0.05; echo $line >>${done}`];
	writeFileSync(done, '');
	const isDone = () => new Set(readFileSync(done, 'utf8').split('\n').slice(0, -1)).size === input.length;
	for (let i = 0; i < 3; i++) {
		const worker = world.start('ipc-mq', ['recv', name, '--follow', '--jobs', '8', '--', ...command]);
		const sizeOf = () => statSync(done, {throwIfNoEntry: false})?.size ?? 0;
		const before = sizeOf();
		// On a busy machine the first may do all of it before it is told to stop.
		await until('some are done', () => sizeOf() > before || isDone());
		worker.kill();
		await until(
			'it has ended or waits',
			() => worker.child.exitCode !== null || worker.child.signalCode !== null || worker.errors.includes('waiting'),
		);
		worker.kill();
		const {stderr} = await worker.end();
		assert.doesNotMatch(stderr, /lost/);
	}
	const rest = world.start('ipc-mq', ['recv', name, '--follow', '--jobs', '8', '--', ...command]);
	assertDone(await sender.end(), '');
	// A command that TERM ended may have done its work before; what counts is that nothing is missing.
	const isIdle = () => files(world).length === 0 && processes().every(({parent}) => parent !== rest.pid);
	await until('every message is done', async () => isDone() && (await world.level(name)) === 0 && isIdle());
	assert.equal((await rest.kill().end()).signal, 'SIGTERM');
	assert.deepEqual([...new Set(readFileSync(done, 'utf8').trim().split('\n'))].sort(), [...input].sort());
	assert.deepEqual(files(world), []);
});

test('plain recv whose output fails and whose queue is full meanwhile', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue('--maxmsg', '2');
	await world.mq('send', name, 'high', '-p', '9');
	// A reader that reads nothing and leaves when it is told to.
	const pipeline = world.startOther('bash', [
		'-c',
		`mkfifo ${world.file('leave')}; ipc-mq recv ${name} --follow | read -r _ <${world.file('leave')}; exit \${PIPESTATUS[0]}`,
	]);
	await until('the message is in the pipe', async () => (await world.level(name)) === 0);
	assertDone(await world.mq('send', name, 'x', 'y'), '');
	await world.shell(`echo >${world.file('leave')}`);
	assertFails(await pipeline.end(), 141, kept(name));
	assertDone(
		await world.mq('recv', name, '--all', '--json'),
		'{"data":"high","priority":9}\n{"data":"x","priority":0}\n{"data":"y","priority":0}\n',
	);
});

test('priorities first, then the oldest; every framing and command gets them', async (t) => {
	const world = new QueueWorld(t);
	process.env.IPC_RUNTIME_DIR = world.folder;
	const name = await world.queue();
	const keepAll = () => {
		for (const [text, priority] of [
			['b', 1],
			['c', 1],
			['a', 30_000],
		] as const)
			RescuedMessages.keep(name, {data: Buffer.from(text), priority}).release();
	};
	keepAll();
	await world.mq('send', name, 'd', '-p', '31000');
	assertDone(await world.mq('recv', name, '--all'), 'a\nb\nc\nd\n');
	keepAll();
	assertDone(await world.mq('recv', name, '--count', '2', '--null'), 'a\0b\0');
	assertDone(await world.mq('recv', name), 'c\n');
	keepAll();
	assertDone(await world.mq('recv', name, '--all', '--', 'cat'), 'abc');
	keepAll();
	const other = await world.queue();
	assertDone(await world.mq('copy', name, other), '');
	assert.equal(await world.stranger('recv', other), '30000 1 a\n');
	assert.equal(await world.level(other), 2);
	keepAll();
	assertDone(await world.mq('purge', name), '3\n');
	keepAll();
	assertDone(await world.mq('remove', name), '');
	assert.deepEqual(files(world), []);
	delete process.env.IPC_RUNTIME_DIR;
});

test('several receivers at once: each message goes to one of them', async (t) => {
	const world = new QueueWorld(t);
	process.env.IPC_RUNTIME_DIR = world.folder;
	const name = await world.queue();
	const all = Array.from({length: 200}, (_, i) => `m${i}`);
	for (const text of all) RescuedMessages.keep(name, {data: Buffer.from(text), priority: 0}).release();
	delete process.env.IPC_RUNTIME_DIR;
	const ends = await Promise.all([1, 2, 3, 4].map(() => world.mq('recv', name, '--all')));
	for (const ended of ends) assertDone(ended);
	const lines = ends.flatMap(({stdout}) => stdout.toString().split('\n').slice(0, -1));
	assert.deepEqual(lines.sort(), [...all].sort());
});

for (const [what, spoil, why] of [
	['garbage', (path: string) => writeFileSync(path, 'garbage'), 'it was not written by ipc-mq, or has been changed'],
	[
		'one cut short',
		(path: string) => writeFileSync(path, readFileSync(path).subarray(0, -1)),
		'it was not written by ipc-mq, or has been changed',
	],
	['an empty file', (path: string) => writeFileSync(path, ''), 'it was not written by ipc-mq, or has been changed'],
	[
		'a priority that is none',
		(path: string) => writeFileSync(path, readFileSync(path, 'utf8').replace('"priority":7', '"priority":1e9')),
		'it was not written by ipc-mq, or has been changed',
	],
	[
		"another queue's",
		(path: string) => writeFileSync(path, readFileSync(path, 'utf8').replace(/"queue":"[^"]*"/, '"queue":"other"')),
		"it belongs to the queue 'other'",
	],
	[
		'one that is far too long',
		(path: string) => writeFileSync(path, Buffer.alloc(17_000_000)),
		'it is longer than any message: 17000000 bytes',
	],
	['a folder', (path: string) => mkdirSync(`${path}x`), 'it is not a regular file'],
	['a link', (path: string) => symlinkSync('/etc/passwd', `${path}x`), 'it is a symbolic link'],
] as const)
	test(`${what} among the rescued messages is refused with the reason, left, and in nobody's way`, async (t) => {
		const world = new QueueWorld(t);
		process.env.IPC_RUNTIME_DIR = world.folder;
		const name = await world.queue();
		for (const priority of [7, 1])
			RescuedMessages.keep(name, {data: Buffer.from(`of ${priority}`), priority}).release();
		delete process.env.IPC_RUNTIME_DIR;
		const [first = ''] = files(world);
		spoil(world.path(first));
		const isThird = files(world).length === 3;
		const bad = isThird ? `${first}x` : first;
		for (const round of [0, 1]) {
			const {status, stdout, stderr} = await world.mq('recv', name, '--all');
			assert.deepEqual(
				[status, stdout.toString(), stderr],
				[
					0,
					round === 1 ? '' : isThird ? 'of 7\nof 1\n' : 'of 1\n',
					`ipc-mq: cannot take the rescued message '${world.path(bad)}': ${why}; it is left where it is\n`,
				],
			);
		}
		assert.deepEqual(files(world), [bad]);
	});

test('what a killed process began to write is not taken, and removed later', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	mkdirSync(world.folder, {mode: 0o700});
	const [old, fresh] = [world.path('unfinished-rescued-old'), world.path('unfinished-rescued-fresh')];
	for (const path of [old, fresh]) writeFileSync(path, 'ipc-mq rescued message 1\n');
	utimesSync(old, 1, 1);
	assertDone(await world.mq('recv', name, '--all'), '');
	assert.deepEqual(readdirSync(world.folder), ['unfinished-rescued-fresh']);
});

test(
	'a runtime folder that takes no file: the message is lost, and that is said with the reason',
	needsRoot,
	async (t) => {
		const world = new QueueWorld(t);
		for (const [mount, why] of [
			['mount -t tmpfs -o ro,mode=700 none', 'the file system is read-only'],
			['mount -t tmpfs -o size=4k,mode=700 none', 'no space left on the device'],
		] as const) {
			const name = await world.queue('--maxmsg', '1', '--msgsize', '8192');
			await world.shell(`head -c 8000 /dev/zero | tr '\\0' a | ipc-mq send ${name} --raw`);
			mkdirSync(world.folder, {recursive: true, mode: 0o700});
			const ended = await world.shell(
				`unshare -m bash -c '${mount} ${world.folder} && ipc-mq recv ${name} -- sh -c "ipc-mq send ${name} x; exit 3"; status=$?; ls ${world.folder}; exit $status'`,
			);
			assertFails(
				ended,
				1,
				`ipc-mq: 1 of 1 message not delivered could not be put back: the queue is full, and it is lost: cannot keep a message in the runtime folder '${world.folder}': ${why}\nipc-mq: 'sh' exited with status 3 (message 1, priority 0: '${'a'.repeat(40)}' ...)\n`,
			);
		}
	},
);

test('another user who may receive and not send keeps what fails in a file', needsRoot, async (t) => {
	const world = new QueueWorld(t);
	const name = world.name();
	assertDone(await world.shell(`umask 0; ipc-mq create ${name} --maxmsg 3 --msgsize 9 -m 644`));
	await world.mq('send', name, 'x', '-p', '3');
	chmodSync(world.scratch, 0o711);
	mkdirSync(world.folder, {mode: 0o700});
	await world.shell(`chown ${anotherUser} $RUN`);
	const as = (line: string) => world.shell(`${asAnother} ${line}`);
	assertFails(
		await as(`ipc-mq recv ${name} -- false`),
		1,
		`ipc-mq: 1 of 1 message not delivered could not be put back: cannot send to '${name}': it is not open for sending; kept in a file: the next recv of '${name}' takes it first\nipc-mq: 'false' exited with status 1 (message 1, priority 3: 'x')\n`,
	);
	assertDone(await as(`ipc-mq recv ${name} --json`), '{"data":"x","priority":3}\n');
});

test('recv needs no runtime folder, and one that is refused is none of its business', async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	for (const folder of ['relative', '/nowhere/at/all', '/etc/passwd']) {
		await world.mq('send', name, 'x');
		assertDone(await world.run('ipc-mq', ['recv', name], {env: {IPC_RUNTIME_DIR: folder}}), 'x\n');
	}
});
