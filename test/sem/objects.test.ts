import assert from 'node:assert/strict';
import {statSync} from 'node:fs';
import test from 'node:test';
import {needs} from '../support/needs.js';
import {fileOf, SemaphoreWorld} from '../support/semaphores.js';
import {until} from '../support/until.js';
import {anotherUser, asAnother, needsRoot} from '../support/users.js';
import {assertDone, assertFails} from '../support/world.js';

const parse = (line: Buffer | string | undefined) => JSON.parse(String(line));
const modeOf = (name: string) => (statSync(fileOf(name)).mode & 0o777).toString(8);
const mostUnits = 2 ** 31 - 1;

test('create makes semaphores of that value and mode, as a C program sees them', async (t) => {
	const world = new SemaphoreWorld(t);
	const [a, b, c] = [world.name(), world.name(), world.name()];
	assertDone(await world.sem('create', a, `/${b}`, '--value', '3', '-m', '640'), '');
	assertDone(await world.sem('create', c), '');
	assert.deepEqual([await world.value(a), await world.value(b), await world.value(c)], [3, 3, 1]);
	assert.deepEqual([modeOf(a), modeOf(b), modeOf(c)], ['640', '640', '600']);
});

test('create takes every value there can be, and no other', async (t) => {
	const world = new SemaphoreWorld(t);
	assert.equal(await world.value(await world.semaphore(0)), 0);
	assert.equal(await world.value(await world.semaphore(mostUnits)), mostUnits);
	const name = world.name();
	assertFails(
		await world.sem('create', name, '--value', '2147483648'),
		2,
		"ipc-sem: --value: '2147483648' is not a valid number: the maximum is 2147483647\nTry 'ipc-sem create --help'.\n",
	);
	assert.ok(!world.exists(name));
});

test('the umask applies to what is made', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = world.name();
	assertDone(await world.shell(`umask 077; ipc-sem create ${name} -m 666`), '');
	assert.equal(modeOf(name), '600');
});

test('create says when one is there, with its units, and --exclusive makes that an error; the others are made', async (t) => {
	const world = new SemaphoreWorld(t);
	const [a, b, c] = [await world.semaphore(5), world.name(), world.name()];
	const again = await world.sem('create', a, b, '--value', '2');
	assert.deepEqual(
		[again.status, again.stdout.toString(), again.stderr],
		[0, '', `ipc-sem: '${a}' already exists with 5 free units\n`],
	);
	assertFails(
		await world.sem('create', '-x', a, c, '--value', '2'),
		1,
		`ipc-sem: cannot create '${a}': it already exists\n`,
	);
	assert.deepEqual([await world.value(a), await world.value(b), await world.value(c)], [5, 2, 2]);
});

test('what a C program makes is as good as ours, and the other way round', async (t) => {
	const world = new SemaphoreWorld(t);
	const [theirs, ours] = [world.name(), await world.semaphore(2)];
	await world.stranger('create', theirs, '7');
	assertDone(await world.sem('value', theirs), '7\n');
	assertDone(await world.sem('wait', theirs), '');
	assert.equal(await world.value(theirs), 6);
	await world.stranger('wait', ours);
	assertDone(await world.sem('value', ours, '--json'), `{"name":"${ours}","value":1}\n`);
	await world.stranger('unlink', ours);
	assertDone(await world.sem('rm', theirs), '');
	assert.ok(!world.exists(ours) && !world.exists(theirs));
});

test('remove goes on past a failure and ends nonzero', async (t) => {
	const world = new SemaphoreWorld(t);
	const [a, b, nope] = [await world.semaphore(), await world.semaphore(), world.name()];
	assertFails(await world.sem('rm', a, nope, b), 1, `ipc-sem: cannot remove '${nope}': no such semaphore\n`);
	assert.ok(!world.exists(a) && !world.exists(b));
});

