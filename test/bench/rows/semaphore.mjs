// Semaphores: one call from the shell, many through `batch`, and a unit held while a command runs.
import {fileURLToPath} from 'node:url';
import {python, start, startRounds} from './start-up.mjs';

const script = fileURLToPath(new URL('../peers/semaphore.py', import.meta.url));

/** Each time with a semaphore of its own, of one unit. */
const startWithSemaphore = (words) => (workshop) =>
	workshop.withSemaphore((name) => start(() => words(workshop, name))(workshop));

/** What answers lines on stdin, as words of a command. */
const batches = {
	ours: (workshop) => [workshop.command('ipc-sem'), 'batch'],
	C: (workshop) => [workshop.program('semaphore'), 'batch'],
	plainC: (workshop) => [workshop.program('semaphore'), 'batch', 'plain'],
	python: () => [python, script, 'batch'],
};

/** Thousands of pairs a second, once everything has started: all lines at once, all answers counted. */
const rate = (batch, pairs) => (workshop) =>
	workshop.withSemaphore(async (name) => {
		const count = workshop.quick ? pairs / 5 : pairs;
		const producer = [workshop.program('semaphore'), 'pairs', count, nameForC(batch, name)];
		const words = [...producer, '|', ...batch(workshop), '|', 'wc', '-l'];
		const {elapsedMs} = await workshop.pipeline(words, {prints: 2 * count});
		return count / elapsedMs;
	});

const askedCount = 20_000;

/** The same one line and one answer at a time, as a script does; the start of the batch counts. */
const askedRate = (batch) => (workshop) =>
	workshop.withSemaphore(async (name) => {
		const count = workshop.quick ? askedCount / 5 : askedCount;
		const asks = [workshop.program('semaphore'), 'ask', count, nameForC(batch, name), ...batch(workshop)];
		// Where the scheduler puts the two would make a factor of twenty.
		const {elapsedMs} = await workshop.launch(['taskset', '--cpu-list', '0', ...asks].map(String));
		return count / elapsedMs;
	});

const nameForC = (batch, name) => (batch === batches.ours ? name : `/${name}`);

/** GNU sem, one at a time. */
const gnuSem = (id) => ['sem', '--will-cite', '--id', id, '--jobs', '1', '--fg', 'true'];

export const semaphore = [
	{
		id: 'semaphore-batch',
		title: '1 M pairs of wait and post (--quick: 200 k), a line each, all at once',
		unit: 'k/s',
		better: 'more',
		rounds: {full: 9, quick: 3},
		ours: {name: 'ipc-sem batch', measure: rate(batches.ours, 1_000_000), must: 100},
		peers: [
			{name: 'C: 64 KiB at a time', measure: rate(batches.C, 1_000_000), aim: 0.5},
			{name: 'C: stdio, flushed', measure: rate(batches.plainC, 1_000_000)},
			{name: 'python3, ctypes', needs: 'python3', measure: rate(batches.python, 100_000)},
		],
	},
	{
		id: 'semaphore-ask',
		title: '20 k pairs (--quick: 4 k), each line sent when the one before was answered; on one core',
		unit: 'k/s',
		better: 'more',
		rounds: {full: 9, quick: 3},
		ours: {name: 'ipc-sem batch', needs: 'taskset', measure: askedRate(batches.ours)},
		// No budgets.
		peers: [
			{name: 'C: 64 KiB at a time', needs: 'taskset', measure: askedRate(batches.C)},
			{name: 'python3, ctypes', needs: 'python3', measure: askedRate(batches.python)},
		],
	},
	{
		id: 'semaphore-run',
		title: 'start to end of ipc-sem run NAME -- true',
		onNode: {must: 0.2, aim: 0.1},
		unit: 'ms',
		better: 'less',
		rounds: startRounds,
		ours: {
			name: 'ipc-sem run',
			measure: startWithSemaphore((workshop, name) => [workshop.command('ipc-sem'), 'run', name, '--', 'true']),
		},
		peers: [
			{name: 'GNU sem', needs: 'sem', measure: start(() => gnuSem('bench-run')), must: 1},
			{
				name: 'flock FILE true',
				needs: 'flock',
				measure: start(({emptyScript}) => ['flock', emptyScript, 'true']),
				must: 2,
				aim: 1.3,
			},
		],
	},
];
