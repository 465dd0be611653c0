import assert from 'node:assert/strict';
import {once} from 'node:events';
import {type AddressInfo, createServer} from 'node:net';
import test, {type TestContext} from 'node:test';
import {needsMounts, withForeignProc, withHiddenProc, withoutProc} from '../support/namespaces/hidden-proc.js';
import {isAlive} from '../support/proc.js';
import {QueueWorld} from '../support/queues.js';
import type {Ended} from '../support/run.js';
import {SegmentWorld} from '../support/segments.js';
import {SemaphoreWorld} from '../support/semaphores.js';
import {SignalWorld} from '../support/signals.js';
import {anotherUser, asAnother} from '../support/users.js';
import {assertDone, assertFails, World} from '../support/world.js';

/** Not in root's group either, which hidepid exempts where gid= names no other. */
const asStranger = `${asAnother} --regid ${anotherUser}`;

const unmounted = '/proc is not mounted';
const rows = ({stdout}: Ended) =>
	stdout
		.toString()
		.split('\n')
		.filter((line) => line.startsWith('{'))
		.map((line) => JSON.parse(line));

/** A segment that a stranger in C maps. */
async function mapped(t: TestContext, mode = 0o600) {
	const world = new SegmentWorld(t);
	const name = world.segment(8192);
	await world.shell(`chmod ${mode.toString(8)} ${world.at(name)}`);
	await world.startStranger('shm-peer', 'map', name);
	return {world, name};
}

