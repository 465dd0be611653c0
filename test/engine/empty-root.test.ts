import assert from 'node:assert/strict';
import {spawnSync} from 'node:child_process';
import {copyFileSync, existsSync, linkSync, mkdirSync, readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type TestContext} from 'node:test';
import {needsUserNamespaces} from '../support/namespaces/needs-namespaces.js';
import type {Ended, Running} from '../support/run.js';
import {launcher, root} from '../support/run.js';
import {runtime} from '../support/runtime.js';
import {uniqueName} from '../support/unique-name.js';
import {assertDone, assertFails, World} from '../support/world.js';

const executable = join(root, 'dist', 'ipc');
const needs = {skip: runtime === 'node' ? 'needs the executable' : needsUserNamespaces.skip};

/**
 * In a user namespace even root has the limit that it had when it made the namespace, and all queues of the user count: those of
 * the tests that run beside this one, too.
 */
const {status: isRefused} = spawnSync('prlimit', ['--msgqueue=unlimited', 'true'], {stdio: 'ignore'});
const queueLimit = isRefused ? '--core=0' : '--msgqueue=unlimited';

/** A root folder with the executable under its six names, a folder for objects, and nothing else: no /proc, no /tmp, no library. */
class EmptyRoot extends World {
	readonly top = this.file('root');

	constructor(t: TestContext) {
		super(t);
		mkdirSync(this.top);
		copyFileSync(executable, join(this.top, 'ipc-sem'));
		for (const name of ['mq', 'shm', 'signal', 'pipe', 'sock'])
			linkSync(join(this.top, 'ipc-sem'), join(this.top, `ipc-${name}`));
		for (const folder of ['dev', 'dev/shm', 'run']) mkdirSync(join(this.top, folder));
	}

	begin(...words: string[]): Running {
		return this.startOther('prlimit', [queueLimit, 'unshare', '-r', 'chroot', this.top, ...words], {
			env: {IPC_RUNTIME_DIR: '/run/ipc'},
		});
	}

	inside(...words: string[]): Promise<Ended> {
		return this.begin(...words).end();
	}

	/** The names in a folder of it. */
	names(folder: string): string[] {
		const path = join(this.top, folder);
		return existsSync(path) ? readdirSync(path) : [];
	}

	bytes(path: string): Buffer {
		return readFileSync(join(this.top, path));
	}
}

test('in an empty root folder: semaphores', needs, async (t) => {
	const top = new EmptyRoot(t);
	assertDone(await top.inside('/ipc-sem', 'create', 'jobs', '--value', '1'), '');
	assert.equal(top.names('dev/shm').length, 1);
	assertDone(await top.inside('/ipc-sem', 'run', 'jobs', '--', '/ipc-sem', 'value', 'jobs'), '0\n');
	assertDone(await top.inside('/ipc-sem', 'wait', 'jobs'), '');
	assertFails(await top.inside('/ipc-sem', 'wait', 'jobs', '-n'), 3, '');
	const waiting = await top.begin('/ipc-sem', 'wait', 'jobs', '--ready-fd', '3').ready();
	assertDone(await top.inside('/ipc-sem', 'post', 'jobs'), '');
	assertDone(await waiting.end(), '');
	assertDone(await top.inside('/ipc-sem', 'remove', 'jobs'), '');
	assert.deepEqual(top.names('dev/shm'), []);
});

test('in an empty root folder: a queue', needs, async (t) => {
	const top = new EmptyRoot(t);
	const name = uniqueName();
	assertDone(await top.inside('/ipc-mq', 'create', name), '');
	t.after(() => top.run('ipc-mq', ['remove', name]));
	assertDone(await top.inside('/ipc-mq', 'send', name, 'low', '-p', '1'), '');
	assertDone(await top.inside('/ipc-mq', 'send', name, 'high', '-p', '2'), '');
	assertDone(await top.inside('/ipc-mq', 'recv', name, '--all'), 'high\nlow\n');
	const other = uniqueName();
	assertFails(
		await top
			.startOther('prlimit', ['--msgqueue=1', 'unshare', '-r', 'chroot', top.top, '/ipc-mq', 'create', other])
			.end(),
		1,
		`ipc-mq: cannot create '${other}': all your queues together may take 1 bytes (RLIMIT_MSGQUEUE; see: ulimit -q)\n`,
	);
});

test('in an empty root folder: shared memory', needs, async (t) => {
	const top = new EmptyRoot(t);
	assertDone(await top.inside('/ipc-shm', 'create', 'state', '--size', '4K'), '');
	assertDone(await top.inside('/ipc-shm', 'add', 'state', '5', '--type', 'u32'), '0 5\n');
	assertDone(await top.inside('/ipc-shm', 'get', 'state', '--type', 'u32'), '5\n');
	assert.equal(top.bytes('dev/shm/state').readUInt32LE(), 5);
	assertDone(await top.inside('/ipc-shm', 'remove', 'state'), '');
});

test('in an empty root folder: signals', needs, async (t) => {
	const top = new EmptyRoot(t);
	assertDone(await top.inside('/ipc-signal', 'run', '--', '/ipc-signal', 'list', '15'), 'TERM\n');
	assertFails(await top.inside('/ipc-signal', 'run', '--', '/missing'), 127, /not found\n$/);
	const waiting = await top.begin('/ipc-signal', 'wait', 'RTMIN', '--ready-fd', '3').ready();
	assertDone(await top.inside('/ipc-signal', 'send', 'RTMIN', String(waiting.pid), '--value', '7'), '');
	const {status, stdout} = await waiting.end();
	assert.equal(status, 0);
	assert.match(stdout.toString(), /^RTMIN [0-9]+ [0-9]+ 7\n$/);
});

test('in an empty root folder: a FIFO', needs, async (t) => {
	const top = new EmptyRoot(t);
	assertDone(await top.inside('/ipc-pipe', 'create', 'stream'), '');
	const receiving = top.begin('/ipc-pipe', 'recv', 'stream');
	const sending = top.begin('/ipc-pipe', 'send', 'stream');
	sending.stdin.end('through it\n');
	assertDone(await sending.end(), '');
	assertDone(await receiving.end(), 'through it\n');
	assertDone(await top.inside('/ipc-pipe', 'remove', 'stream'), '');
	assert.deepEqual(top.names('run/ipc'), []);
});

test('in an empty root folder, what needs Node says what is missing', needs, async (t) => {
	const top = new EmptyRoot(t);
	const why = 'this executable does not know its own path (mount /proc)|is not in the folder of its package';
	assertFails(await top.inside('/ipc-sock', 'relay', 'a', 'b'), 1, new RegExp(why));
	assert.ok(existsSync(launcher('ipc-sock')));
});
