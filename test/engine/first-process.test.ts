import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import test, {type TestContext} from 'node:test';
import {needsPidNamespaces} from '../support/namespaces/needs-namespaces.js';
import {launcher, type Running} from '../support/run.js';
import {runtime} from '../support/runtime.js';
import {SemaphoreWorld} from '../support/semaphores.js';
import {until} from '../support/until.js';
import {assertDone, World} from '../support/world.js';

/** A command of ours as the first process of a PID namespace, as in a container. */
const startFirst = (world: World, command: string, ...words: string[]): Running =>
	world.startOther('unshare', ['-rpfm', '--mount-proc', launcher(command), ...words]);

/** Its number out here: it is the only child of unshare. */
async function numberOf(unshare: Running): Promise<number> {
	const children = () => readFileSync(`/proc/${unshare.pid}/task/${unshare.pid}/children`, 'utf8').trim();
	await until('unshare has a child', () => children() !== '');
	return Number(children());
}

const running = (t: TestContext, script: string) => {
	const world = new World(t);
	return startFirst(world, 'ipc-signal', 'run', '--', 'sh', '-c', script);
};

test('ipc-signal run as the first process ends with the status of its command', needsPidNamespaces, async (t) => {
	assert.equal((await running(t, 'exit 7').end()).status, 7);
	assert.equal((await running(t, 'kill -KILL $$').end()).status, 128 + 9);
	assert.equal((await running(t, 'echo $PPID').end()).stdout.toString(), '1\n');
});

test('ipc-signal run as the first process collects orphans', needsPidNamespaces, async (t) => {
	const script = `orphan=$(sh -c 'true & echo $!'); while [ -e /proc/$orphan ]; do sleep 0.01; done; echo gone`;
	assertDone(await running(t, script).end(), 'gone\n');
});

test('ipc-signal run as the first process passes TERM on', needsPidNamespaces, async (t) => {
	const first = running(t, `trap 'echo TERM; exit 5' TERM; echo ready; while :; do sleep 0.01; done`);
	await first.printed('ready\n');
	process.kill(await numberOf(first), 'SIGTERM');
	const {status, stdout} = await first.end();
	assert.deepEqual([status, stdout.toString()], [5, 'ready\nTERM\n']);
});

const needsExecutable = {skip: runtime === 'node' ? 'Node cannot do it' : needsPidNamespaces.skip};

for (const [signal, number] of [
	['SIGTERM', 15],
	['SIGINT', 2],
] as const)
	test(`a verb that waits as the first process ends on ${signal}`, needsExecutable, async (t) => {
		const world = new SemaphoreWorld(t);
		const name = await world.semaphore(0);
		const first = await startFirst(world, 'ipc-sem', 'wait', name, '--ready-fd', '3').ready();
		process.kill(await numberOf(first), signal);
		assert.equal((await first.end()).status, 128 + number);
	});
