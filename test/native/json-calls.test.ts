import assert from 'node:assert/strict';
import test from 'node:test';
import {native} from '../../src/native/index.js';
import {compact} from '../../src/sock/rpc/json-text.js';
import {fc} from '../support/property.js';

type Find = 'usualRequests' | 'usualAnswers';

/** The lines at the beginning that are found, each with its id. */
function found(find: Find, bytes: Buffer, {mostBytes = 1000, most = 50} = {}): [line: string, id: number][] {
	const numbers = new Float64Array(100);
	const count = native[find](bytes, 0, bytes.length, mostBytes, most, numbers);
	return Array.from({length: count}, (_, i) => {
		const [start, id, end] = [i === 0 ? 0 : numbers[2 * i - 1], numbers[2 * i], numbers[2 * i + 1]] as [
			number,
			number,
			number,
		];
		assert.equal(bytes[end - 1], 10);
		return [bytes.toString('utf8', start, end - 1), id];
	});
}

const id = fc.oneof(fc.nat(), fc.constantFrom(0, 999_999_999_999_999));
const params = fc.oneof(fc.array(fc.jsonValue()), fc.dictionary(fc.string(), fc.jsonValue()));
const method = fc.string({unit: 'binary'});
const version = fc.constant('2.0');
/** A name with an escape is unusual: it may be any name. */
const extra = fc.dictionary(fc.string({unit: fc.constantFrom(...'abc é'), minLength: 8}), fc.jsonValue(), {maxKeys: 2});
const usual = {
	usualRequests: fc
		.tuple(fc.record({jsonrpc: version, method, params, id}, {requiredKeys: ['jsonrpc', 'method', 'id']}), extra)
		.map(([request, more]) => JSON.stringify({...more, ...request})),
	usualAnswers: fc
		.tuple(fc.jsonValue(), id, fc.boolean())
		.map(([result, id, isFirst]) =>
			JSON.stringify(isFirst ? {jsonrpc: '2.0', id, result} : {jsonrpc: '2.0', result, id}),
		),
} as const;
const anyId = fc.oneof(id, fc.jsonValue());
const odd = fc
	.tuple(
		fc.record(
			{
				jsonrpc: fc.oneof(version, fc.jsonValue()),
				method: fc.oneof(method, fc.jsonValue()),
				params: fc.oneof(params, fc.jsonValue()),
				id: anyId,
				result: fc.jsonValue(),
				error: fc.jsonValue(),
			},
			{requiredKeys: []},
		),
		fc.constantFrom(undefined, ' ', '\t'),
		fc.constantFrom('', ' ', '\r'),
	)
	.map(([value, indent, space]) => space + JSON.stringify(value, undefined, indent).replaceAll('\n', '\r') + space);

/** One character is another one, or one more. */
const damaged = (text: fc.Arbitrary<string>) =>
	fc
		.tuple(text, fc.nat(), fc.constantFrom(...'{}[]",:\\ 0e-.tn\r\0iu'), fc.boolean())
		.map(([line, where, put, over]) => {
			const at = where % line.length;
			return line.slice(0, at) + put + line.slice(over ? at + 1 : at);
		});

for (const find of ['usualRequests', 'usualAnswers'] as const) {
	test(`${find}: all lines that are usual are found, with their ids`, () => {
		fc.assert(
			fc.property(fc.array(usual[find], {maxLength: 20}), (lines) => {
				const expected = lines.map((line) => [line, (JSON.parse(line) as {id: number}).id]);
				assert.deepEqual(
					found(find, Buffer.from(lines.map((line) => `${line}\n`).join('')), {mostBytes: 1e6}),
					expected,
				);
			}),
		);
	});

	test(`${find}: what is found can be passed on as it is, whatever stands there`, () => {
		const line = fc.oneof(usual[find], odd, damaged(usual[find]), damaged(odd));
		fc.assert(
			fc.property(fc.array(line, {maxLength: 4}), (lines) => {
				for (const [text, id] of found(find, Buffer.from(lines.map((each) => `${each}\n`).join('')))) {
					const value = JSON.parse(text) as Record<string, unknown>;
					assert.deepEqual([value.jsonrpc, value.id], ['2.0', id]);
					if (find === 'usualRequests') {
						assert.equal(typeof value.method, 'string');
						assert.ok(value.params === undefined || (typeof value.params === 'object' && value.params !== null));
					} else {
						assert.deepEqual(Object.keys(value).sort(), ['id', 'jsonrpc', 'result']);
						assert.equal(compact(text), text);
					}
				}
			}),
			{numRuns: 1000},
		);
	});
}

test('neither more lines than wanted are found, nor longer ones, nor one without its end', () => {
	const line = '{"jsonrpc":"2.0","id":1,"result":null}\n';
	const bytes = Buffer.from(line + line + line.trimEnd());
	assert.equal(found('usualAnswers', bytes).length, 2);
	assert.equal(found('usualAnswers', bytes, {most: 1}).length, 1);
	assert.equal(found('usualAnswers', bytes, {mostBytes: line.length - 1}).length, 2);
	assert.equal(found('usualAnswers', bytes, {mostBytes: line.length - 2}).length, 0);
});

test('what does not fit is refused', () => {
	const numbers = new Float64Array(4);
	const bytes = Buffer.from('{}\n');
	for (const [start, end, most] of [
		[-1, 3, 1],
		[2, 1, 1],
		[0, 4, 1],
		[0, 3, 3],
	] as const)
		assert.throws(() => native.usualAnswers(bytes, start, end, 10, most, numbers), {code: 'ERR_OUT_OF_RANGE'});
	const scan = (...words: number[]) => native.scanJson(Int32Array.from(words), bytes, 0, 3);
	for (const words of [
		[],
		[0, 1, 0, 0, 0, 0, 0],
		[0, 1, 0, 2, 0, 0, 0, 0],
		[0, 1, 0, -1, 0, 0, 0, 0],
		[0, 1, 0, 0, 99, 0, 0, 0],
	])
		assert.throws(() => scan(...words), {code: 'ERR_OUT_OF_RANGE'});
	assert.equal(scan(0, 1, 0, 0, 0, 0, 0, 0), 2);
});
