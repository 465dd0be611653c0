import assert from 'node:assert/strict';
import test from 'node:test';
import {QueueWorld} from '../support/queues.js';
import {onlyOnSmall} from '../support/runtime.js';
import {SemaphoreWorld} from '../support/semaphores.js';
import {assertDone, assertFails} from '../support/world.js';

test('a standard stream that is closed is an error, and no file of ours takes its place', onlyOnSmall, async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	assertFails(await world.shell('ipc-signal list >&-'), 1, 'ipc-signal: cannot write to stdout: it is closed\n');
	assertFails(await world.shell('ipc-sem stat ipc-test-missing 2>&-'), 1, '');
	assertDone(
		await world.shell(`ipc-sem run ${name} -- readlink /proc/self/fd/0 /proc/self/fd/2 <&- 2>&-`),
		'/dev/null\n/dev/null\n',
	);
});

test('a standard stream that is closed stays so where the executable becomes Node', onlyOnSmall, async (t) => {
	const world = new SemaphoreWorld(t);
	assertFails(await world.shell('ipc-sem batch <&-'), 1, 'ipc-sem: cannot read stdin: it is not open for reading\n');
	assertFails(await world.shell('echo post | ipc-sem batch >&-'), 1, 'ipc-sem: cannot write to stdout: it is closed\n');
	assertFails(await world.shell('ipc-sem batch <&- 2>&-'), 1, '');
	const forced = 'IPC_RUNTIME=node ipc-signal list 15 >&-';
	assertFails(await world.shell(forced), 1, 'ipc-signal: cannot write to stdout: it is closed\n');
});

test('a command that is run has the dispositions we were started with', onlyOnSmall, async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	const line = `ipc-sem run ${name} -- grep SigIgn /proc/self/status`;
	assertDone(await world.shell(line), 'SigIgn:\t0000000000000000\n');
	assertDone(await world.shell(`trap '' HUP PIPE; ${line}`), 'SigIgn:\t0000000000001001\n');
});

test('JSON that is nested too deep for a small stack is an error', onlyOnSmall, async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	const deep = `printf '{"data":"x","y":%s' "$(head -c 60000 /dev/zero | tr '\\0' '[')"`;
	for (const kibibytes of [8192, 1024, 256])
		assertFails(
			await world.shell(`${deep} | (ulimit -s ${kibibytes}; exec ipc-mq send ${name} --json)`),
			1,
			'ipc-mq: cannot send record 1 of stdin: it is not JSON (0 messages sent)\n',
		);
});

test('with fewer descriptors than it waits for a verb names the limit', onlyOnSmall, async (t) => {
	const world = new SemaphoreWorld(t);
	const ended = await world.shell('echo 1 | (ulimit -n 3; exec ipc-signal send 0)');
	assertFails(ended, 1, /^ipc-signal: poll: too many open files in this process [^\n]*\n$/);
});

test('a command that is run has the other descriptors', onlyOnSmall, async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	assertDone(await world.shell(`ipc-sem run ${name} -- bash -c 'cat <&9' 9<<<text`), 'text\n');
});

test('without Node on PATH, what needs it says so and what to do', onlyOnSmall, async (t) => {
	const world = new SemaphoreWorld(t);
	const ended = await world.shell('sock=$(command -v ipc-sock); PATH=/nonexistent $sock relay a b');
	assert.match(
		ended.stderr,
		/^ipc-sock: this use of relay needs Node, but 'node' is not in PATH \(install Node 20 or later\)\n$/,
	);
	assert.equal(ended.status, 1);
});

test('signals are received on a small stack', onlyOnSmall, async (t) => {
	const world = new SemaphoreWorld(t);
	for (const words of ['wait USR1 --timeout 0.01', 'on USR1 --timeout 0.01 -- true'])
		assertFails(await world.shell(`ulimit -s 64; exec ipc-signal ${words}`), 124, '');
});
