// A stream of bytes through a FIFO: who stands at its two ends makes the difference.
import {throughFifo, twice} from './through-fifo.mjs';

const rounds = {full: 9, quick: 3};
const gibibyte = 1024 ** 3;

/**
 * GiB/s between two ends, once everything has started. A rate does not depend on the size, so the fast get more to
 * do: then the end of the last process, some milliseconds, weighs little with all of them.
 */
const rate = (ends, gibibytes, middle) => async (workshop) => {
	const bytes = workshop.gibibytes(gibibytes);
	const {producer, consumer, prints} = ends(workshop, bytes);
	const between = middle ? ['|', ...middle(workshop), '|'] : ['|'];
	const {elapsedMs} = await workshop.pipeline([...producer, ...between, ...consumer], {prints});
	return bytes / gibibyte / (elapsedMs / 1000);
};

const ipcPipe = (workshop) => throughFifo(workshop);
const splice = (workshop) => twice(workshop.program('splice'));
const spliceWithPause = (workshop) => twice(workshop.program('splice'), 'pause');
const copy =
	(...words) =>
	() =>
		twice(...words);

const spliceable = (workshop, bytes) => ({
	producer: [workshop.program('produce'), bytes],
	consumer: [workshop.program('consume')],
	prints: bytes,
});
const zeros = (bytes) => ['head', '-c', bytes, '/dev/zero'];
const intoWc = (_, bytes) => ({producer: zeros(bytes), consumer: ['wc', '-c'], prints: bytes});
const intoCat = (_, bytes) => ({producer: zeros(bytes), consumer: ['sh', '-c', 'exec cat >/dev/null']});

const shared = {unit: 'GiB/s', better: 'more', rounds};

const ordinary = (id, title, ends) => ({
	...shared,
	id,
	title,
	ours: {name: 'ipc-pipe send, recv', measure: rate(ends, 2, ipcPipe)},
	peers: [
		{name: 'cat', measure: rate(ends, 2, copy('cat')), must: 1.3, aim: 1.8},
		{name: 'pv -q', needs: 'pv', measure: rate(ends, 2, copy('pv', '-q')), must: 1},
		{name: 'dd bs=1M', measure: rate(ends, 2, copy('dd', 'bs=1M', 'status=none'))},
		{name: 'no FIFO at all', measure: rate(ends, 2)},
		{name: 'C: splice, 1 MiB pipes, pause', measure: rate(ends, 2, spliceWithPause)},
	],
});

export const fifo = [
	{
		...shared,
		id: 'fifo-splice',
		title: 'stream through a FIFO, ends that splice (vmsplice in, splice to /dev/null)',
		ours: {name: 'ipc-pipe send, recv', measure: rate(spliceable, 16, ipcPipe)},
		peers: [
			{name: 'cat', measure: rate(spliceable, 2, copy('cat')), must: 10},
			{name: 'pv -q', needs: 'pv', measure: rate(spliceable, 2, copy('pv', '-q'))},
			{name: 'socat -u', needs: 'socat', measure: rate(spliceable, 1, copy('socat', '-u', 'STDIN', 'STDOUT'))},
			{name: 'C: splice, 1 MiB pipes', measure: rate(spliceable, 16, splice), must: 0.8, aim: 0.95},
		],
	},
	ordinary('fifo-wc', 'stream through a FIFO between ordinary tools (head into wc -c)', intoWc),
	ordinary('fifo-cat', 'stream through a FIFO between ordinary tools (head into cat >/dev/null)', intoCat),
];
