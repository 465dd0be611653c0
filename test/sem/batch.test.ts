import assert from 'node:assert/strict';
import test from 'node:test';
import {fc} from '../support/property.js';
import {randomBelow} from '../support/random.js';
import {SemaphoreWorld, untilWaiting, waitersOf} from '../support/semaphores.js';
import {assertDone, assertFails} from '../support/world.js';

test('an answer a line, for every command and its other names', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	const input = [
		`wait ${name}`,
		`acquire ${name} 0`,
		`wait ${name} 20ms`,
		'# a comment',
		'',
		`post ${name}`,
		`  release\t/${name}   2  `,
		`notify ${name}`,
		`value ${name}`,
		`acquire ${name} 2s`,
		`value ${name}`,
	];
	assertDone(
		await world.run('ipc-sem', ['batch'], {input: input.join('\n')}),
		'ok\nbusy\ntimeout\nok\nok\nok\n4\nok\n3\n',
	);
	await world.assertAtRest(name, 3);
});

test('a mistake is an answer, the next line is another, and the status is 1', async (t) => {
	const world = new SemaphoreWorld(t);
	const [name, nope] = [await world.semaphore(2 ** 31 - 2), world.name()];
	const input = [
		'frobnicate x',
		'wait',
		`value ${name} x`,
		`wait ${name} 1x`,
		`wait ${name} 1s 2`,
		`post ${name} 0`,
		'post a/b',
		`value ${nope}`,
		`post ${name} 2`,
		`value ${name}`,
	];
	const {status, stdout, stderr} = await world.run('ipc-sem', ['batch'], {input: `${input.join('\n')}\n`});
	assert.deepEqual([status, stderr], [1, '']);
	assert.deepEqual(stdout.toString().split('\n'), [
		"error unknown command 'frobnicate' (commands: wait, post, value)",
		'error NAME is missing: wait NAME',
		"error 'x' is one word too many",
		"error '1x' is not a duration: unknown unit 'x' (use ms, s, m, h or d)",
		"error '2' is one word too many",
		"error '0' is not a valid number: the minimum is 1",
		"error invalid semaphore name 'a/b': '/' is not allowed",
		`error cannot open '${nope}': no such semaphore (make it with: ipc-sem create ${nope})`,
		`error cannot post 2 units to '${name}': it has 2147483646, and the maximum is 2147483647`,
		'2147483646',
		'',
	]);
});

test('as a coprocess: each answer comes before the next line is needed, also while it waits', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	const batch = world.startSem('batch');
	batch.stdin.write(`wait ${name}\n`);
	await batch.printed('ok\n');
	batch.stdin.write(`value ${name}\nwait ${name}\nvalue ${name}\n`);
	// It answers what it can before it waits.
	await batch.printed('ok\n0\n');
	await untilWaiting(name);
	await world.stranger('post', name);
	await batch.printed('ok\n0\nok\n0\n');
	assertDone(await batch.end(), 'ok\n0\nok\n0\n');
	await world.assertAtRest(name, 0);
});

test('a semaphore that is removed and made again between two lines: the new one is meant', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	const batch = world.startSem('batch');
	batch.stdin.write(`value ${name}\n`);
	await batch.printed('1\n');
	assertDone(await world.sem('rm', name), '');
	batch.stdin.write(`post ${name}\n`);
	await batch.printed('no such semaphore');
	assertDone(await world.sem('create', name, '--value', '5'), '');
	batch.stdin.write(`post ${name}\nvalue ${name}\n`);
	await batch.printed('ok\n6\n');
	assert.equal((await batch.end()).status, 1);
	await world.assertAtRest(name, 6);
});

test('the reader of the answers goes while it waits: it ends by SIGPIPE, and takes nothing', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(0);
	const {stdout, stderr} = await world.shell(
		`mkfifo in; exec 8<>in; echo 'wait ${name} 250s' >&8; { ipc-sem batch <in; echo "status $?" >&2; } | true`,
		{cwd: world.scratch},
	);
	assert.deepEqual([stdout.toString(), stderr], ['', 'status 141\n']);
	assert.equal(waitersOf(name), 0);
	assert.equal(await world.value(name), 0);
});

for (const signal of ['SIGTERM', 'SIGINT'] as const)
	test(`${signal} while it waits ends it by that signal, and no process stays counted`, async (t) => {
		const world = new SemaphoreWorld(t);
		const name = await world.semaphore(0);
		const batch = world.startSem('batch');
		batch.stdin.write(`value ${name}\nwait ${name}\n`);
		await untilWaiting(name);
		batch.kill(signal);
		const ended = await batch.end();
		assert.deepEqual([ended.signal, ended.stdout.toString(), ended.stderr], [signal, '0\n', '']);
		await world.assertAtRest(name, 0);
	});

test('SIGTERM after a wait, while it reads, ends it by that signal', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(0);
	const batch = world.startSem('batch');
	batch.stdin.write(`wait ${name} 10ms\n`);
	await batch.printed('timeout\n');
	batch.kill();
	const closed = batch.closed.then(() => true);
	assert.ok(await closed);
	assert.equal(batch.child.signalCode, 'SIGTERM');
});

