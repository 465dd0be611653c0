import assert from 'node:assert/strict';
import test from 'node:test';
import {duration, formatDuration} from '../../src/common/formats/duration.js';
import {mode, octalMode} from '../../src/common/formats/mode.js';
import {parseAddress} from '../../src/common/formats/object-name.js';
import {formatSize, size} from '../../src/common/formats/size.js';
import {choice, type TextFormat, wholeNumber} from '../../src/common/formats/text-format.js';
import {fc} from '../support/property.js';

function reads<Value>(format: TextFormat<Value>, text: string, value: Value): void {
	test(`${format.placeholder} '${text}' is ${value}`, () => assert.equal(format.parse(text), value));
}

function refuses<Value>(format: TextFormat<Value>, text: string, why: RegExp): void {
	test(`${format.placeholder} '${text}' is refused: ${why.source}`, () => assert.throws(() => format.parse(text), why));
}

reads(duration, '5', 5000);
reads(duration, '0.25', 250);
reads(duration, '.5s', 500);
reads(duration, '250ms', 250);
reads(duration, '0.1ms', 1);
reads(duration, '1.5s', 1500);
reads(duration, '10m', 600_000);
reads(duration, '2h', 7_200_000);
reads(duration, '1d', 86_400_000);
reads(duration, '0', 0);
refuses(duration, '', /it is empty/);
refuses(duration, '-1s', /negative/);
refuses(duration, '+1s', /no sign/);
refuses(duration, '5 parsecs', /unknown unit ' parsecs'/);
refuses(duration, '5S', /unknown unit 'S'/);
refuses(duration, '1e3', /unknown unit 'e3'/);
refuses(duration, 's', /a number is expected first/);
refuses(duration, '1.2.3', /unknown unit/);
refuses(duration, '5constructor', /unknown unit/);
refuses(duration, '4000d', /the maximum is 3650d/);

reads(size, '0', 0);
reads(size, '4096', 4096);
reads(size, '64K', 65_536);
reads(size, '1.5M', 1_572_864);
reads(size, '1MiB', 1_048_576);
reads(size, '1MB', 1_000_000);
reads(size, '2G', 2_147_483_648);
refuses(size, '', /it is empty/);
refuses(size, '-1', /negative/);
refuses(size, '1k', /unknown unit 'k' \(use K, M, G, T, KiB, MiB, GiB, TiB, KB, MB, GB or TB\)/);
refuses(size, '0.3', /not a whole number/);
refuses(size, '9999999T', /too large/);
refuses(size, 'M', /a number is expected first/);
refuses(size, '5toString', /unknown unit/);

reads(mode, '600', 0o600);
reads(mode, '0660', 0o660);
refuses(mode, '', /empty/);
refuses(mode, '888', /octal/);
refuses(mode, '1777', /maximum is 777/);
refuses(mode, 'u=rw', /octal/);

reads(wholeNumber(1), '7', 7);
refuses(wholeNumber(1), '0', /the minimum is 1/);
refuses(wholeNumber(0, 255), '256', /the maximum is 255/);
refuses(wholeNumber(), '1.5', /only digits/);
refuses(wholeNumber(), '-1', /only digits/);
refuses(wholeNumber(), '', /empty/);
refuses(choice('WHEN', 'auto', 'never'), 'maybe', /not one of auto, never/);

const isName = (text: string, name: string) =>
	test(`'${text}' names '${name}'`, () => assert.deepEqual(parseAddress(text), {kind: 'name', name}));
isName('jobs', 'jobs');
isName('/jobs', 'jobs');
isName('.hidden', '.hidden');
isName('Füße', 'Füße');
test('./jobs is a path', () => assert.deepEqual(parseAddress('./jobs'), {kind: 'path', path: './jobs'}));
test('/tmp/jobs is a path', () => assert.deepEqual(parseAddress('/tmp/jobs'), {kind: 'path', path: '/tmp/jobs'}));
test('@jobs is abstract', () => assert.deepEqual(parseAddress('@jobs'), {kind: 'abstract', name: 'jobs'}));
test('nats://h/jobs is on a cluster', () => assert.equal(parseAddress('nats://h/jobs').kind, 'cluster'));

const refusesName = (text: string, why: RegExp) =>
	test(`the name '${JSON.stringify(text.slice(0, 20))}' is refused: ${why.source}`, () =>
		assert.throws(() => parseAddress(text), why));
refusesName('', /empty/);
refusesName('/', /nothing follows the slash/);
refusesName('@', /nothing follows the @/);
refusesName('.', /is a folder/);
refusesName('..', /is a folder/);
refusesName('/..', /is a folder/);
refusesName('a/..', /is a folder/);
refusesName('a/', /ends with a slash/);
refusesName('//a', /two slashes/);
refusesName('a\nb', /control character/);
refusesName('a\0b', /control character/);
refusesName('a\ufffdb', /UTF-8/);
refusesName('x'.repeat(256), /256 bytes, the maximum is 255/);
refusesName(`a/${'x'.repeat(256)}`, /it has 256 bytes/);
refusesName('ab/'.repeat(1500), /ends with a slash/);
refusesName(`${'ab/'.repeat(1500)}c`, /longer than 4095/);

test('whatever the fuzzer thinks of is a value or refused with a reason', () => {
	for (const format of [duration, size, mode, wholeNumber(1)]) {
		fc.assert(
			fc.property(fc.string({unit: 'binary'}), (text) => {
				try {
					const value = format.parse(text);
					assert.ok(Number.isSafeInteger(value) && value >= 0);
				} catch (error) {
					assert.equal((error as Error).constructor.name, 'UsageError');
				}
			}),
		);
	}
	fc.assert(
		fc.property(fc.string({unit: 'binary'}), (text) => {
			try {
				const address = parseAddress(text);
				assert.ok(['name', 'path', 'abstract', 'cluster'].includes(address.kind));
			} catch (error) {
				assert.equal((error as Error).constructor.name, 'UsageError');
			}
		}),
	);
});

test('a size that is printed has at most four characters and a unit', () => {
	fc.assert(
		fc.property(fc.maxSafeNat(), (bytes) => assert.match(formatSize(bytes), /^([0-9]{1,4}|[0-9]\.[0-9])[KMGTP]?$/)),
	);
	assert.deepEqual([0, 1023, 1024, 10_240, 1_048_576].map(formatSize), ['0', '1023', '1.0K', '10K', '1.0M']);
});

test('durations are printed as a person says them', () => {
	assert.deepEqual([5, 1234, 125_000, 3_720_000, 273_600_000].map(formatDuration), [
		'5ms',
		'1.2s',
		'2m05s',
		'1h02m',
		'3d04h',
	]);
});

test('modes are printed as chmod takes them', () => assert.equal(octalMode(0o1600), '0600'));
