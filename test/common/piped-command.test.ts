import assert from 'node:assert/strict';
import test from 'node:test';
import {PipedCommand} from '../../src/common/process/piped-command.js';

const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;

/** Otherwise SIGKILL went to the number of its process group again and again, whichever group had it by then. */
const stopsNothing = (title: string, words: readonly string[], outcome: unknown): Promise<void> =>
	test(`stopping a command that ${title} starts no termination`, async () => {
		const command = new PipedCommand(words, {until: 'exit'});
		const end = await command.ended.catch(({code}) => code);
		assert.deepEqual(end, outcome);
		const before = timers();
		command.stop();
		assert.equal(command.isStopping, false);
		assert.equal(timers(), before);
	});

stopsNothing('has ended', ['sh', '-c', 'exit 3'], {status: 3, signal: null});
stopsNothing('could not be started', ['/nonexistent/program'], 'ENOENT');

test('a command that is stopped gets SIGTERM, and its whole process group', async () => {
	// Without the end of the descendant, its pipes would stay open.
	const command = new PipedCommand(['sh', '-c', 'sleep 1000 & echo ready; wait'], {until: 'close'});
	command.stdout?.on('data', () => command.stop());
	assert.deepEqual(await command.ended, {status: 143, signal: 'SIGTERM'});
});