test('a line that is too long, and a full stdout', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	const {status, stdout, stderr} = await world.run('ipc-sem', ['batch'], {
		input: `post ${name}\n${'x'.repeat(60_000)}`,
	});
	// The answers to what was done before are there.
	assert.deepEqual([status, stdout.toString(), stderr], [1, 'ok\nerror the line is longer than 4096 bytes\n', '']);
	assertFails(
		await world.shell(`echo value ${name} | ipc-sem batch >/dev/full`),
		1,
		'ipc-sem: cannot write to stdout: no space left on the device\n',
	);
});

test('ten thousand lines about a few semaphores or many: every answer is that of a model', async (t) => {
	const world = new SemaphoreWorld(t);
	for (const count of [3, 20]) {
		const values = new Map<string, number>();
		for (let i = 0; i < count; i++) values.set(await world.semaphore(0), 0);
		const names = [...values.keys()];
		const lines: string[] = [];
		const answers: string[] = [];
		for (let i = 0; i < 5_000; i++) {
			const name = names[randomBelow(count)] as string;
			const value = values.get(name) as number;
			const [line, answer, next] = [
				[`post ${name}`, 'ok', value + 1],
				[`post ${name} 2`, 'ok', value + 2],
				[`wait ${name} 0`, value > 0 ? 'ok' : 'busy', Math.max(0, value - 1)],
				[`acquire\t${name} 0`, value > 0 ? 'ok' : 'busy', Math.max(0, value - 1)],
				[`value ${name}`, String(value), value],
			][randomBelow(5)] as [string, string, number];
			lines.push(line);
			answers.push(answer);
			values.set(name, next);
		}
		const {status, stdout, stderr} = await world.run('ipc-sem', ['batch'], {input: `${lines.join('\n')}\n`});
		assert.deepEqual([status, stderr], [0, '']);
		assert.ok(stdout.toString() === `${answers.join('\n')}\n`, 'an answer differs');
		for (const [name, value] of values) assert.equal(await world.value(name), value);
	}
});

/** A wait with a time of more than nothing waits for nothing instead. */
function withLimit(line: string): string {
	const [word, name = '', time = '0', ...rest] = line.trim().split(/\s+/);
	return [word, name, /^[.0-9]/.test(time) && !/^\.?0*(ms|s|m|h|d)?$/.test(time) ? '1ms' : time, ...rest].join(' ');
}

test('whatever the lines hold, each that is none or a comment has no answer, every other one has one', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(3);
	const word = fc.oneof(
		fc.constantFrom(
			'wait',
			'post',
			'value',
			'acquire',
			'release',
			'notify',
			'POST',
			'#',
			'-1',
			'0',
			'1',
			'0ms',
			'1ms',
			'.',
			'..',
			'/',
			'@a',
		),
		fc.constant(name),
		fc.string({maxLength: 12}),
		fc.string({unit: 'binary', maxLength: 6}),
	);
	const line = fc.array(word, {maxLength: 5}).map((words) => words.join(' ').replaceAll('\n', ' '));
	await fc.assert(
		fc.asyncProperty(fc.array(line, {minLength: 1, maxLength: 60}), async (lines) => {
			// What would wait has a limit.
			const bounded = lines.map((text) => (/^\s*(wait|acquire)\s/.test(text) ? withLimit(text) : text));
			const {status, signal, stdout, stderr} = await world.run('ipc-sem', ['batch'], {
				input: `post ${name}\n${bounded.join('\n')}\n`,
			});
			assert.ok(signal === null && (status === 0 || status === 1), `${status} ${signal} ${stderr}`);
			assert.equal(stderr, '');
			const answers = stdout.toString().split('\n').slice(0, -1);
			const asked = bounded.filter((text) => text.trim() !== '' && !text.trim().startsWith('#')).length;
			assert.equal(answers.length, asked + 1, stdout.toString());
			for (const answer of answers) assert.match(answer, /^(ok|busy|timeout|[0-9]+|error .+)$/);
			assert.equal(status, answers.some((answer) => answer.startsWith('error ')) ? 1 : 0);
		}),
		{numRuns: 15},
	);
});

test('words are told apart by spaces and tabs alone, and what is answered holds no control characters', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = `${await world.semaphore(3)}\u00a0x`;
	assertDone(await world.sem('create', name, '--value', '5'), '');
	t.after(() => world.sem('remove', name));
	const {stdout} = await world.run('ipc-sem', ['batch'], {
		input: ` \tvalue\t ${name} \t\nvalue \x1b[31mx\nvalue a\0b\nfrob\x07nicate x\n`,
	});
	assert.deepEqual(stdout.toString().split('\n'), [
		'5',
		"error invalid name '\\e[31mx': it contains a control character",
		"error invalid name 'a\\x00b': it contains a control character",
		"error unknown command 'frob\\x07nicate' (commands: wait, post, value)",
		'',
	]);
});

test('the process that reads the answers leaves: it ends at once, and does not wait for the next line', async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(3);
	const {stdout, stderr} = await world.shell(
		`mkfifo in; exec 8<>in; echo value ${name} >&8; { ipc-sem batch <in; echo "status $?" >&2; } | head -n 1`,
		{cwd: world.scratch},
	);
	assert.deepEqual([stdout.toString(), stderr], ['3\n', 'status 141\n']);
});