for (const [where, hide, why] of [
	['without /proc', withoutProc, unmounted],
	['with the /proc of another PID namespace', withForeignProc, '/proc belongs to another PID namespace'],
] as const) {
	test(`${where} ipc-shm gc removes nothing and says why`, needsMounts, async (t) => {
		const {world, name} = await mapped(t);
		const refused = `ipc-shm: cannot see which processes use the segments, so none is removed: ${why}\n`;
		assertFails(await world.shell(hide('ipc-shm gc --dry-run')), 1, refused);
		assert.ok(world.exists(name));
		// In a folder of its own: a defect must not cost the segments of others.
		const alone = 'mount -t tmpfs none /dev/shm && truncate -s 4K /dev/shm/kept';
		const {status, stdout, stderr} = await world.shell(
			`unshare -m bash -c '${alone} && ${hide('ipc-shm gc').replaceAll("'", `'\\''`)}; ls /dev/shm'`,
		);
		assert.deepEqual([status, stdout.toString(), stderr], [0, 'kept\n', refused]);
	});

	test(`${where} ipc-shm resize makes nothing smaller unless it is forced to`, needsMounts, async (t) => {
		const {world, name} = await mapped(t);
		assertFails(
			await world.shell(hide(`ipc-shm resize ${name} 4K`)),
			1,
			`ipc-shm: cannot shrink '${name}': cannot see which processes use it: ${why} (--force shrinks it anyway)\n`,
		);
		assert.equal(world.contents(name).length, 8192);
		assertDone(await world.shell(hide(`ipc-shm resize ${name} 16K`)), '');
		assertDone(await world.shell(hide(`ipc-shm resize ${name} 8K --force`)), '');
		assert.equal(world.contents(name).length, 8192);
	});

	test(`${where} who uses an object is null or a question mark, and never nobody`, needsMounts, async (t) => {
		const {world, name} = await mapped(t);
		const queues = new QueueWorld(t);
		const queue = await queues.queue();
		await world.pipe('create', 'fifo');
		await world.start('ipc-sock', ['listen', 'socket', '--ready-fd', '3']).ready();
		const look = async (line: string) => rows(await world.shell(hide(line)));
		const cannotSee = new RegExp(`cannot see which processes use it: ${why}\n`);

		const segment = (await look('ipc-shm list --json')).find((row) => row.name === name);
		assert.deepEqual([segment.users, segment.unseen], [null, null]);
		assert.match((await world.shell(hide(`ipc-shm stat ${name}`))).stdout.toString(), cannotSee);
		const table = (await world.shell(hide('ipc-shm list --no-headings -o name,mapped'))).stdout.toString();
		assert.match(table, new RegExp(`^${name} +\\?$`, 'm'));

		assert.equal((await look('ipc-mq list --json')).find((row) => row.name === queue).users, null);
		assert.equal((await look(`ipc-mq watch ${queue} --count 1`))[0].users, null);
		assert.match((await world.shell(hide(`ipc-mq stat ${queue}`))).stdout.toString(), cannotSee);

		const [fifo] = await look('ipc-pipe list --json');
		assert.deepEqual([fifo.name, fifo.readers, fifo.writers, fifo.queued], ['fifo', null, null, null]);
		assert.match((await world.shell(hide('ipc-pipe stat fifo'))).stdout.toString(), cannotSee);
		for (const wish of ['--reader', '--writer', '--data', '--empty'])
			assertFails(
				await world.shell(hide(`ipc-pipe wait fifo ${wish} -n`)),
				1,
				`ipc-pipe: cannot wait for 'fifo': cannot see which processes use it: ${why}\n`,
			);

		const [socket] = await look('ipc-sock list --json');
		assert.deepEqual([socket.name, socket.state, socket.listeners], ['socket', 'listening', null]);
		assert.match((await world.shell(hide('ipc-sock stat socket'))).stdout.toString(), cannotSee);
	});

	test(
		`${where} ipc-signal send --tree sends nothing, rather than leave the descendants out`,
		needsMounts,
		async (t) => {
			const world = new SignalWorld(t);
			const parent = await world.startOther('bash', ['-c', 'sleep 60 & echo $!; wait']).printed('\n');
			// In a PID namespace of its own there are only processes of that.
			const pid = hide === withForeignProc ? '$$' : parent.pid;
			const shown = hide === withForeignProc ? '[0-9]+' : parent.pid;
			const {status, stdout, stderr} = await world.shell(hide(`ipc-signal send --tree KILL ${pid}; exit $?`));
			assert.deepEqual([status, stdout.toString()], [1, '']);
			assert.match(stderr, new RegExp(`^ipc-signal: cannot see the descendants of ${shown}: ${why}\n$`));
			assert.ok(isAlive(parent.pid) && isAlive(Number(parent.output)));
		},
	);
}

test('without /proc a process that is there is not said to be missing', needsMounts, async (t) => {
	const world = new SignalWorld(t);
	const {pid} = world.sleeper();
	for (const [line, message] of [
		[`show ${pid}`, `cannot show ${pid}: cannot see it`],
		[`send --group TERM ${pid}`, `cannot send to the process group of ${pid}: cannot see its process group`],
	] as const)
		assertFails(await world.shell(withoutProc(`ipc-signal ${line}`)), 1, `ipc-signal: ${message}: ${unmounted}\n`);
	const receiver = await world.receiver('wait', 'USR1', '--name', 'named');
	assertFails(
		await world.shell(withoutProc('ipc-signal send USR1 @named')),
		1,
		`ipc-signal: cannot send USR1 to @named: cannot see process ${receiver.pid}, which has that name: ${unmounted}\n`,
	);
	assert.ok(isAlive(pid) && isAlive(receiver.pid));
	assertDone(await world.shell(withoutProc(`ipc-signal send TERM ${pid}`)), '');
});

test('without /proc a holder of a semaphore that lives is not said to have ended', needsMounts, async (t) => {
	const world = new SemaphoreWorld(t);
	const name = world.name();
	assertDone(await world.run('ipc-sem', ['create', name]), '');
	const holder = await world.start('ipc-sem', ['run', name, '--', 'sh', '-c', 'echo runs; sleep 60']).printed('runs\n');
	const [status] = rows(await world.shell(withoutProc(`ipc-sem stat ${name} --json`)));
	assert.deepEqual(
		status.holders.map(({pid, state}: {pid: number; state: string}) => [pid, state]),
		[[holder.pid, 'held']],
	);
	assertDone(await world.shell(withoutProc(`ipc-sem reap ${name}`)), '');
	assert.equal(rows(await world.run('ipc-sem', ['stat', name, '--json']))[0].value, 0);
});

test('without /proc ipc-pipe run --timeout ends its commands, and says what it cannot see', needsMounts, async (t) => {
	const world = new World(t);
	assertFails(
		await world.shell(withoutProc(`ipc-pipe run --timeout 200ms -- sleep 60 "|" cat`)),
		124,
		`ipc-pipe: cannot see what the commands have started, which is left running: ${unmounted}\n`,
	);
});

test('without /proc queues are made, used and listed; the limits cannot be read', needsMounts, async (t) => {
	const world = new QueueWorld(t);
	const [name, other] = [world.name(), world.name()];
	const line = `ipc-mq create ${name} --maxmsg 3 --msgsize 9 && ipc-mq send ${name} a && ipc-mq recv ${name} && ipc-mq list --no-headings -o name,open | grep -c "^${name}  *[?]$"`;
	assertDone(await world.shell(withoutProc(line)), 'a\n1\n');
	// The kernel has defaults for both or for neither.
	assertDone(await world.shell(withoutProc(`ipc-mq create ${other}`)), '');
	assert.match(await world.stranger('attributes', other), /^10 8192 0/);
	assertFails(
		await world.shell(withoutProc(`ipc-mq rm ${other}; ipc-mq create ${other} --maxmsg 3`)),
		1,
		`ipc-mq: cannot create '${other}': the default size of a message cannot be read (there is no /proc/sys/fs/mqueue)\n`,
	);
	assertFails(
		await world.shell(withoutProc('ipc-mq limits')),
		1,
		`ipc-mq: cannot read the limit fs.mqueue.msg_max: no such file or folder (${unmounted})\n`,
	);
});

test('without /proc what needs it says so', needsMounts, async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment(100);
	await world.pipe('create', 'fifo');
	for (const [line, message] of [
		[`ipc-shm update ${name} -- cat`, `cannot update '${name}'`],
		['ipc-sock connect socket', "cannot connect to 'socket'"],
	] as const) {
		if (line.startsWith('ipc-sock')) await world.start('ipc-sock', ['listen', 'socket', '--ready-fd', '3']).ready();
		const ended = await world.shell(withoutProc(line));
		assertFails(
			ended,
			line.endsWith('cat') ? 125 : 1,
			new RegExp(`: ${message}: no such file or folder \\(${unmounted}\\)\n$`),
		);
	}
	assertFails(
		await world.shell(withoutProc('ipc-sock listen fresh')),
		1,
		`ipc-sock: cannot listen on 'fresh': no such file or folder (${unmounted})\n`,
	);
	assert.deepEqual(world.leftovers(), ['fifo', 'socket']);
	assertDone(await world.shell(withoutProc('ipc-pipe recv fifo & echo line | ipc-pipe send fifo; wait')), 'line\n');
	const fresh = world.name();
	assertDone(
		await world.shell(withoutProc(`ipc-shm create ${fresh} --size 100 && ipc-shm read ${fresh} | wc -c`)),
		'100\n',
	);
});

test('without /proc ipc-sock wait asks a port itself whether anybody listens', needsMounts, async (t) => {
	const world = new World(t);
	const server = createServer((connection) => connection.destroy()).listen(0, '127.0.0.1');
	t.after(() => server.close());
	await once(server, 'listening');
	const {port} = server.address() as AddressInfo;
	assertDone(await world.shell(withoutProc(`ipc-sock wait tcp:127.0.0.1:${port} -n`)), '');
});

for (const hidepid of [1, 2])
	test(`with hidepid=${hidepid} segments that others may use are left alone`, needsMounts, async (t) => {
		const world = new SegmentWorld(t);
		const [open, own] = [world.segment(8192), world.segment(8192)];
		await world.shell(`chmod 666 ${world.at(open)}; chown ${anotherUser} ${world.at(open)} ${world.at(own)}`);
		await world.startStranger('shm-peer', 'map', open);
		const asUser = (line: string) => world.shell(withHiddenProc(`${asStranger} ${line}`, hidepid));
		const unseen = hidepid === 1 ? '[0-9]+ processes' : 'processes that /proc hides';
		const why = `its mode lets other users use it, and ${unseen} cannot be inspected \\(root can see more\\)`;
		const collected = await asUser('ipc-shm gc --dry-run');
		const ours = collected.stdout
			.toString()
			.split('\n')
			.filter((line) => line === own || line === open);
		assert.deepEqual([collected.status, ours], [0, [own]]);
		assert.match(collected.stderr, new RegExp(`^ipc-shm: kept '${open}': ${why}$`, 'm'));
		const status = rows(await asUser(`ipc-shm stat ${open} --json`))[0];
		assert.ok(status.unseen === null || (hidepid === 1 && status.unseen > 0), String(status.unseen));
		assertFails(
			await asUser(`ipc-shm resize ${open} 4K`),
			1,
			new RegExp(`^ipc-shm: cannot shrink '${open}': ${why} \\(--force shrinks it anyway\\)\n$`),
		);
		assertDone(await asUser(`ipc-shm resize ${own} 4K`), '');
		assert.deepEqual([world.contents(open).length, world.contents(own).length], [8192, 4096]);
		// Root sees everything all the same.
		const seen = rows(await world.shell(withHiddenProc(`ipc-shm stat ${open} --json`, hidepid)))[0];
		assert.equal(seen.users.length, 1);
		assert.notEqual(seen.unseen, null);
	});

test('with hidepid=2 a process of another user is not said to be missing', needsMounts, async (t) => {
	const world = new SignalWorld(t);
	const {pid} = world.sleeper();
	const asUser = (line: string) => world.shell(withHiddenProc(`${asStranger} ipc-signal ${line}`));
	assertFails(
		await asUser(`show ${pid}`),
		1,
		`ipc-signal: cannot show ${pid}: cannot see it: /proc hides it (hidepid)\n`,
	);
	const own = world.startOther('setpriv', [
		...asStranger.split(' ').slice(1),
		'bash',
		'-c',
		'sleep 60 & echo $!; wait',
	]);
	await own.printed('\n');
	const sent = await asUser(`send --tree TERM ${own.pid}`);
	assert.deepEqual(
		[sent.status, sent.stderr],
		[
			0,
			'ipc-signal: /proc hides processes of other users (hidepid): descendants among them, and theirs, get no signal\n',
		],
	);
	assert.equal((await own.end()).signal, 'SIGTERM');
	assert.ok(!isAlive(Number(own.output)));
});

test(
	'resize on a usual system: what processes of other users may map is made smaller only with --force',
	needsMounts,
	async (t) => {
		const world = new SegmentWorld(t);
		const name = world.segment(8192);
		await world.shell(`chmod 666 ${world.at(name)}; chown ${anotherUser} ${world.at(name)}`);
		await world.startStranger('shm-peer', 'map', name);
		assertFails(
			await world.shell(`${asStranger} ipc-shm resize ${name} 4K`),
			1,
			/cannot shrink .*: its mode lets other users use it, and [0-9]+ process(es)? cannot be inspected \(root can see more\) \(--force shrinks it anyway\)\n$/,
		);
		assert.equal(world.contents(name).length, 8192);
		assertDone(await world.shell(`${asStranger} ipc-shm resize ${name} 4K --force`), '');
	},
);
