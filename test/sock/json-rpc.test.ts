import assert from 'node:assert/strict';
import test from 'node:test';
import {formatRequest, readRequests, readResponses} from '../../src/sock/rpc/json-rpc.js';
import {fc} from '../support/property.js';

const ok = (id: string | undefined, method: string, params?: string) => ({id, method, params});
const refused = (id: string, code: number, message: string) => ({id, error: {code, message}});
const parse = refused('null', -32700, 'Parse error');
const invalid = refused('null', -32600, 'Invalid Request');

const asks = (title: string, text: string | Buffer, ...calls: object[]) =>
	test(`${title}: ${text}`, () => assert.deepEqual(readRequests(Buffer.from(text)).calls, calls));

asks(
	'positional parameters',
	'{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}',
	ok('1', 'subtract', '[42, 23]'),
);
asks(
	'named parameters',
	'{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}',
	ok('3', 'subtract', '{"subtrahend": 23, "minuend": 42}'),
);
asks('a notification', '{"jsonrpc": "2.0", "method": "update", "params": [1]}', ok(undefined, 'update', '[1]'));
asks('no JSON', '{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', parse);
asks('a method that is not a string', '{"jsonrpc": "2.0", "method": 1, "params": "bar"}', invalid);
asks('a batch that is not JSON', '[{"jsonrpc": "2.0", "method": "sum", "id": "1"},{"jsonrpc": "2.0", "method"]', parse);
asks('an empty batch', '[]', invalid);
asks('a batch of what is not a call', '[1]', invalid);
asks('a batch of three of these', '[1,2,3]', invalid, invalid, invalid);
asks(
	'a batch of all kinds',
	'[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},{"jsonrpc": "2.0", "method": "hello"},{"foo": "boo"},{"jsonrpc": "2.0", "method": "get_data", "id": "9"}]',
	ok('"1"', 'sum', '[1,2,4]'),
	ok(undefined, 'hello'),
	invalid,
	ok('"9"', 'get_data'),
);
asks('an id of null is an id', '{"jsonrpc":"2.0","method":"a","id":null}', ok('null', 'a'));
asks(
	'an id too large for a number',
	'{"jsonrpc":"2.0","method":"a","id":9007199254740993}',
	ok('9007199254740993', 'a'),
);
asks('an id that is a fraction', '{"jsonrpc":"2.0","method":"a","id":1.50}', ok('1.50', 'a'));
asks('an id with an escape', '{"jsonrpc":"2.0","method":"a","id":"\\u0031"}', ok('"\\u0031"', 'a'));
asks('an id that cannot be one', '{"jsonrpc":"2.0","method":"a","id":[1]}', invalid);
asks('another version', '{"jsonrpc":"1.0","method":"a","id":5}', refused('5', -32600, 'Invalid Request'));
asks('no version', '{"method":"a","id":5}', refused('5', -32600, 'Invalid Request'));
asks(
	'parameters that are no structure',
	'{"jsonrpc":"2.0","method":"a","params":1,"id":5}',
	refused('5', -32600, 'Invalid Request'),
);
asks('a scalar', '42', invalid);
asks('nothing', '', parse);
asks('bytes that are not UTF-8', Buffer.from('{"jsonrpc":"2.0","method":"\xff","id":1}', 'latin1'), parse);

test('a call that is written is read again, ids and parameters to the letter', () => {
	const id = fc.oneof(
		fc.constant(undefined),
		fc.bigInt().map(String),
		fc.double({noNaN: true, noDefaultInfinity: true}).map((value) => JSON.stringify(value)),
		fc.string({unit: 'binary'}).map((value) => JSON.stringify(value)),
	);
	const params = fc.oneof(
		fc.constant(undefined),
		fc.array(fc.jsonValue()).map((value) => JSON.stringify(value)),
		fc.dictionary(fc.string(), fc.jsonValue()).map((value) => JSON.stringify(value, undefined, 1)),
	);
	const request = fc.record({id, method: fc.string({unit: 'binary'}), params}, {noNullPrototype: true});
	fc.assert(
		fc.property(request, (call) => {
			assert.deepEqual(readRequests(Buffer.from(formatRequest(call))), {isBatch: false, calls: [call]});
		}),
	);
	fc.assert(
		fc.property(fc.array(request, {minLength: 1}), (calls) => {
			const batch = Buffer.from(`[${calls.map(formatRequest).join(', ')}]`);
			assert.deepEqual(readRequests(batch), {isBatch: true, calls});
		}),
	);
});

const answers = (title: string, text: string, responses: object[], others: string[] = []) =>
	test(`${title}: ${text}`, () => assert.deepEqual(readResponses(text), {responses, others}));
const result = (id: string | undefined, text: string) => ({id, outcome: {result: text}});
const failed = (id: string | undefined, error: object) => ({id, outcome: {error: {data: undefined, ...error}}});

answers('a result', '{"jsonrpc":"2.0","result": 1.0,"id":1}', [result('1', '1.0')]);
answers('an error', '{"error":{"code":-32000,"message":"no","data":[1]},"id":"a"}', [
	failed('"a"', {code: -32000, message: 'no', data: '[1]'}),
]);
answers('version 1.0', '{"result":null,"error":null,"id":1}', [result('1', 'null')]);
answers('an error of version 1.0', '{"result":null,"error":"no","id":1}', [
	{id: '1', outcome: {error: {code: 0, message: 'no'}}},
]);
answers('an error without a message', '{"error":{"why":1},"id":1}', [failed('1', {code: 0, message: '{"why":1}'})]);
answers(
	'a notification is no answer',
	'{"jsonrpc":"2.0","method":"log","params":[]}',
	[],
	['{"jsonrpc":"2.0","method":"log","params":[]}'],
);
answers('a batch', '[{"result":1,"id":2}, {"result":2,"id":1}, 7]', [result('2', '1'), result('1', '2')], ['7']);
