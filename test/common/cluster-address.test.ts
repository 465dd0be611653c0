import assert from 'node:assert/strict';
import test from 'node:test';
import {parseClusterAddress, parseServer, withoutPassword} from '../../src/common/formats/cluster-address.js';
import {parseAddress} from '../../src/common/formats/object-name.js';
import {fc} from '../support/property.js';

const server = {scheme: 'nats', host: 'h', port: 4222, user: undefined, password: undefined};

for (const [text, expected] of [
	['nats://h/jobs', {server, name: 'jobs', shown: 'nats://h/jobs'}],
	['nats://h:4222/jobs', {server, name: 'jobs', shown: 'nats://h/jobs'}],
	['NATS://h:1/a_b-C', {server: {...server, port: 1}, name: 'a_b-C', shown: 'nats://h:1/a_b-C'}],
	['tls://h/x', {server: {...server, scheme: 'tls'}, name: 'x', shown: 'tls://h/x'}],
	['nats://[::1]:5/x', {server: {...server, host: '::1', port: 5}, name: 'x', shown: 'nats://[::1]:5/x'}],
	['nats://u:p%40w@h/x', {server: {...server, user: 'u', password: 'p@w'}, name: 'x', shown: 'nats://h/x'}],
	['nats://token@h/x', {server: {...server, user: 'token'}, name: 'x', shown: 'nats://h/x'}],
	['nats://h/@web', {server, name: '@web', shown: 'nats://h/@web'}],
	['nats:jobs', {server: undefined, name: 'jobs', shown: 'nats:jobs'}],
] as const)
	test(`'${text}' is on a cluster`, () => assert.deepEqual(parseAddress(text), {kind: 'cluster', ...expected}));

for (const [text, why] of [
	['nats://h', /the name is missing/],
	['nats://h/', /the name is missing/],
	['nats:', /the name is missing/],
	['nats:///x', /the host is missing|HOST:PORT is expected/],
	['nats://h/a.b', /"\." is none of them/],
	['nats://h/a b', /" " is none of them/],
	['nats://h/a/b', /"\/" is none of them/],
	['nats:*', /"\*" is none of them/],
	['nats://h:0/x', /1 to 65535/],
	['nats://h:x/x', /1 to 65535/],
	['nats://::1/x', /IPv6 address in brackets/],
	['nats://u:50%@h/x', /written %25/],
	[`nats:${'x'.repeat(129)}`, /129 bytes, the maximum is 128/],
] as const)
	test(`'${text.slice(0, 20)}' is refused: ${why.source}`, () => assert.throws(() => parseAddress(text), why));

test('a server has no name, and a foreign scheme is refused', () => {
	assert.deepEqual(parseServer('h'), server);
	assert.deepEqual(parseServer('nats://h/'), server);
	assert.throws(() => parseServer('nats://h/x'), /HOST:PORT is expected/);
	assert.throws(() => parseServer('http://h'), /neither nats:\/\/ nor tls:\/\//);
	assert.throws(() => parseClusterAddress('nats://h/x', {withoutName: true}), /without a name/);
});

test('no message shows a password', () => {
	for (const text of [
		'nats://u:secret@h:99999/x',
		'nats://u:secret@h/a.b',
		'nats:u:secret@h/x',
		'natz://u:secret@h/x/',
		'nats://u:sec@secret@h/x',
		'nats://u:sec/secret@h/x',
		'tls://u:secret@[::/x',
	])
		assert.throws(
			() => parseAddress(text),
			(error) => error instanceof Error && !error.message.includes('secret'),
			text,
		);
	assert.equal(withoutPassword('a b,nats://u:secret@h'), 'a b,nats://***@h');
});

test('whatever is typed after nats: is an address or used wrongly', () => {
	fc.assert(
		fc.property(fc.string({unit: 'binary'}), (text) => {
			try {
				assert.equal(parseAddress(`nats:${text}`).kind, 'cluster');
			} catch (error) {
				assert.equal((error as Error).constructor.name, 'UsageError');
			}
		}),
	);
});
