import assert from 'node:assert/strict';
import {once} from 'node:events';
import {rmSync, truncateSync} from 'node:fs';
import test from 'node:test';
import {SharedMemory} from '../../src/objects/segment/shared-memory.js';
import {
	condition,
	doubleBits,
	doubleOf,
	formatDouble,
	parseDouble,
	parseWord,
	type WordType,
	wordOf,
	wordTypes,
} from '../../src/objects/segment/word.js';
import {fc} from '../support/property.js';
import {rounds} from '../support/rounds.js';
import {SegmentWorld} from '../support/segments.js';
import {assertDone, assertFails} from '../support/world.js';

test('get, set, add and cas: what they print, and what lies there', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment(64);
	assertDone(await world.shm('get', name), '0\n');
	assertDone(await world.shm('set', name, '41'), '0 41\n');
	assertDone(await world.shm('add', name, '1'), '41 42\n');
	assertDone(await world.shm('add', name, '-50'), '42 -8\n');
	assertDone(await world.shm('set', name, '-0x10', '--type', 'i32', '--offset', '4'), '-1 -16\n');
	assertDone(await world.shm('get', name, '--type', 'u32', '--offset', '0x4'), '4294967280\n');
	assertDone(await world.shm('cas', name, '0', '7', '--offset', '8'), '0 7\n');
	const {status, stdout, stderr} = await world.shm('cas', name, '0', '9', '--offset', '8');
	assert.deepEqual([status, stdout.toString(), stderr], [3, '7\n', '']);
	assert.equal(await world.stranger('load', name, '8'), '7\n');
	assert.deepEqual(
		[...world.contents(name).subarray(0, 16)],
		[0xf8, 0xff, 0xff, 0xff, 0xf0, 0xff, 0xff, 0xff, 7, 0, 0, 0, 0, 0, 0, 0],
	);
});

test('JSON keeps every digit of 64 bits', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment(8);
	const most = '18446744073709551615';
	assertDone(await world.shm('set', name, most, '--type', 'u64', '--json'), `{"old":0,"new":${most}}\n`);
	assertDone(await world.shm('get', name, '--type', 'u64', '--json'), `{"value":${most}}\n`);
	assertDone(await world.shm('add', name, '1', '--type', 'u64', '--json'), `{"old":${most},"new":0}\n`);
	const {status, stdout} = await world.shm('cas', name, '5', '6', '--type', 'u64', '--json');
	assert.deepEqual([status, stdout.toString()], [3, '{"old":0,"new":0}\n']);
});

test('f64, str and hex', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment(32);
	assertDone(await world.shm('set', name, '-3.25', '--type', 'f64'), '0 -3.25\n');
	assert.equal(world.contents(name).readDoubleLE(0), -3.25);
	assertDone(await world.shm('set', name, '--type', 'f64', '--', '-inf'), '-3.25 -inf\n');
	assertDone(await world.shm('get', name, '--type', 'f64', '--json'), '{"value":"-inf"}\n');
	assertDone(await world.shm('set', name, '-inf', '--type', 'f64'), '-inf -inf\n');
	assertDone(await world.shm('set', '-q', '--type=f64', name, '-Infinity'), '-inf -inf\n');
	const bytes = world.segment(Buffer.from('a\xff\0', 'latin1'));
	assertDone(await world.shm('get', bytes, '--type', 'str', '--json'), '{"value":{"base64":"Yf8="}}\n');
	assertDone(await world.shm('set', name, 'grüße', '--type', 'str', '--offset', '8'), '');
	assertDone(await world.shm('get', name, '--type', 'str', '--offset', '8'), 'grüße\n');
	assertDone(
		await world.shm('get', name, '--type', 'str', '--offset', '8', '--length', '2', '--json'),
		'{"value":"gr"}\n',
	);
	assertDone(await world.shm('set', name, '00ff', '--type', 'hex', '--offset', '30'), '0000 00ff\n');
	assertDone(await world.shm('get', name, '--type', 'hex', '--offset', '28'), '000000ff\n');
	assertFails(await world.shm('set', name, 'abc', '--type', 'hex'), 2, /pairs of hexadecimal digits/);
	assertFails(
		await world.shm('set', name, 'too long', '--type', 'str', '--offset', '30'),
		1,
		`ipc-shm: cannot write '${name}': 8 bytes at offset 30 need 38 and the segment has 32 (see: ipc-shm resize)\n`,
	);
	assert.equal(world.size(name), 32);
});

