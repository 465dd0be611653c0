import assert from 'node:assert/strict';
import {readdirSync} from 'node:fs';
import test from 'node:test';
import {QueueWorld} from '../support/queues.js';
import {onlyOnSmall} from '../support/runtime.js';
import {SemaphoreWorld} from '../support/semaphores.js';
import {assertDone, assertFails, World} from '../support/world.js';

/** Bytes that are not UTF-8: alone, in the middle of a character, half of a surrogate pair, too long, and beyond U+10FFFF. */
const odd = ["$'\\xff'", "$'a\\xe2\\x82b'", "$'\\xed\\xb2\\x80'", "$'\\xc0\\xaf'", "$'\\xf4\\x90\\x80\\x80\\xc3\\xbc'"];
/** As a program of the system shows them. */
const dump = 'od -An -v -tx1';

test('a message may hold any bytes', onlyOnSmall, async (t) => {
	const world = new QueueWorld(t);
	const name = await world.queue();
	for (const word of odd)
		assertDone(
			await world.shell(`cmp <(ipc-mq send ${name} ${word} && ipc-mq recv ${name}) <(printf '%s\\n' ${word})`),
			'',
		);
});

test('a command is run with the words and the environment that were given, byte for byte', onlyOnSmall, async (t) => {
	const world = new SemaphoreWorld(t);
	const name = await world.semaphore(1);
	for (const word of odd) {
		const run = `ipc-sem run ${name} --`;
		const {stdout: expected} = await world.shell(`printf '%s' ${word} | ${dump}`);
		assertDone(await world.shell(`${run} printf '%s' ${word} | ${dump}`), expected);
		assertDone(await world.shell(`VALUE=${word} ${run} sh -c 'printf %s "$VALUE"' | ${dump}`), expected);
	}
	assertDone(await world.shell(`env $'NAME\\xff=x' ipc-sem run ${name} -- env | grep -ac $'^NAME\\xff=x$'`), '1\n');
	assertFails(
		await world.shell(`ipc-sem run ${name} -- $'missing\\xff'`),
		127,
		"ipc-sem: cannot run 'missing\\xff': not found\n",
	);
});

test('a path may hold any bytes, a name may not', onlyOnSmall, async (t) => {
	const world = new World(t);
	const path = `${world.scratch}/$'f\\xff\\xc3\\xbc'`;
	assertDone(await world.shell(`ipc-pipe create ${path} && test -p ${path}`), '');
	const names = readdirSync(world.scratch, {encoding: 'buffer'});
	assert.deepEqual(
		names.map((name) => name.toString('latin1')),
		['f\xff\xc3\xbc'],
	);
	assertDone(await world.shell(`ipc-pipe recv ${path} & echo line | ipc-pipe send ${path}; wait`), 'line\n');
	assertDone(await world.shell(`cd ${world.scratch} && ipc-sock listen ./$'s\\xff' -t 0 -E 0`), '');
	const {stdout} = await world.shell(`ipc-pipe stat ${path} --json`);
	assert.equal(JSON.parse(stdout.toString()).path, `${world.scratch}/f\udcff\u00fc`);
	assertDone(await world.shell(`ipc-pipe remove ${path}`), '');
	assertFails(
		await world.shell("ipc-pipe create $'f\\xff'"),
		2,
		"ipc-pipe: invalid name 'f\\xff': it is not valid UTF-8\nTry 'ipc-pipe create --help'.\n",
	);
});

test('another word is refused with its bytes escaped', onlyOnSmall, async (t) => {
	const world = new World(t);
	for (const [line, message] of [
		["ipc-signal send $'\\xff' 1", "ipc-signal: '\\xff' is not a signal\nTry 'ipc-signal send --help'.\n"],
		[
			"ipc-sock call x method $'\\xff'",
			"ipc-sock: '\\xff' is not valid UTF-8, as JSON must be\nTry 'ipc-sock call --help'.\n",
		],
	] as const)
		assertFails(await world.shell(line), 2, message);
});
