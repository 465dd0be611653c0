// Shared memory: much data in and out, and lines through a ring.
import {execFileSync} from 'node:child_process';
import {linePipeline} from './records.mjs';
import {twice} from './through-fifo.mjs';
import {ends, queuePipeline} from './through-queue.mjs';

const gibibyte = 1024 ** 3;
const rounds = {full: 7, quick: 3};
const lineCount = 1_000_000;

/** 2 GiB, or as much as half of what is free takes. */
function segmentBytes(workshop) {
	const most = Math.floor(workshop.freeSharedMemory() / 2 / gibibyte) || 0.25;
	return Math.min(workshop.quick ? 0.5 : 2, most) * gibibyte;
}

const inOut = {unit: 'GiB/s', better: 'more', rounds};

/** GiB/s into a segment that is new each time: that its pages have to be found and cleared is part of it. */
const rateIn = (words) => (workshop) =>
	workshop.withSegment(async (name, path) => {
		const bytes = segmentBytes(workshop);
		const {elapsedMs} = await workshop.pipeline([
			workshop.program('produce'),
			bytes,
			'|',
			...words(workshop, name, path),
		]);
		if (workshop.sizeOf(path) !== bytes) throw new Error(`${workshop.sizeOf(path)} of ${bytes} bytes came`);
		return bytes / gibibyte / (elapsedMs / 1000);
	});

/** GiB/s out of a segment that is there. */
const rateOut = (words) => (workshop) =>
	workshop.withSegment(async (name, path) => {
		const bytes = segmentBytes(workshop);
		workshop.run(workshop.command('ipc-shm'), ['create', name, '--size', String(bytes)]);
		const {elapsedMs} = await workshop.pipeline([...words(workshop, name, path), '|', 'wc', '-c'], {prints: bytes});
		return bytes / gibibyte / (elapsedMs / 1000);
	});

const ringEnds = (workshop, name) => {
	const command = workshop.command('ipc-shm');
	return (count) => [command, 'send', name, '@', command, 'recv', name, '--count', count];
};

/** Millions of lines a second through a ring of 1 MiB. The first time, what came is compared as well. */
function ringRate() {
	let isChecked = false;
	return (workshop) =>
		workshop.withSegment(async (name) => {
			const count = workshop.quick ? lineCount / 5 : lineCount;
			workshop.run(workshop.command('ipc-shm'), ['create', name, '--size', '1M']);
			const middle = ringEnds(workshop, name);
			const line = [workshop.program('lines'), count, '|', ...middle(count), '|'];
			if (!isChecked) {
				const lines = execFileSync(workshop.program('lines'), [String(count)], {maxBuffer: 2 ** 30});
				const prints = execFileSync('cksum', {input: lines, encoding: 'utf8'}).trim();
				await workshop.pipeline([...line, 'cksum'], {prints});
				isChecked = true;
			}
			const {elapsedMs} = await workshop.pipeline([...line, 'wc', '-l'], {prints: count});
			return count / 1e6 / (elapsedMs / 1000);
		});
}

const linesThrough = (pipeline) => async (workshop) => {
	const count = workshop.quick ? lineCount / 5 : lineCount;
	const {elapsedMs} = await pipeline(workshop, count);
	return count / 1e6 / (elapsedMs / 1000);
};

export const segment = [
	{
		...inOut,
		id: 'segment-in',
		title: '2 GiB (--quick: 0.5; less where /dev/shm is small) from a pipe into a new segment',
		ours: {
			name: 'ipc-shm write --create',
			measure: rateIn((workshop, name) => [workshop.command('ipc-shm'), 'write', name, '--create']),
		},
		peers: [
			{name: 'cat >/dev/shm/…', measure: rateIn((_, __, path) => ['sh', '-c', `exec cat >${path}`]), must: 1.2},
			{name: 'dd bs=1M', measure: rateIn((_, __, path) => ['dd', 'bs=1M', 'status=none', `of=${path}`])},
			{
				name: 'C: read, write of 1 MiB',
				measure: rateIn((workshop, _, path) => [workshop.program('segment'), 'in', path]),
				aim: 0.95,
			},
		],
	},
	{
		...inOut,
		id: 'segment-out',
		title: '2 GiB (--quick: 0.5; less where /dev/shm is small) from a segment into wc -c',
		ours: {name: 'ipc-shm read', measure: rateOut((workshop, name) => [workshop.command('ipc-shm'), 'read', name])},
		peers: [
			{name: 'cat /dev/shm/…', measure: rateOut((_, __, path) => ['cat', path]), must: 2},
			{name: 'pv -q', needs: 'pv', measure: rateOut((_, __, path) => ['pv', '-q', path])},
			{name: 'dd bs=1M', measure: rateOut((_, __, path) => ['dd', 'bs=1M', 'status=none', `if=${path}`])},
			{
				name: 'C: read, write of 1 MiB',
				measure: rateOut((workshop, _, path) => [workshop.program('segment'), 'out', path]),
				aim: 0.95,
			},
		],
	},
	{
		id: 'ring',
		title: '1 M lines of 60 bytes (--quick: 200 k) through a ring of 1 MiB in shared memory',
		unit: 'M/s',
		better: 'more',
		rounds: {full: 9, quick: 3},
		ours: {name: 'ipc-shm send, recv', measure: ringRate()},
		peers: [
			{
				name: 'ipc-mq send, recv',
				measure: linesThrough((workshop, count) => queuePipeline(workshop, count, ends.ours)),
				must: 3,
			},
			{
				name: 'a FIFO, cat to cat',
				measure: linesThrough((workshop, count) => linePipeline(workshop, count, twice('cat'))),
				aim: 1,
			},
		],
	},
];