const refuses = (words: string[], status: number, why: RegExp) =>
	test(`'${words.join(' ')}' ends with ${status}: ${why.source}`, async (t) => {
		const world = new SegmentWorld(t);
		const name = world.segment(12);
		const [verb, ...more] = words as [string, ...string[]];
		assertFails(await world.shm(verb, name, ...more), status, why);
		assert.ok(world.contents(name).every((byte) => byte === 0));
	});
refuses(['get', '--offset', '4'], 2, /offset 4 is not aligned: i64 needs a multiple of 8/);
refuses(['get', '--offset', '4', '--type', 'f64'], 2, /offset 4 is not aligned: f64 needs a multiple of 8/);
refuses(
	['get', '--type', 'hex', '--offset', '12', '--length', '1'],
	1,
	/1 byte at offset 12 needs 13 and the segment has 12/,
);
refuses(['set', '1', '--offset', '6', '--type', 'u32'], 2, /offset 6 is not aligned: u32 needs a multiple of 4/);
refuses(['get', '--offset', '8'], 1, /8 bytes at offset 8 need 16 and the segment has 12/);
refuses(['add', '1', '--offset', '8'], 1, /cannot change .*: 8 bytes at offset 8 need 16/);
refuses(
	['set', '2147483648', '--type', 'i32'],
	2,
	/'2147483648' is not a valid i32: the range is -2147483648 to 2147483647/,
);
refuses(['add', '-1', '--type', 'u64'], 2, /'-1' is not a valid u64/);
refuses(['set', '1.5'], 2, /digits, or 0x and hexadecimal digits, are expected/);
refuses(['cas', '1', ''], 2, /it is empty/);
refuses(['add', '1', '--type', 'f64'], 2, /--type: 'f64' is not one of i32, u32, i64, u64/);
refuses(['get', '--length', '4'], 2, /--length is for str and hex/);
refuses(['get', '-t', '1'], 2, /need --lock/);
refuses(['wait'], 2, /--until is missing/);
refuses(['wait', '--until', '~3'], 2, /is not a condition/);
refuses(['wait', '--until', '>'], 2, /the number is missing/);
refuses(['wait', '--until', '=x'], 2, /'x' is not a number/);

test('words of a segment that is larger than any memory', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment(0);
	truncateSync(world.at(name), 200 * 1024 ** 4);
	assertDone(await world.shm('get', name), '0\n');
	assertDone(await world.shm('set', name, '7', '--offset', '150T'), '0 7\n');
	assertDone(await world.shm('get', name, '--offset', '150T'), '7\n');
	assertDone(await world.shm('wait', name, '--offset', '150T', '--until', '=7'), '7\n');
	using segment = SharedMemory.open(name);
	assert.equal(segment.add('i64', 8, 1n), 0n);
	assert.equal(segment.load('i64', 150 * 1024 ** 4), 7n);
	assert.equal(segment.load('i64', 8), 1n);
});

test('many additions from here, as many in C, and some by the command add up', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment(8192);
	const each = rounds(100_000, 500_000);
	const peers = [1, 2].map(() => world.stranger('add', name, '4096', `${each}`));
	using segment = SharedMemory.open(name);
	const commands = Promise.all(Array.from({length: 5}, () => world.shm('add', name, '1000', '--offset', '4096')));
	for (let i = 0; i < 2 * each; i++) {
		segment.add('i64', 4096, 1n);
		if (i % 20_000 === 0) await new Promise(setImmediate);
	}
	await Promise.all([...peers, commands]);
	assert.equal(segment.load('i64', 4096), BigInt(4 * each + 5000));
	assert.equal(await world.stranger('load', name, '4096'), `${4 * each + 5000}\n`);
});

