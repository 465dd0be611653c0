// Queued signals with values, from a C program that sends as fast as it can: the kernel's queue is all that is between.
import {rmSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

const script = fileURLToPath(new URL('../peers/signals.py', import.meta.url));
const python = process.env.PYTHON || '/usr/bin/python3';
const name = 'bench-signals';

/** Where a receiver writes its number: ours does so when it registers a name. */
const fileOf = (workshop) => join(dirname(workshop.fifoPath), `${name}.receiver`);

const receivers = {
	ours: (workshop, count) => [workshop.command('ipc-signal'), 'wait', 'RTMIN', '--count', count, '--name', name],
	C: (workshop, count, ...how) => [workshop.program('signals'), 'recv', fileOf(workshop), count, ...how],
	python: (workshop, count, ...how) => [python, script, 'recv', fileOf(workshop), count, ...how],
};

/** The others leave their file, and ours cannot take one that is not its own for a receiver's. */
const fresh = (work) => async (workshop) => {
	rmSync(fileOf(workshop), {force: true});
	return work(workshop);
};

/** Millions of signals a second, each printed as a line; whoever loses one does not end. */
const rate = (receiver) =>
	fresh(async (workshop) => {
		const count = workshop.quick ? 100_000 : 500_000;
		const words = [workshop.program('signals'), 'flood', fileOf(workshop), count, '@', ...receiver(workshop, count)];
		const {elapsedMs} = await workshop.pipeline([...words, '|', 'wc', '-l'], {prints: count});
		return count / 1e6 / (elapsedMs / 1000);
	});

/** Microseconds from a signal to its line in a FIFO, and back to who sent it. */
const latency = (receiver) =>
	fresh(async (workshop) => {
		const count = workshop.quick ? 2000 : 10_000;
		const ping = [workshop.program('signals'), 'ping', fileOf(workshop), count, workshop.fifoPath];
		// Opened for both, since nobody reads it before the first stage is let go.
		const into = ['sh', '-c', 'exec "$@" 1<>"$0"', workshop.fifoPath];
		const {elapsedMs} = await workshop.pipeline([...ping, '@', ...into, ...receiver(workshop, count, 'flush')]);
		return (elapsedMs * 1000) / count;
	});

export const signals = [
	{
		id: 'signals',
		title: '500 k queued signals with values (--quick: 100 k), from sigqueue in C to a line each',
		unit: 'M/s',
		better: 'more',
		rounds: {full: 9, quick: 3},
		ours: {name: 'ipc-signal wait --count', measure: rate(receivers.ours)},
		peers: [
			{name: 'C: sigwaitinfo', measure: rate(receivers.C), must: 0.3, aim: 0.7},
			{name: 'python3, sigwaitinfo', needs: 'python3', measure: rate(receivers.python)},
		],
	},
	{
		id: 'signals-latency',
		title: 'one queued signal to its line, then the next',
		unit: 'µs',
		better: 'less',
		rounds: {full: 9, quick: 3},
		// No budgets: it is the kernel's time to wake two processes.
		ours: {name: 'ipc-signal wait --count', measure: latency((workshop, count) => receivers.ours(workshop, count))},
		peers: [
			{name: 'C: sigwaitinfo', measure: latency(receivers.C)},
			{name: 'python3, sigwaitinfo', needs: 'python3', measure: latency(receivers.python)},
		],
	},
];
