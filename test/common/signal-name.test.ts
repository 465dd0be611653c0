import assert from 'node:assert/strict';
import test from 'node:test';
import {UsageError} from '../../src/common/errors.js';
import {allSignals, parseSignal, rtmax, rtmin, signalName} from '../../src/common/formats/signal-name.js';
import {mostLineBytes, writeLines} from '../../src/objects/signals/received-signal.js';
import {receiverName} from '../../src/objects/signals/registration.js';
import {escalation} from '../../src/signal/escalation.js';
import {target} from '../../src/signal/target.js';
import {fc} from '../support/property.js';

test('every name is read back as its number, with SIG and in either case', () => {
	for (const {number, name} of allSignals()) {
		assert.equal(signalName(number), name);
		for (const text of [name, `SIG${name}`, name.toLowerCase(), String(number)])
			assert.equal(parseSignal(text), number);
	}
});

test('real-time signals count from either end', () =>
	fc.assert(
		fc.property(fc.integer({min: 0, max: rtmax - rtmin()}), (distance) => {
			assert.equal(parseSignal(`RTMIN+${distance}`), rtmin() + distance);
			assert.equal(parseSignal(`SIGRTMAX-${distance}`), rtmax - distance);
		}),
	));

test('whatever else is written is refused with a reason, never a crash', () => {
	const text = fc.oneof(fc.string(), fc.stringMatching(/^(SIG)?(RTMIN|RTMAX|TERM)?[-+:=,]?[0-9a-zA-Z]*$/));
	for (const parse of [parseSignal, escalation.parse, target.parse, receiverName.parse])
		fc.assert(
			fc.property(text, (word) => {
				try {
					parse(word);
				} catch (error) {
					assert.ok(error instanceof UsageError && error.message !== '', `${word}: ${error}`);
				}
			}),
		);
});

test('an escalation is read as steps', () =>
	assert.deepEqual(escalation.parse('TERM:5s,2:250ms,SIGKILL'), [
		{signal: 15, waitMs: 5000},
		{signal: 2, waitMs: 250},
		{signal: 9, waitMs: undefined},
	]));

test('a line is written as the numbers say, whatever they are', () => {
	const any32 = fc.oneof(
		fc.integer({min: -(2 ** 31), max: 2 ** 31 - 1}),
		fc.constantFrom(0, -1, -(2 ** 31), 2 ** 31 - 1),
	);
	const numbers = fc.tuple(fc.integer({min: 1, max: 64}), fc.constantFrom(-1, 0, 128), any32, any32, any32);
	fc.assert(
		fc.property(fc.array(numbers, {minLength: 1, maxLength: 5}), (list) => {
			const fields = Int32Array.from(list.flatMap((numbers) => [...numbers, 0]));
			const bytes = Buffer.alloc(list.length * mostLineBytes);
			const end = writeLines(bytes, fields, list.length);
			const lines = list.map(
				([number, code, pid, uid, value]) => `${signalName(number)} ${pid} ${uid >>> 0} ${code < 0 ? value : '-'}\n`,
			);
			assert.equal(bytes.toString('latin1', 0, end), lines.join(''));
		}),
	);
});