for (const verb of ['wait', 'post', 'run'] as const)
	test(`${verb} where there is none: says how to make one`, async (t) => {
		const world = new SemaphoreWorld(t);
		const name = world.name();
		assertFails(
			await world.sem(verb, name, ...(verb === 'run' ? ['--', 'true'] : [])),
			verb === 'run' ? 125 : 1,
			`ipc-sem: cannot open '${name}': no such semaphore (make it with: ipc-sem create ${name})\n`,
		);
		assert.ok(!world.exists(name));
	});

for (const verb of ['value', 'stat'] as const)
	test(`${verb} where there is none`, async (t) => {
		const world = new SemaphoreWorld(t);
		const name = world.name();
		assertFails(await world.sem(verb, name), 1, `ipc-sem: cannot open '${name}': no such semaphore\n`);
	});

test('stat tells all there is, and takes nothing', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(2);
	const owner = (await world.shell('id -un')).stdout.toString().trim();
	assertDone(
		await world.sem('stat', name),
		`name:    ${name}\nvalue:   2 free\nwaiters: 0\nmode:    0600\nowner:   ${owner}\nholders: none known (units taken by other programs do not show)\n`,
	);
	const ended = await world.sem('stat', `/${name}`, '--json');
	assertDone(ended);
	assert.deepEqual(parse(ended.stdout), {name, value: 2, waiters: 0, mode: '0600', owner, holders: []});
	await world.assertAtRest(name, 2);
});

test('stat shows who holds, since when and with which command, and how many wait', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(2);
	const before = Date.now();
	const [first, second] = [await world.holding(name), await world.holding(name)];
	const stranger = await world.startStranger(['timedwait', name, '20000']).printed('waits');
	await until('both wait', async () => parse((await world.sem('stat', name, '--json')).stdout).waiters === 1);
	const {value, holders} = parse((await world.sem('stat', name, '--json')).stdout);
	assert.equal(value, 0);
	assert.deepEqual(
		holders.map(({pid, uid, command, state}: Record<string, unknown>) => ({pid, uid, command, state})),
		[first, second].map(({pid}) => ({
			pid,
			uid: process.getuid?.(),
			command: 'sh -c echo runs; read line; exit 0',
			state: 'held',
		})),
	);
	for (const {since} of holders) {
		assert.match(since, /^\d{4}-\d\d-\d\dT[\d:.]{12}Z$/);
		assert.ok(Date.parse(since) >= before - 1 && Date.parse(since) <= Date.now());
	}
	const text = (await world.sem('stat', name)).stdout.toString();
	assert.match(text, /^waiters: 1$/m);
	assert.match(
		text,
		new RegExp(`^holders: ${first.pid} sh -c echo runs; read line; exit 0, for \\d+(ms|\\.\\ds)$`, 'm'),
	);
	assert.match(text, new RegExp(`^ {9}${second.pid} sh -c `, 'm'));
	assertDone(await first.end());
	assertDone(await stranger.end(), 'waits\ntook\n');
	assertDone(await second.end());
	await world.assertAtRest(name, 1);
});

test('a long command, and one with control characters, are shown as far as there is room, on one line', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(2);
	const word = `\n\x1b[31m${'ä'.repeat(60)}`;
	const holder = await world.startSem('run', name, '--', 'sh', '-c', 'echo runs; read line', word).printed('runs\n');
	const command = (await world.holders(name))[0]?.command ?? '';
	assert.ok(`sh -c echo runs; read line ${word}`.startsWith(command), command);
	assert.ok(Buffer.byteLength(command) > 80);
	const text = (await world.sem('stat', name)).stdout.toString();
	assert.equal(text.split('\n').length, 7);
	assert.ok(!text.includes('\x1b'));
	await holder.end();
});

