import assert from 'node:assert/strict';
import test from 'node:test';
import {Broken, JsonScan} from '../../src/sock/rpc/json-scan.js';
import {JsonSplitter, type MessageFraming, usualLimits} from '../../src/sock/rpc/json-splitter.js';
import {compact, elementsOf, kindOf, membersOf, pretty} from '../../src/sock/rpc/json-text.js';
import {fc} from '../support/property.js';
import {rounds} from '../support/rounds.js';

/** All that comes out of a stream, in these pieces: messages as text, what is broken in brackets. */
function split(pieces: readonly Uint8Array[], limits = usualLimits): {seen: string[]; framing: MessageFraming} {
	const splitter = new JsonSplitter(limits);
	const seen: string[] = [];
	const note = (found: Buffer | Broken) => {
		seen.push(found instanceof Broken ? `<${found.isFatal ? 'over: ' : ''}${found.reason}>` : found.toString());
	};
	for (const piece of pieces) {
		splitter.push(piece);
		for (let found = splitter.next(); found; found = splitter.next()) note(found);
	}
	const rest = splitter.last();
	if (rest) note(rest);
	return {seen, framing: splitter.form.framing};
}

/** Cut at these shares of its length. */
function cut(bytes: Buffer, cuts: readonly number[]): Buffer[] {
	const places = cuts.map((share) => Math.floor(share * bytes.length)).sort((a, b) => a - b);
	return [...places, bytes.length].map((end, i) => bytes.subarray(places[i - 1] ?? 0, end));
}

const structure = fc.oneof(fc.dictionary(fc.string({unit: 'binary'}), fc.jsonValue()), fc.array(fc.jsonValue()));
const cuts = fc.array(fc.double({min: 0, max: 1, noNaN: true}), {maxLength: 12});
const spacing = fc.constantFrom('', ' ', '\n', '\r\n', '\n\n', '\t \n');

