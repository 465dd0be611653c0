// Rate and delay against the size of a message, as a plot: npm run bench:sizes. It writes sizes.json and sizes.svg beside this file.
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {stopInstrument} from './instrument.mjs';
import {median} from './judge.mjs';
import {formatMachine, machineFacts} from './machine.mjs';
import {drawPlots} from './plot.mjs';
import {withServer} from './rows/calls.mjs';
import {python} from './rows/start-up.mjs';
import {throughFifo, twice} from './rows/through-fifo.mjs';
import {ends, posixIpc} from './rows/through-queue.mjs';
import {Workshop} from './workshop.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const script = (name) => join(here, 'peers', name);
const sizes = [16, 64, 256, 1024, 4096, 8192];
const rounds = 5;
const mebibyte = 1024 ** 2;

/** So many that a run takes some tenths of a second. */
const countOf = (size) => Math.min(200_000, Math.floor((64 * mebibyte) / size));
const callCount = 5000;

/** MiB/s of lines of this size, newline included. */
const lineRate = async (workshop, size, middle) => {
	const count = countOf(size);
	const words = [workshop.program('lines'), count, size, '|', ...middle(count), '|', 'wc', '-l'];
	const {elapsedMs} = await workshop.pipeline(words, {prints: count});
	return ((count * size) / mebibyte / elapsedMs) * 1000;
};

const throughQueue = (pair) => (workshop, size) =>
	workshop.withQueue((name) => {
		const {sender, receiver} = pair(workshop, name);
		return lineRate(workshop, size, (count) => [...sender, '@', ...receiver(count)]);
	});

const throughRing = (workshop, size) =>
	workshop.withSegment((name) => {
		const command = workshop.command('ipc-shm');
		workshop.run(command, ['create', name, '--size', '1M']);
		return lineRate(workshop, size, (count) => [command, 'send', name, '@', command, 'recv', name, '--count', count]);
	});

/** Microseconds from a call to its answer, one at a time, with a parameter of this size. */
const callTime = (client) => (workshop, size) =>
	withServer(workshop, async (path) => {
		const words = [
			workshop.program('rpc'),
			'requests',
			callCount,
			size,
			'|',
			...client(workshop, path),
			'|',
			'wc',
			'-l',
		];
		const {elapsedMs} = await workshop.pipeline(words, {prints: callCount});
		return (elapsedMs * 1000) / callCount;
	});

const plots = [
	{
		title: 'rate of messages from stdin to stdout, MiB/s',
		series: [
			{
				name: 'ipc-pipe, records',
				isOurs: true,
				measure: (workshop, size) => lineRate(workshop, size, () => throughFifo(workshop, '--framing', 'lines')),
			},
			{name: 'ipc-shm, ring', isOurs: true, measure: throughRing},
			{name: 'ipc-mq', isOurs: true, measure: throughQueue(ends.ours)},
			{name: 'cat, no records', measure: (workshop, size) => lineRate(workshop, size, () => twice('cat'))},
			{name: 'C, message queue', measure: throughQueue(ends.plainC)},
			{name: 'python3, posix_ipc', needs: posixIpc.found, measure: throughQueue(ends.posixIpc)},
		],
	},
	{
		title: 'time of one call on a local socket, µs',
		series: [
			{
				name: 'ipc-sock call',
				isOurs: true,
				measure: callTime((workshop, path) => [
					workshop.command('ipc-sock'),
					...['call', path, '--batch', '--in-flight', '1'],
				]),
			},
			{name: 'C', measure: callTime((workshop, path) => [workshop.program('rpc'), 'call', path, 1])},
			{name: 'node:net', measure: callTime((_, path) => [process.execPath, script('rpc-client.cjs'), path])},
			{
				name: 'python3',
				needs: (workshop) => workshop.find('python3'),
				measure: callTime((_, path) => [python, script('rpc-client.py'), path]),
			},
		],
	},
];

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
	process.once(signal, () => {
		stopInstrument();
		process.emit('exit');
		process.kill(process.pid, signal);
	});

const workshop = new Workshop({quick: false});
const machine = machineFacts();
process.stdout.write(`${formatMachine(machine)}\n`);
const measured = [];
for (const {title, series} of plots) {
	process.stdout.write(`\n${title}\n${['', ...sizes].map((size) => String(size).padStart(8)).join('')}\n`);
	const present = series.filter(({needs}) => needs === undefined || needs(workshop));
	const samples = present.map(() => sizes.map(() => []));
	for (let round = 0; round < rounds; round++)
		for (const [at, size] of sizes.entries())
			for (const [which, {measure}] of present.entries()) samples[which][at].push(await measure(workshop, size));
	const lines = present.map(({name, isOurs = false}, which) => ({name, isOurs, medians: samples[which].map(median)}));
	for (const {name, medians} of lines)
		process.stdout.write(
			`${' '.repeat(8)}${medians.map((value) => value.toPrecision(3).padStart(8)).join('')}  ${name}\n`,
		);
	measured.push({title, lines});
}
writeFileSync(join(here, 'sizes.json'), `${JSON.stringify({machine, sizes, rounds, plots: measured}, null, '\t')}\n`);
writeFileSync(join(here, 'sizes.svg'), drawPlots(measured, sizes, formatMachine(machine)));