test('list shows each semaphore once, as a table and as JSON', async (t) => {
	const world = new SemaphoreWorld(t);
	const [a, b] = [await world.semaphore(3), await world.semaphore(1)];
	const holder = await world.holding(b);
	const ours = (text: Buffer) =>
		text
			.toString()
			.split('\n')
			.filter((line) => line.includes(a) || line.includes(b));
	const table = await world.sem('list');
	assertDone(table);
	assert.match(table.stdout.toString(), /^NAME +VALUE +WAITERS +MODE +OWNER +HOLDERS\n/);
	assert.match(
		ours(table.stdout).join('\n'),
		new RegExp(`^${a} +3 +0 +0600 +\\S+ +-\n${b} +0 +0 +0600 +\\S+ +${holder.pid}$`),
	);
	const chosen = await world.sem('ls', '--no-headings', '-o', 'value,name');
	assert.deepEqual(
		ours(chosen.stdout).map((line) => line.trim().split(/ +/)),
		[
			['3', a],
			['0', b],
		],
	);
	const rows = ours((await world.sem('list', '--json')).stdout).map(parse);
	assert.deepEqual(
		rows.map(({name, value, holders}) => [name, value, holders.map(({pid}: {pid: number}) => pid)]),
		[
			[a, 3, []],
			[b, 0, [holder.pid]],
		],
	);
	assertFails(await world.sem('list', '-o', 'colour'), 2, /^ipc-sem: unknown column 'colour' \(columns: name, value, /);
	await holder.end();
});

test('watch prints a JSON line per change, also when it is removed', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	const watcher = await world.startSem('watch', name, '--count', '3', '-i', '10ms').printed('\n');
	await world.stranger('post', name);
	await watcher.printed('"value":2');
	await world.sem('rm', name);
	const ended = await watcher.end();
	assertDone(ended);
	const lines = ended.stdout.toString().trim().split('\n').map(parse);
	assert.deepEqual(
		lines.map(({value, removed}) => [value, removed]),
		[
			[1, undefined],
			[2, undefined],
			[undefined, true],
		],
	);
	assert.deepEqual(lines[2], {name, removed: true});
});

test('watch draws in place on a terminal, with the level over time', needs('script'), async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(4);
	const {status, stdout} = await world.shell(`script -qec 'ipc-sem watch ${name} --count 1' /dev/null`, {
		env: {TERM: 'xterm'},
	});
	assert.equal(status, 0);
	assert.match(stdout.toString(), /value: +4 free/);
	assert.match(stdout.toString(), /level: +[▁▂▃▄▅▆▇█]/);
});

test('post to a semaphore that has the most units there can be says so, and posts none of them', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(mostUnits - 2);
	assertFails(
		await world.sem('post', name, '--count', '5'),
		1,
		`ipc-sem: cannot post 5 units to '${name}': it has 2147483645, and the maximum is 2147483647\n`,
	);
	assertDone(await world.sem('post', name, '--count', '2'), '');
	assertFails(
		await world.sem('post', name),
		1,
		`ipc-sem: cannot post 1 unit to '${name}': it has 2147483647, and the maximum is 2147483647\n`,
	);
	assert.equal(await world.value(name), mostUnits);
});

test('post adds all units in one step: no process sees some of them', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(0);
	const posting = world.startSem('post', name, '--count', String(mostUnits));
	let seen = 0;
	await until('there are units', async () => {
		seen = await world.value(name);
		return seen > 0;
	});
	assert.equal(seen, mostUnits);
	assertDone(await posting.end(), '');
});

test('what is not a name for a semaphore is used wrongly, and nothing is done with the others', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = world.name();
	const hint = "Try 'ipc-sem create --help'.\n";
	for (const [text, why] of [
		['a/b', "invalid semaphore name 'a/b': '/' is not allowed"],
		['@a', "invalid semaphore name '@a': '@' is not allowed"],
		['', "invalid name '': it is empty"],
		['/', "invalid name '/': nothing follows the slash"],
		['..', "invalid name '..': '..' is a folder"],
		['nats://host/@a', "invalid semaphore name 'nats://host/@a': '@' is not allowed"],
		['x'.repeat(252), `invalid semaphore name '${'x'.repeat(252)}': it has 252 bytes, the maximum is 251`],
		['a\nb', "invalid name 'a\\nb': it contains a control character"],
	] as const)
		assertFails(await world.sem('create', name, text), 2, `ipc-sem: ${why}\n${hint}`);
	assert.ok(!world.exists(name));
});

