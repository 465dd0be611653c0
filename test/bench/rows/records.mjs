// A stream of records through a FIFO. cat knows of no records: the difference is what they cost.
import {throughFifo, twice} from './through-fifo.mjs';

const lineCount = 1_000_000;

/** A pipeline of this many lines of 60 bytes. */
export const linePipeline = (workshop, count, middle) =>
	workshop.pipeline([workshop.program('lines'), count, '|', ...middle, '|', 'wc', '-l'], {prints: count});

/** Millions of records a second, once everything has started. */
const rate = (middle) => async (workshop) => {
	const {elapsedMs} = await linePipeline(workshop, lineCount, middle(workshop));
	return lineCount / 1e6 / (elapsedMs / 1000);
};

export const records = [
	{
		id: 'records',
		title: '1 M lines of 60 bytes through a FIFO, as records',
		unit: 'M/s',
		better: 'more',
		rounds: {full: 15, quick: 5},
		ours: {
			name: 'ipc-pipe send, recv --framing lines',
			measure: rate((workshop) => throughFifo(workshop, '--framing', 'lines')),
		},
		peers: [
			{name: 'cat', measure: rate(() => twice('cat'))},
			{name: 'ipc-pipe send, recv', measure: rate((workshop) => throughFifo(workshop))},
		],
	},
];
