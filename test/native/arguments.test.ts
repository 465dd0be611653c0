import assert from 'node:assert/strict';
import {closeSync, writeFileSync} from 'node:fs';
import test from 'node:test';
import {isKernelError, native, O_NONBLOCK, O_RDONLY, O_RDWR} from '../../src/native/index.js';
import {fc} from '../support/property.js';
import {uniqueName} from '../support/unique-name.js';

/** Those whose purpose is to end or to hold up the process, which this one is not to be. */
const dangerous = new Set([
	'exit',
	'raiseSignal',
	'catchSignals',
	'defaultSignal',
	'setChildSubreaper',
	'startWatchdog',
	'unlinkat',
	'pumpLinks',
	// A user has few of them, for all tests that run at the same time.
	'inotifyInit',
]);

test('whatever is passed, the answer is a value or an error, never the end of the process', () => {
	const anything = fc.oneof(
		fc.constantFrom(
			undefined,
			null,
			true,
			Number.NaN,
			Number.POSITIVE_INFINITY,
			-0.5,
			{},
			[],
			'a\0b',
			'',
			2n ** 70n,
			Symbol('x'),
			() => {},
		),
		fc.constantFrom(
			new Uint8Array(3),
			new Int32Array(2),
			new Float64Array(1),
			new ArrayBuffer(1),
			new DataView(new ArrayBuffer(1)),
		),
	);
	for (const [name, call] of Object.entries(native).filter(([key]) => !dangerous.has(key))) {
		fc.assert(
			fc.property(fc.array(anything, {maxLength: 8}), (list) => {
				try {
					(call as (...values: unknown[]) => unknown)(...list);
				} catch (error) {
					assert.ok(
						error instanceof TypeError || error instanceof RangeError || isKernelError(error),
						`${name}: ${error}`,
					);
				}
			}),
			{numRuns: 200},
		);
	}
});

test('a flag is a boolean: a number is refused', () => {
	for (const flag of [0, 1, undefined, 'true'])
		assert.throws(() => native.shmMap(0, flag as never), /argument 2 must be a boolean/);
});

test('a text with a NUL is refused, since the kernel would cut it there', () =>
	assert.throws(() => native.openat(-100, '/tmp\0/x', 0, 0, -1), /argument 2 must be a string without NUL/));

test('offsets outside the buffer are refused', () => {
	for (const [offset, length] of [
		[0, 11],
		[11, 0],
		[-1, 1],
		[5, 6],
		[Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
	] as const) {
		assert.throws(() => native.read(0, new Uint8Array(10), offset, length), RangeError);
		assert.throws(() => native.write(1, new Uint8Array(10), offset, length), RangeError);
	}
});

test('a refusal by the kernel has code, errno and syscall', () => {
	assert.throws(
		() => native.openat(-100, '/no/such/file', 0, 0, -1),
		(error) => isKernelError(error) && error.code === 'ENOENT' && error.errno === 2 && error.syscall === 'openat',
	);
});

test('what would have to wait is -1, not an error', () => {
	const [read, write] = native.pipe2(O_NONBLOCK);
	assert.equal(native.read(read, new Uint8Array(1), 0, 1), -1);
	assert.equal(native.write(write, new Uint8Array(100_000), 0, 100_000), 65_536);
	assert.equal(native.write(write, new Uint8Array(1), 0, 1), -1);
	assert.equal(native.ioctlFionread(read), 65_536);
	closeSync(read);
	closeSync(write);
});

test('a wait ends on its deadline', () => {
	const [read, write] = native.pipe2(0);
	const start = performance.now();
	assert.equal(native.poll(Int32Array.of(read, 1, 0), 30), 0);
	assert.throws(
		() => native.transfer(read, write, -1, -1, 30, -1, false),
		(error) => isKernelError(error) && error.code === 'ETIMEDOUT' && error.side === 'in',
	);
	assert.ok(performance.now() - start >= 60);
	closeSync(read);
	closeSync(write);
});

test('a semaphore is used only as what it is: another value, one that is unmapped, or one that may only be read', (t) => {
	const name = uniqueName();
	native.semCreate(`/${name}`, 0o600, 1);
	t.after(() => native.semUnlink(`/${name}`));
	const descriptor = native.openat(-100, `/dev/shm/sem.${name}`, O_RDONLY, 0, -1);
	t.after(() => closeSync(descriptor));
	const handle = native.semMap(descriptor, false);
	const hasCode = (code: string) => (error: unknown) => isKernelError(error) && error.code === code;
	assert.equal(native.semGetvalue(handle), 1);
	assert.equal(native.semTag(handle), 0);
	for (const change of [
		() => native.semPost(handle, 1),
		() => native.semTrywait(handle),
		() => native.semAwait(handle, 0),
		() => native.semWake(handle, 1),
		() => native.semTakeTagged(handle, 1),
		() => native.semGiveTagged(handle, 1),
	])
		assert.throws(change, hasCode('EACCES'));
	native.semUnmap(handle);
	assert.throws(() => native.semGetvalue(handle), hasCode('EBADF'));
	assert.throws(() => native.semUnmap(handle), hasCode('EBADF'));
	for (const other of [undefined, 7, {}, descriptor, process, new Uint8Array(32)])
		assert.throws(() => native.semGetvalue(other as never), /must be a handle of this kind/);
	assert.throws(() => native.semCreate(`/${name}`, 0o600, 1), hasCode('EEXIST'));
	for (const value of [-1, 2 ** 31]) assert.throws(() => native.semCreate('/x', 0o600, value), hasCode('EINVAL'));
	const ours = native.openat(-100, `/dev/shm/sem.${name}`, O_RDWR, 0, -1);
	t.after(() => closeSync(ours));
	const writable = native.semMap(ours, true);
	assert.throws(() => native.semPost(writable, -1), hasCode('EINVAL'));
	assert.equal(native.semPost(writable, 2 ** 40), false);
	assert.equal(native.semGetvalue(writable), 1);
});

test('a tagged change happens as a whole, or not at all', (t) => {
	const name = uniqueName();
	native.semCreate(`/${name}`, 0o600, 1);
	t.after(() => native.semUnlink(`/${name}`));
	const descriptor = native.openat(-100, `/dev/shm/sem.${name}`, O_RDWR, 0, -1);
	t.after(() => closeSync(descriptor));
	const handle = native.semMap(descriptor, true);
	const words = () => [native.semGetvalue(handle), native.semTag(handle)];
	assert.equal(native.semTakeTagged(handle, 7), true);
	assert.deepEqual(words(), [0, 7]);
	assert.equal(native.semTakeTagged(handle, 8), false);
	assert.deepEqual(words(), [0, 7]);
	assert.equal(native.semGiveTagged(handle, 2 ** 32 - 1), true);
	assert.deepEqual(words(), [1, 2 ** 32 - 1]);
	native.semUnmap(handle);
	writeFileSync(`/dev/shm/sem.${name}`, Uint8Array.of(255, 255, 255, 127), {flag: 'r+'});
	const full = native.semMap(descriptor, true);
	assert.equal(native.semGiveTagged(full, 9), false);
	assert.deepEqual([native.semGetvalue(full), native.semTag(full)], [2 ** 31 - 1, 2 ** 32 - 1]);
	native.semUnmap(full);
});
