import assert from 'node:assert/strict';
import test from 'node:test';
import {boundariesOf} from '../../src/common/framing/boundaries.js';
import {
	chosenFraming,
	encodeRecord,
	type Framing,
	jsonRecord,
	parseJsonRecord,
	RecordDecoder,
} from '../../src/common/framing/framing.js';
import {fc} from '../support/property.js';

/** The same bytes, in pieces that the fuzzer chose. */
function* inPieces(stream: Buffer, cuts: readonly number[]): Generator<Buffer> {
	let at = 0;
	for (const cut of cuts) {
		const end = Math.min(stream.length, at + cut);
		yield stream.subarray(at, end);
		at = end;
	}
	yield stream.subarray(at);
}

function decode(framing: Framing, stream: Buffer, cuts: readonly number[] = []): Buffer[] {
	const decoder = new RecordDecoder(framing);
	const records: Buffer[] = [];
	for (const piece of inPieces(stream, cuts))
		for (const record of decoder.push(piece)) records.push(Buffer.from(record));
	for (const record of decoder.end()) records.push(Buffer.from(record));
	return records;
}

const records = fc.array(fc.uint8Array({maxLength: 300}).map((bytes) => Buffer.from(bytes)));
const cuts = fc.array(fc.nat({max: 20}));

const without = (separator: number) =>
	records.map((list) => list.map((record) => Buffer.from(record.filter((byte) => byte !== separator))));

for (const [framing, fitting] of [
	['lines', without(10)],
	['null', without(0)],
	['length', records],
] as const) {
	test(`records of any content survive '${framing}', whatever the pieces`, () => {
		fc.assert(
			fc.property(fitting, cuts, (list, where) => {
				const stream = Buffer.concat(list.map((record) => encodeRecord(framing, record)));
				assert.deepEqual(decode(framing, stream, where), list);
			}),
		);
	});
}

test('records of any bytes survive JSON, and what is text stays text', () => {
	fc.assert(
		fc.property(records, cuts, (list, where) => {
			const stream = Buffer.concat(list.map((record) => encodeRecord('json', record)));
			const decoded = decode('json', stream, where).map((line) => parseJsonRecord(line).data);
			assert.deepEqual(decoded, list);
		}),
	);
	fc.assert(fc.property(fc.string(), (text) => assert.deepEqual(jsonRecord(Buffer.from(text)), {data: text})));
});

test('a byte order mark is part of the record', () =>
	assert.deepEqual(jsonRecord(Buffer.from('\ufeffa')), {data: '\ufeffa'}));

test('raw: everything is one record', () => {
	assert.deepEqual(decode('raw', Buffer.from('a\nb\0c'), [1, 1]), [Buffer.from('a\nb\0c')]);
	assert.deepEqual(decode('raw', Buffer.alloc(0)), [Buffer.alloc(0)]);
});

test('a last line without its newline is still a record', () =>
	assert.deepEqual(decode('lines', Buffer.from('a\n\nb')).map(String), ['a', '', 'b']));

test('carriage returns are part of a line', () =>
	assert.deepEqual(decode('lines', Buffer.from('a\r\n')).map(String), ['a\r']));

test('a length that is cut off is refused', () =>
	assert.throws(() => decode('length', Buffer.from([0, 0])), /2 of the 4 bytes of its length arrived/));

test('a record that is cut off is refused', () =>
	assert.throws(() => decode('length', Buffer.from([0, 0, 0, 9, 1, 2])), /2 of 9 bytes arrived/));

test('a huge length is refused before anything is allocated', () =>
	assert.throws(() => decode('length', Buffer.from([255, 255, 255, 255, 1])), /announces 4294967295 bytes/));

test('a line that never ends is refused', () => {
	const decoder = new RecordDecoder('lines', 1000);
	assert.throws(() => {
		for (let i = 0; i < 200; i++) for (const _ of decoder.push(Buffer.alloc(10, 65)));
	}, /longer than 1000 bytes/);
});

const cannot = (framing: Framing, record: string, why: RegExp) =>
	test(`'${framing}' cannot carry ${JSON.stringify(record)}: ${why.source}`, () =>
		assert.throws(() => encodeRecord(framing, Buffer.from(record)), why));
cannot('lines', 'a\nb', /newline, which would end it \(use --framing length\)/);
cannot('null', 'a\0b', /NUL, which would end it/);

const refusesJson = (line: string, why: RegExp) =>
	test(`the JSON line ${line} is refused: ${why.source}`, () =>
		assert.throws(() => parseJsonRecord(Buffer.from(line, 'latin1')), why));
refusesJson('', /not JSON/);
refusesJson('{', /not JSON/);
refusesJson('[]', /not a JSON object/);
refusesJson('"a"', /not a JSON object/);
refusesJson('null', /not a JSON object/);
refusesJson('{}', /missing/);
refusesJson('{"data":1}', /missing/);
refusesJson('{"data":"a","base64":"YQ=="}', /both/);
refusesJson('{"base64":"!!"}', /not valid/);
refusesJson('{"data":"\\ud800"}', /surrogate/);
refusesJson('{"data":"\xff"}', /not valid UTF-8/);

test('other fields of a JSON record are kept', () =>
	assert.deepEqual(parseJsonRecord(Buffer.from('{"data":"a","priority":7}')).fields, {priority: 7}));

test('two framings at once are refused', () =>
	assert.throws(() => chosenFraming({null: true, json: true}), /null and json at once/));
test('the same framing said twice is fine', () => assert.equal(chosenFraming({null: true, framing: 'null'}), 'null'));
test('no framing is none', () => assert.equal(chosenFraming({}), undefined));

for (const [framing, fitting] of [
	['lines', without(10)],
	['null', without(0)],
	['length', records],
] as const) {
	test(`${framing}: the ends of records are found in any range, wherever it is cut off`, () =>
		fc.assert(
			fc.property(fitting, fc.nat({max: 20}), fc.nat({max: 400}), fc.nat({max: 5}), (list, start, cut, most) => {
				const framed = list.map((record) => encodeRecord(framing, record));
				const stream = Buffer.concat([Buffer.alloc(start, 10), ...framed, Buffer.alloc(5, 255)]);
				const ends = framed.map((_, i) => start + Buffer.concat(framed.slice(0, i + 1)).length);
				const end = Math.max(start, stream.length - 5 - cut);
				const complete = ends.filter((each) => each <= end);
				const {before, behind, ...found} = boundariesOf(framing);
				assert.equal(found.count(stream, start, end), complete.length);
				assert.equal(found.lastEnd(stream, start, end), complete.at(-1) ?? start);
				const taken = complete.slice(0, most);
				assert.deepEqual(found.take(stream, start, end, most), {end: taken.at(-1) ?? start, count: taken.length});
				const [first] = list;
				if (first && complete.length > 0)
					assert.deepEqual(stream.subarray(start + before, found.firstEnd(stream, start, end) - behind), first);
				else if (framing !== 'length') assert.equal(found.firstEnd(stream, start, end), -1);
				else if (end - start < 4) assert.equal(found.firstEnd(stream, start, end), -1);
				else assert.equal(found.firstEnd(stream, start, end), ends[0]);
			}),
		));
}
