import assert from 'node:assert/strict';
import {spawnSync} from 'node:child_process';
import test from 'node:test';
import {setTimeout} from 'node:timers/promises';
import {launcher, peer} from '../support/run.js';
import {onlyOnNode} from '../support/runtime.js';
import {SignalWorld} from '../support/signals.js';

const SIGUSR1 = 10;
/** Its usual port may be in use here. */
const env = {NODE_OPTIONS: '--inspect-port=0'};

/** A command line that has got USR1 before its first instruction. */
const withUsr1 = (command: string, ...words: string[]): string[] => [
	peer('signal-peer'),
	'become',
	String(SIGUSR1),
	launcher(command),
	...words,
];

for (const command of ['ipc-pipe', 'ipc-signal', 'ipc-sem', 'ipc-mq', 'ipc-shm', 'ipc-sock'])
	test(
		`${command}: USR1 that came while Node started has its default action, and no debugger stays`,
		onlyOnNode,
		async (t) => {
			const world = new SignalWorld(t);
			const [program, ...words] = withUsr1(command, '--help') as [string, ...string[]];
			const {signal, stdout} = await world.startOther(program, words, {env}).end();
			assert.deepEqual([signal, stdout.toString()], ['SIGUSR1', '']);
		},
	);

test(
	'USR1 at any moment of the start ends us, or the command that it is passed on to: it is never lost',
	onlyOnNode,
	async (t) => {
		const world = new SignalWorld(t);
		for (let delayMs = 0; delayMs < 60; delayMs += 4) {
			const runner = world.start('ipc-signal', ['run', '--', 'sleep', '60'], {env});
			await setTimeout(delayMs);
			const {status, signal} = await runner.kill('SIGUSR1').end();
			assert.ok(signal === 'SIGUSR1' || status === 128 + SIGUSR1, `${delayMs} ms: ${signal} ${status}`);
		}
	},
);

const canUnshare = spawnSync('unshare', ['--pid', '--fork', '--mount-proc', 'true']).status === 0;
test('as PID 1, to which such a signal does nothing, the port is closed and the work is done', {
	skip: !canUnshare ? 'needs the right to make a PID namespace' : onlyOnNode.skip,
}, async (t) => {
	const world = new SignalWorld(t);
	const look = 'find /proc/1/fd -lname "socket:*" | grep -vc "/[0-3]$"; exit 7';
	const words = ['--pid', '--fork', '--mount-proc', ...withUsr1('ipc-signal', 'run', '--', 'sh', '-c', look)];
	const {status, stdout} = await world.startOther('unshare', words, {env}).end();
	assert.deepEqual([status, stdout.toString()], [7, '0\n']);
});

test('a debugger that was asked for stays', onlyOnNode, async (t) => {
	const world = new SignalWorld(t);
	const {status, stderr} = await world.run('ipc-signal', ['list', '1'], {
		env: {NODE_OPTIONS: '--inspect=127.0.0.1:0'},
	});
	assert.equal(status, 0);
	assert.match(stderr, /^Debugger listening/);
});