test('the longest name there can be is one', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = world.name();
	const long = name + 'ä'.repeat(Math.floor((251 - name.length) / 2));
	t.after(() => world.sem('rm', long));
	assertDone(await world.sem('create', long, '--value', '4'), '');
	assertDone(await world.sem('run', long, '--', 'ipc-sem', 'value', long), '3\n');
	assert.equal(await world.stranger('value', long), '4\n');
});

test('another user gets permission denied from every verb, and is told whose it is', needsRoot, async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(3);
	const owner = (await world.shell('id -un')).stdout.toString().trim();
	const denied = `cannot open '${name}': permission denied: it belongs to ${owner}, with mode 0600`;
	for (const [line, status] of [
		[`wait ${name}`, 1],
		[`post ${name}`, 1],
		[`post ${name} --create`, 1],
		[`value ${name}`, 1],
		[`stat ${name}`, 1],
		[`watch ${name}`, 1],
		[`reap ${name}`, 1],
		[`run ${name} -- true`, 125],
	] as const)
		assertFails(await world.shell(`${asAnother} ipc-sem ${line}`), status, `ipc-sem: ${denied}\n`);
	const batch = await world.shell(`echo post ${name} | ${asAnother} ipc-sem batch`);
	assert.deepEqual([batch.status, batch.stdout.toString(), batch.stderr], [1, `error ${denied}\n`, '']);
	assertFails(
		await world.shell(`${asAnother} ipc-sem rm ${name}`),
		1,
		`ipc-sem: cannot remove '${name}': permission denied: it belongs to ${owner}, with mode 0600\n`,
	);
	const list = await world.shell(`${asAnother} ipc-sem list`);
	assert.equal(list.status, 0);
	assert.ok(!list.stdout.toString().includes(name));
	await world.assertAtRest(name, 3);
});

test('another user who may only read can look, and take nothing', needsRoot, async (t) => {
	const world = new SemaphoreWorld(t);
	const name = world.name();
	assertDone(await world.shell(`umask 0; ipc-sem create ${name} --value 2 -m 644`));
	const holder = await world.holding(name);
	assertDone(await world.shell(`${asAnother} ipc-sem value ${name}`), '1\n');
	const {holders} = parse((await world.shell(`${asAnother} ipc-sem stat ${name} --json`)).stdout);
	assert.deepEqual(
		holders.map(({pid, state}: {pid: number; state: string}) => [pid, state]),
		[[holder.pid, 'held']],
	);
	assertFails(
		await world.shell(`${asAnother} ipc-sem post ${name}`),
		1,
		/permission denied: it belongs to \S+, with mode 0644\n$/,
	);
	await holder.end();
	await world.assertAtRest(name, 2);
});

test('another user whom the mode lets may take and give, and their holders are told apart', needsRoot, async (t) => {
	const world = new SemaphoreWorld(t);
	const name = world.name();
	assertDone(await world.shell(`umask 0; ipc-sem create ${name} --value 2 -m 666`));
	assertDone(await world.shell(`${asAnother} ipc-sem wait ${name} && ${asAnother} ipc-sem post ${name}`), '');
	const theirs = await world
		.startOther('bash', ['-c', `exec ${asAnother} ipc-sem run ${name} -- sh -c 'echo runs; read line; exit 0'`])
		.printed('runs\n');
	assert.deepEqual(
		(await world.holders(name)).map(({pid, uid, state}) => [pid, uid, state]),
		[[theirs.pid, anotherUser, 'held']],
	);
	theirs.killGroup();
	await theirs.end();
	assertDone(await world.sem('reap', name), `${name} 1\n`);
	await world.assertAtRest(name, 2);
});