test('wait ends when another changes the word, whether it wakes or not', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment(64);
	const waiter = (...words: string[]) =>
		world.startShm(['wait', name, '--ready-fd', '3', '--type', 'i32', ...words]).ready();
	const first = await waiter('--until', '>=5');
	await world.shm('set', name, '4', '--type', 'i32');
	await world.shm('add', name, '3', '--type', 'i32');
	assertDone(await first.end(), '7\n');
	const second = await waiter('--until', '!=0', '--offset', '8', '--json');
	await world.stranger('store', name, '8', '-2');
	assertDone(await second.end(), '{"value":-2}\n');
	const third = await waiter('--until', '<0', '--offset', '16');
	await world.shm('cas', name, '0', '-1', '--offset', '16', '--type', 'i32');
	assertDone(await third.end(), '-1\n');
});

test('wait gives up in time, at once, on a signal, or when the segment is removed', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment(64);
	assertFails(await world.shm('wait', name, '--until', '=1', '-n'), 3, '');
	assertFails(await world.shm('wait', name, '--until', '=1', '-t', '50ms'), 124, '');
	assertFails(await world.shm('wait', name, '--until', '=1', '-t', '50ms', '-E', '9'), 9, '');
	const stopped = await world.startShm(['wait', name, '--until', '=1', '--ready-fd', '3']).ready();
	assert.equal((await stopped.kill('SIGTERM').end()).signal, 'SIGTERM');
	const left = await world.startShm(['wait', name, '--until', '=1', '--ready-fd', '3']).ready();
	rmSync(world.at(name));
	assertFails(await left.end(), 1, `ipc-shm: cannot wait for '${name}': it has been removed\n`);
});

test('wait ends by SIGPIPE when the reader of stdout leaves', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment(8);
	const line = `ipc-shm wait ${name} --until =1 --timeout 60 | true; echo \${PIPESTATUS[0]}`;
	const {stdout, stderr} = await world.shell(line);
	assert.deepEqual([stdout.toString(), stderr], ['141\n', '']);
});

test('a segment that others cut and grow all the time ends nobody by SIGBUS', async (t) => {
	const world = new SegmentWorld(t);
	const name = world.segment(65_536);
	using segment = SharedMemory.open(name);
	const thrasher = world.startOther((await import('../support/run.js')).peer('shm-peer'), [
		'thrash',
		name,
		'65536',
		'30000',
	]);
	let touched = 0;
	let refused = 0;
	for (const ended = once(thrasher.child, 'exit').then(() => true); ; ) {
		for (let i = 0; i < 2000; i++) {
			try {
				segment.add('i64', 61_440, 1n);
				touched++;
			} catch (error) {
				assert.match(String(error), /need 61448 and the segment has 0|the memory at offset 61440 is missing/);
				refused++;
			}
		}
		if (await Promise.race([ended, new Promise((resolve) => setImmediate(resolve))])) break;
	}
	assert.ok(touched + refused >= 2000);
	assert.equal((await thrasher.end()).status, 0);
});

test('words, doubles and conditions are read as they are written', () => {
	const type = fc.constantFrom<WordType>(...wordTypes);
	fc.assert(
		fc.property(type, fc.bigInt(-(2n ** 64n), 2n ** 64n), (kind, number) => {
			const value = wordOf(kind, number);
			assert.equal(parseWord(kind, String(value)), value);
			const hexadecimal = value < 0n ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
			assert.equal(parseWord(kind, hexadecimal), value);
			if (value !== number) assert.throws(() => parseWord(kind, String(number)), /is not a valid/);
			for (const [operator, holds] of [
				['=', 0],
				['>=', 0],
				['<=', 0],
			] as const)
				assert.equal(condition.parse(`${operator}${value}`)(kind)(value), holds === 0);
			assert.equal(condition.parse(`!=${value}`)(kind)(value), false);
		}),
	);
	fc.assert(
		fc.property(fc.double(), (value) => {
			assert.ok(Object.is(parseDouble(formatDouble(value)), value));
			assert.ok(Object.is(doubleOf(BigInt.asUintN(64, doubleBits(value))), value));
		}),
	);
	fc.assert(
		fc.property(fc.string(), type, (text, kind) => {
			try {
				parseWord(kind, text);
			} catch (error) {
				assert.match(String(error), /is not a (number|valid (i32|u32|i64|u64))/);
			}
		}),
	);
});
