import assert from 'node:assert/strict';
import {existsSync, linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import test, {after} from 'node:test';
import {native} from '../../src/native/index.js';
import {fc} from '../support/property.js';
import {seed} from '../support/random.js';
import {peer, run} from '../support/run.js';
import {type Call, performAll, type Value} from './calls.js';

const executable = peer('ipc-cases');
const needsExecutable = {skip: existsSync(executable) ? false : 'needs the executable'};

const folder = mkdtempSync(join(tmpdir(), 'ipc-tools-test-'));
after(() => rmSync(folder, {recursive: true}));
const fileText = 'a line\nand \u00fc and \u{1f600}\n';
writeFileSync(join(folder, 'file'), fileText);
writeFileSync(join(folder, 'empty'), '');
writeFileSync(join(folder, 'bytes'), Uint8Array.of(0xff, 0xc0, 0x80, 0xe2, 0x82, 0x00, 0xef, 0xbb, 0xbf));
writeFileSync(join(folder, 'large'), Buffer.alloc(100_000, 'x'));
mkdirSync(join(folder, 'folder'));
symlinkSync('file', join(folder, 'link'));
symlinkSync('nowhere', join(folder, 'dangling'));
symlinkSync('circle', join(folder, 'circle'));
linkSync(join(folder, 'file'), join(folder, '\u00fc'));

const buffer = (bytes: ArrayLike<number>): Value => ({$: 'Buffer', is: Array.from(bytes)});
const plain = (bytes: ArrayLike<number>): Value => ({$: 'bytes', is: Array.from(bytes)});
const nothing: Value = {$: 'undefined'};

const text = fc.oneof(
	fc.string({maxLength: 12}),
	fc.string({unit: 'grapheme', maxLength: 6}),
	fc.string({unit: fc.constantFrom('\ud800', '\udc00', '\ud83d', '\ude00', 'a', '\u20ac'), maxLength: 6}),
);
/** Half of it nearly UTF-8. */
const byte = fc.oneof(
	fc.integer({min: 0, max: 255}),
	fc.constantFrom(0x61, 0x80, 0xbf, 0xc2, 0xe0, 0xa0, 0xed, 0x9f, 0xef, 0xbb, 0xf0, 0x90, 0xf4, 0x8f),
);
const bytes = fc.oneof(
	fc.array(byte, {maxLength: 12}),
	text.map((each) => Array.from(Buffer.from(each))),
);
const ofBuffer = bytes.map(buffer);
const small = fc.array(fc.constantFrom(1, 2), {maxLength: 8}).map(buffer);
const bound = fc.oneof(
	fc.integer({min: -14, max: 14}) as fc.Arbitrary<Value>,
	fc.constantFrom(nothing, 1.5, -0.5, 1e9, -1e9, {$: 'number', is: 'NaN'} as Value),
);
const place = fc.oneof(fc.integer({min: -2, max: 14}) as fc.Arbitrary<Value>, fc.constant(nothing));
const encoding = fc.constantFrom('utf8', 'utf-8', 'UTF8', 'latin1', 'hex', 'base64');
const base64 = fc.oneof(
	bytes.map((each) => Buffer.from(each).toString('base64')),
	fc.string({unit: fc.constantFrom(...'Aa9+/-_=\n é'), maxLength: 10}),
);
const hex = fc.string({unit: fc.constantFrom(...'0aFg 9'), maxLength: 7});
const part = fc.string({unit: fc.constantFrom('/', '/', '.', '.', 'a', 'b\u00fc'), maxLength: 8});
const address = fc.oneof(
	fc.ipV4(),
	fc.ipV6(),
	fc.string({unit: fc.constantFrom(':', '::', '1', 'ffff', '.', '%', '1.2.3.4', '256', '01', 'g', '0'), maxLength: 10}),
);
const path = fc
	.constantFrom('', '.', 'file', 'empty', 'bytes', 'large', 'folder', 'link', 'dangling', 'circle', '\u00fc', 'missing')
	.chain((name) => fc.constantFrom(name, `${name}/`, `${name}/x`, `./${name}`))
	.map((name) => join(folder, '/') + name);
const anyPath = fc.oneof(path, fc.constantFrom('', '/', '/dev/null', '/sys', 'x'.repeat(300)));

const numberCalls = Object.entries({
	UInt16LE: fc.integer({min: -1, max: 0x10000}),
	UInt16BE: fc.integer({min: -1, max: 0x10000}),
	UInt32LE: fc.integer({min: -1, max: 2 ** 32}),
	UInt32BE: fc.integer({min: -1, max: 2 ** 32}),
	BigUInt64LE: fc.bigInt({min: -1n, max: 2n ** 64n}).map((each): Value => ({$: 'bigint', is: String(each)})),
	DoubleLE: fc.double().map((each): Value => ({$: 'number', is: Object.is(each, -0) ? '-0' : String(each)})),
} satisfies Record<string, fc.Arbitrary<Value>>).map(([name, value]) =>
	fc.tuple(fc.constant(`write${name}`), ofBuffer, value as fc.Arbitrary<Value>, place),
);

const generators: Record<string, fc.Arbitrary<readonly unknown[]>[]> = {
	'Buffer: made of texts and bytes': [
		fc.tuple(
			fc.constant('from'),
			text,
			encoding.filter((name) => name !== 'hex' && name !== 'base64'),
		),
		fc.tuple(fc.constant('from'), base64, fc.constant('base64')),
		fc.tuple(fc.constant('from'), hex, fc.constant('hex')),
		fc.tuple(fc.constant('from'), text, fc.constantFrom(nothing, 'utf-7')),
		fc.tuple(fc.constant('fromBytes'), bytes.map(plain)),
		fc.tuple(fc.constant('fromPart'), bytes.map(plain), fc.nat(14), fc.oneof(fc.nat(14), fc.constant(nothing))),
		fc.array(fc.integer({min: -300, max: 300})).map((list) => ['of', ...list]),
		fc.tuple(fc.constantFrom('alloc', 'allocUnsafe'), fc.constantFrom(0, 1, 100)),
		fc.tuple(fc.constant('byteLength'), text),
		fc.tuple(fc.constant('concat'), fc.array(fc.oneof(ofBuffer, bytes.map(plain)), {maxLength: 4})),
	],
	'Buffer: read as text': [
		fc.tuple(fc.constant('toString'), ofBuffer, fc.oneof(encoding, fc.constantFrom(nothing, 'utf-7')), bound, bound),
		fc.tuple(fc.constant('toString'), ofBuffer, encoding),
		fc.tuple(fc.constant('toString'), ofBuffer),
	],
	'Buffer: parts, searches, copies': [
		fc.tuple(fc.constantFrom('subarray', 'slice'), ofBuffer, bound, bound),
		fc.tuple(fc.constantFrom('indexOf', 'includes'), small, fc.constantFrom(1, 2, '', '\x01', '\x01\x02', 257), bound),
		fc.tuple(fc.constantFrom('indexOf', 'includes', 'lastIndexOf'), small, fc.constantFrom(1, 2, 3)),
		fc.tuple(fc.constant('lastIndexOf'), small, fc.constantFrom(1, 2, 257), bound),
		fc.tuple(fc.constant('equals'), small, fc.oneof(small, bytes.map(plain))),
		fc.tuple(fc.constant('copy'), ofBuffer, ofBuffer, place, place, place),
		fc.tuple(fc.constant('copy'), ofBuffer, ofBuffer),
		fc.tuple(fc.constant('write'), ofBuffer, text, fc.nat(12), fc.nat(12), fc.constantFrom('utf8', 'latin1')),
	],
	'Buffer: numbers': [
		...numberCalls,
		fc.tuple(
			fc.constantFrom('readUInt16LE', 'readUInt16BE', 'readUInt32LE', 'readUInt32BE', 'readInt32LE', 'readDoubleLE'),
			ofBuffer,
			place,
		),
		fc.tuple(fc.constant('readBigUInt64LE'), fc.array(byte, {minLength: 7, maxLength: 12}).map(buffer), place),
	],
	'TextDecoder and isUtf8': [
		fc.tuple(fc.constant('isUtf8'), bytes.map(plain)),
		fc.tuple(
			fc.constant('decode'),
			fc
				.oneof(
					bytes,
					bytes.map((each) => [0xef, 0xbb, 0xbf, ...each]),
				)
				.map(plain),
			fc.boolean(),
			fc.boolean(),
		),
		fc.tuple(fc.constant('decodePieces'), fc.array(bytes.map(plain), {maxLength: 3})),
	],
	'node:path': [
		fc.array(part, {maxLength: 4}).map((parts) => ['join', ...parts]),
		fc.array(part, {maxLength: 4}).map((parts) => ['resolve', ...parts]),
		fc.tuple(fc.constantFrom('basename', 'dirname'), part),
	],
	'node:net': [fc.tuple(fc.constant('isIP'), address)],
	'node:crypto': [fc.tuple(fc.constant('sha256'), fc.oneof(text, fc.string({maxLength: 300})))],
	'node:fs': [
		fc.tuple(fc.constantFrom('stat', 'lstat'), anyPath, fc.boolean()),
		fc.tuple(fc.constantFrom('fstat', 'fstatBig', 'readlink', 'exists'), path),
		fc.tuple(fc.constantFrom('readdir', 'readdirTypes', 'readFile', 'statfs'), path),
		fc.tuple(fc.constant('readText'), path, fc.constantFrom('utf8', 'latin1')),
		fc.tuple(fc.constant('readAt'), path, fc.nat(50), fc.constantFrom(null, 0, 3, 1000)),
		fc.tuple(fc.constant('open'), path, fc.constantFrom('r', 0, 1, 0o200000)),
		fc.tuple(fc.constant('access'), anyPath, fc.constantFrom(0, 1, 2, 4)),
		fc.tuple(fc.constant('exists'), fc.oneof(anyPath, fc.constant('a\0b'))),
		fc.tuple(fc.constantFrom('close', 'fstatClosed'), fc.constantFrom(999, 2000)),
	],
};

const tables: Call[] = [['systemErrors'], ['constants'], ['umask'], ['cwd'], ['ids']];

async function compare(calls: readonly Call[]): Promise<void> {
	const {status, signal, stdout, stderr} = await run(executable, [], {input: JSON.stringify(calls)});
	assert.deepEqual({status, signal, stderr}, {status: 0, signal: null, stderr: ''});
	const found = JSON.parse(stdout.toString());
	const expected = JSON.parse(JSON.stringify(performAll(calls)));
	const different = calls
		.map((call, i) => ({call: JSON.stringify(call), node: expected[i], 'stand-in': found[i]}))
		.filter(({node, 'stand-in': standIn}) => JSON.stringify(node) !== JSON.stringify(standIn));
	assert.deepEqual(different.slice(0, 5), [], `${different.length} of ${calls.length} calls differ`);
}

for (const [title, list] of Object.entries(generators))
	test(`${title}: as Node's own`, needsExecutable, () =>
		compare(list.flatMap((each) => fc.sample(each, {numRuns: 300, seed})) as unknown as Call[]),
	);

test("tables and process: as Node's own", needsExecutable, () => compare(tables));

/** Those whose purpose is to end or to hold up the process, and those that the executable does not have. */
const dangerous = new Set([
	...['exit', 'raiseSignal', 'catchSignals', 'defaultSignal', 'setChildSubreaper', 'unlinkat', 'pumpLinks'],
	// What is behind a debugger is Node's.
	'mayHaveDebugger',
	// Promises are for the library.
	...['openReadiness', 'watchReadiness'],
	// A user has few of them, for all tests that run at the same time.
	'inotifyInit',
]);

test(
	'the native layer refuses the same arguments with the same words, and ends no process',
	needsExecutable,
	async () => {
		const odd = fc.constantFrom<Value>(
			...[null, true, -0.5, '', 'a\0b', []],
			...['NaN', 'Infinity'].map((is) => ({$: 'number', is})),
			{$: 'bigint', is: String(2n ** 70n)},
			...['undefined', 'symbol', 'function', 'object', 'detached', 'getter'].map(($) => ({$})),
			...['bytes', 'words', 'doubles'].map(($) => ({$, is: [0, 0, 0]})),
			...['arrayBuffer', 'view'].map(($) => ({$, is: 1})),
		);
		const list = fc.array(odd, {maxLength: 8});
		await compare(
			Object.keys(native)
				.filter((name) => !dangerous.has(name))
				.flatMap((name) => fc.sample(list, {numRuns: 100, seed}).map((values): Call => [name, ...values])),
		);
	},
);

test(
	'the native layer passes on what a getter throws, and takes a detached buffer for an empty one',
	needsExecutable,
	() => {
		const [getter, detached]: Value[] = [{$: 'getter'}, {$: 'detached'}];
		return compare([
			['spawn', getter as Value, [], false, -1],
			['spawn', ['/missing'], getter as Value, false, -1],
			['spawn', [getter as Value], [], false, -1],
			['read', 999, detached as Value, 0, 0],
			['read', 999, detached as Value, 0, 8],
			['write', 999, detached as Value, 0, 0],
			['write', 999, detached as Value, 4, 4],
		]);
	},
);