test('values in any framing, mixed, in whatever pieces they come: each comes out once, whole', () => {
	const frame = fc.constantFrom<(text: string, space: string) => string>(
		(text, space) => text + space,
		(text) => `${text}\n`,
		(text) => `${text}\0`,
		(text) => `Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
		(text) => `content-type: application/json\nCONTENT-LENGTH:${Buffer.byteLength(text)}\n\n${text}\n`,
	);
	fc.assert(
		fc.property(
			fc.array(fc.tuple(structure, frame, spacing, fc.constantFrom(undefined, 2, '\t'))),
			cuts,
			(items, places) => {
				const texts = items.map(([value, , , indent]) => JSON.stringify(value, undefined, indent));
				const stream = items.map(([, framed, space], i) => framed(texts[i] as string, space)).join('');
				assert.deepEqual(split(cut(Buffer.from(stream), places)).seen, texts);
			},
		),
		{numRuns: 500},
	);
});

test('any bytes at all, and any mistake in a message: the pieces do not matter, and what follows on a new line comes', () => {
	const bytes = fc.oneof(
		fc.uint8Array({maxLength: 60}),
		fc.string({unit: fc.constantFrom(...'{}[]",:\\ \n\0a1')}).map((text) => Buffer.from(text)),
	);
	fc.assert(
		fc.property(fc.array(bytes, {maxLength: 4}), cuts, (list, places) => {
			const stream = Buffer.concat(list);
			const whole = split([stream]);
			assert.deepEqual(split(cut(stream, places)), whole);
			assert.deepEqual(split([...stream].map((byte) => Buffer.of(byte))), whole);
		}),
		{numRuns: 1000},
	);
});

test('a structure comes out if JSON.parse takes it, and else is reported as none', () => {
	const written = fc
		.tuple(structure, fc.constantFrom(undefined, 1))
		.map(([value, indent]) => JSON.stringify(value, undefined, indent));
	const numbers = fc.string({unit: fc.constantFrom(...'0019-+.eE'), maxLength: 8}).map((text) => `[${text}]`);
	const strings = fc
		.string({unit: fc.constantFrom(...'\\\\\\u0fbnx/"\x01é'), maxLength: 10})
		.map((text) => `["${text}"]`);
	const words = fc
		.string({unit: fc.constantFrom('true', 'false', 'null', 'nul', 'x', ' ', ','), maxLength: 4})
		.map((text) => `[${text}]`);
	const marks = fc.string({unit: fc.constantFrom(...'{}[]",: 1a')}).map((text) => `{${text}`);
	const damaged = fc
		.tuple(written, fc.nat(), fc.constantFrom(...'{}[]",:\\ 0e-.tn\n'), fc.boolean())
		.map(([text, where, put, over]) => {
			const at = 1 + (where % text.length);
			return text.slice(0, at) + put + text.slice(over ? at + 1 : at);
		});
	const isJson = (text: string) => {
		try {
			JSON.parse(text);
			return true;
		} catch {
			return false;
		}
	};
	fc.assert(
		fc.property(fc.oneof(written, numbers, strings, words, marks, damaged), cuts, (raw, places) => {
			const bytes = Buffer.from(raw);
			fc.pre(/^[[{]/.test(raw));
			const scan = new JsonScan(512);
			let found: ReturnType<JsonScan['goOn']> = 'more';
			for (const piece of cut(bytes, places)) {
				const start = piece.byteOffset - bytes.byteOffset;
				if (found === 'more') found = scan.goOn(bytes, start, start + piece.length);
			}
			const seen = bytes.toString('utf8', 0, scan.at);
			if (found === 'complete') assert.ok(isJson(seen), raw);
			else assert.ok(!isJson(bytes.toString()), raw);
			// It is not JSON, whatever else comes.
			if (found instanceof Broken) assert.ok(bytes.length > scan.at && !isJson(bytes.toString()), raw);
			if (isJson(bytes.toString())) assert.equal(seen, bytes.toString().trimEnd());
		}),
		{numRuns: rounds(1000, 10_000)},
	);
});

const reads = (title: string, stream: string, expected: string[], framing: MessageFraming = 'lines') =>
	test(`${title}: ${JSON.stringify(stream)}`, () =>
		assert.deepEqual(split([Buffer.from(stream)]), {seen: expected, framing}));
const broken = '<it is not JSON>';
reads('lines', '{"a":1}\n[2]\r\n', ['{"a":1}', '[2]']);
reads('NUL', '{}\0{}\0', ['{}', '{}'], 'null');
reads('nothing in between', '{"a":"}{"}{}[[]]{', ['{"a":"}{"}', '{}', '[[]]', '<over: the message is incomplete>']);
reads('over several lines, then two newlines', '{\n  "a": [\n  1 ]\n}\n\n', ['{\n  "a": [\n  1 ]\n}']);
reads('a header', 'Content-Length: 2\r\n\r\n{}', ['{}'], 'headers');
reads('a newline behind the body says nothing', 'Content-Length: 2\r\n\r\n{}\n', ['{}'], 'headers');
reads('a body that is not JSON has an end all the same', 'Content-Length: 3\n\n}}}{}\n', ['}}}', '{}']);
reads('a body of no length', 'Content-Length: 0\n\n', [''], 'headers');
reads('the framing may change', '{}\0{}\n', ['{}', '{}']);
reads('what is not a structure is a line', 'true\n12 "a"\nhello\n{}', ['true', '12 "a"', 'hello', '{}']);
reads('the last line needs no end', 'null', ['null']);
reads('empty lines are nothing', '\n\n \r\n\0\n', []);
reads('brackets that do not fit', '{"a":1]\n{"b":2}\n', [broken, '{"b":2}']);
reads('a string that its line ends', '{"a":"b\n{"c":1}\n', [broken, '{"c":1}']);
reads('a line that was cut off', '{"jsonrpc":"2.0","method"\n{"a":1} x\n[1]\n', [broken, '[1]']);
reads('a NUL inside', '[1,\0[2]\0', [broken, '[2]'], 'null');
reads('a word that is none', '[1, x]{}\n{}\n', [broken, '{}']);
reads('a header without a length', 'Content-Type: x\r\n\r\n{}', ['<over: headers without Content-Length>'], 'lines');
reads('a length that is none', 'Content-Length: -1\r\n\r\n', ['<over: a Content-Length that is not a number>']);
reads('two lengths', 'Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}\n', ['<over: two different Content-Lengths>']);
reads('a length said twice', 'Content-Length: 2\r\ncontent-length: 2\r\n\r\n{}', ['{}'], 'headers');
reads('2 GB announced', 'Content-Length: 2147483648\r\n', [
	'<over: a Content-Length of 2147483648, more than 16M (16777216 bytes)>',
]);

test('a hundred megabytes of [ are refused after 513 bytes, and no memory is taken for them', () => {
	const piece = Buffer.alloc(2 ** 20, '[');
	const splitter = new JsonSplitter();
	splitter.push(piece);
	const found = splitter.next();
	assert.ok(found instanceof Broken && found.isFatal);
	assert.equal(found.reason, 'nested deeper than 512');
	for (let i = 0; i < 100; i++) splitter.push(piece);
	assert.equal(splitter.next(), undefined);
	const inBody = split([Buffer.from(`Content-Length: 1048576\r\n\r\n`), piece]);
	assert.deepEqual(inBody.seen, ['<over: nested deeper than 512>']);
	assert.deepEqual(split([Buffer.from('['.repeat(512) + ']'.repeat(512))]).seen.length, 1);
});

test('a message may be as long as the limit, and not one byte longer', () => {
	const limits = {mostBytes: 1000, mostDepth: 10};
	const ofLength = (length: number) => Buffer.from(`["${'x'.repeat(length - 4)}"]`);
	assert.deepEqual(split([ofLength(1000)], limits).seen, [ofLength(1000).toString()]);
	const tooLong = '<over: longer than 1000 (1000 bytes)>';
	assert.deepEqual(split([ofLength(1001)], limits).seen, [tooLong]);
	assert.deepEqual(split([Buffer.from(`["${'x'.repeat(2000)}`)], limits).seen, [tooLong]);
	assert.deepEqual(split([Buffer.from('x'.repeat(2000))], limits).seen, [tooLong]);
});

test('ten megabytes in pieces of one byte are looked at once', () => {
	const splitter = new JsonSplitter();
	const byte = Buffer.from('x');
	splitter.push(Buffer.from('["'));
	for (let i = 0; i < 10_000_000; i++) {
		splitter.push(byte);
		assert.equal(splitter.next(), undefined);
	}
	splitter.push(Buffer.from('"]'));
	assert.equal((splitter.next() as Buffer).length, 10_000_004);
	// With each byte looked at again this would not have ended in a lifetime; and the memory has been given back:
	assert.equal(splitter.next(), undefined);
	assert.ok(splitter.room(1).length <= 65_536);
});

test('the parts of a value are the text that was written, and again the same value', () => {
	const written = fc.tuple(structure, fc.constantFrom(undefined, 1, '\t'));
	fc.assert(
		fc.property(written, ([value, indent]) => {
			const text = JSON.stringify(value, undefined, indent);
			if (Array.isArray(value)) {
				const elements = elementsOf(text);
				assert.deepEqual(
					elements.map((element) => JSON.parse(element)),
					JSON.parse(text),
				);
			} else {
				const members = [...membersOf(text)].map(([name, member]) => [name, JSON.parse(member)]);
				assert.deepEqual(Object.fromEntries(members), JSON.parse(text));
			}
			assert.equal(compact(text), JSON.stringify(value));
			assert.equal(pretty(text), JSON.stringify(value, undefined, 2));
		}),
		{numRuns: 500},
	);
	const exact = '{"a":12345678901234567890, "b" : [1.0,-0e5 ,"\\u0041"],"\\u0063":{},"a":1e400}';
	assert.deepEqual(
		[...membersOf(exact)],
		[
			['a', '1e400'],
			['b', '[1.0,-0e5 ,"\\u0041"]'],
			['c', '{}'],
		],
	);
	assert.deepEqual(elementsOf('[1.0,-0e5 ,"\\u0041"]'), ['1.0', '-0e5', '"\\u0041"']);
	assert.deepEqual(['{', '[', '"a"', '-1', 'true', 'false', 'null', ' 1'].map(kindOf), [
		'object',
		'array',
		'string',
		'number',
		'boolean',
		'boolean',
		'null',
		'number',
	]);
});
