import fs from 'node:fs';
import {syncBuiltinESMExports} from 'node:module';
import {native} from '../../src/native/index.js';
import {Semaphore} from '../../src/objects/semaphore/semaphore.js';

/*
 * What the processes do that test/sem/kills.test.ts kills. A bundle of its own, since hundreds of them are started:
 *
 *	steps NAME K            goes through everything that changes who holds, and is killed right before its Kth call
 *	loop NAME LOG SEED [K]  holds and releases without end, and writes to the log when it is in and out
 */

/** The calls by which the list of holders is read and changed, besides those of the addon. */
const fileCalls = [
	'closeSync',
	'fstatSync',
	'ftruncateSync',
	'openSync',
	'readFileSync',
	'readSync',
	'writeSync',
] as const;

type Call = (...values: unknown[]) => unknown;

/** From now on the Kth call to the kernel is our last: it does not happen any more. */
function dieAt(last: number, beforeDeath: () => void = () => {}): void {
	let count = 0;
	let isDying = false;
	const counted = (call: Call): Call =>
		function (this: unknown, ...values) {
			if (!isDying && ++count === last) {
				isDying = true;
				beforeDeath();
				process.kill(process.pid, 'SIGKILL');
			}
			return call.apply(this, values);
		};
	const functions = native as unknown as Record<string, Call>;
	for (const [name, call] of Object.entries(functions)) functions[name] = counted(call);
	const files = fs as unknown as Record<string, Call>;
	for (const name of fileCalls) files[name] = counted(files[name] as Call);
	syncBuiltinESMExports();
}

/** Three units, of which one is held by a living process and one by a dead one. */
function goThroughSteps(name: string, last: number): void {
	using semaphore = Semaphore.open(name);
	dieAt(last);
	// Gives back the dead one's.
	const first = semaphore.hold({timeoutMs: 0, command: 'first', inherit: true});
	const second = semaphore.hold({timeoutMs: 0, command: 'second'});
	const third = semaphore.hold({timeoutMs: 0, command: 'one too many'});
	if (!first || !second || third) throw new Error('the units are not as they should be');
	if (!first.letGo() || !second.letGo()) throw new Error('a unit did not go back');
}

function holdForEver(name: string, logName: string, seed: number, last: number | undefined): void {
	const log = fs.openSync(logName, 'a');
	const {writeSync} = fs;
	const say = (what: string) => writeSync(log, `${what} ${process.pid}\n`);
	let state = seed;
	/** From 0 up to 1; good enough for a pause. */
	const random = (): number => {
		state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
		return state / 2 ** 31;
	};
	const nobodyWakesUs = new Int32Array(new SharedArrayBuffer(4));
	using semaphore = Semaphore.open(name);
	writeSync(1, 'ready\n');
	if (last !== undefined) dieAt(last, () => say('killed'));
	for (;;) {
		const holding = semaphore.hold({command: 'loop', inherit: random() < 0.5});
		say('in');
		Atomics.wait(nobodyWakesUs, 0, 0, random() * 3);
		say('out');
		holding?.letGo();
	}
}

const [what, name = '', ...words] = process.argv.slice(2);
if (what === 'steps') goThroughSteps(name, Number(words[0]));
else holdForEver(name, words[0] as string, Number(words[1]), words[2] === undefined ? undefined : Number(words[2]));
