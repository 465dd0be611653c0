// The most memory a command ever held, as the kernel counts it (VmHWM in proc(5), ru_maxrss in getrusage(2)): flat,
// however much flows.

import {linePipeline} from './records.mjs';
import {inits} from './start-up.mjs';
import {throughFifo} from './through-fifo.mjs';
import {ends, queuePipeline} from './through-queue.mjs';

const mebibyte = 1024 ** 2;
const gibibyte = 1024 ** 3;
/** Two runs of the same differ by so much: where an allocation happens to lie. */
const flat = 1.05;

const peakMib = ({peakKib}) => peakKib / 1024;

/** Stages of the pipelines here: 0 produces, 1 sends, 2 receives, 3 consumes. */
const stageOf = {send: 1, recv: 2};

const peakOfBytes = (verb, bytes) => async (workshop) => {
	const ends = {producer: [workshop.program('produce'), bytes], consumer: [workshop.program('consume')]};
	const words = [...ends.producer, '|', ...throughFifo(workshop), '|', ...ends.consumer];
	const {stages} = await workshop.pipeline(words, {prints: bytes});
	return peakMib(stages[stageOf[verb]]);
};

const peakOfRecords = (verb, count) => async (workshop) => {
	const {stages} = await linePipeline(workshop, count, throughFifo(workshop, '--framing', 'lines'));
	return peakMib(stages[stageOf[verb]]);
};

/** A queue carries a tenth of what a FIFO does in the same time: fewer when in a hurry. */
const peakOfMessages = (verb, count) => async (workshop) => {
	const {stages} = await queuePipeline(workshop, workshop.quick ? Math.ceil(count / 10) : count, ends.ours);
	return peakMib(stages[stageOf[verb]]);
};

const row = (id, title, ours, peers, rounds = {full: 5, quick: 3}) => ({
	id,
	title,
	unit: 'MiB',
	better: 'less',
	rounds,
	ours,
	peers,
	onNode: {must: 0.5, aim: 0.2},
});

const ofBytes = (verb) =>
	row(
		`memory-${verb}`,
		`peak memory of ipc-pipe ${verb}, a stream of bytes`,
		{name: '10 GiB', measure: peakOfBytes(verb, 10 * gibibyte), must: 8},
		[{name: '1 MiB', measure: peakOfBytes(verb, mebibyte), must: flat}],
	);

const ofRecords = (verb) =>
	row(
		`memory-${verb}-records`,
		`peak memory of ipc-pipe ${verb} --framing lines`,
		{name: '10 M records', measure: peakOfRecords(verb, 10_000_000), must: 8},
		[
			{name: '1 M records', measure: peakOfRecords(verb, 1_000_000), must: flat},
			// No budget: its buffers are never filled.
			{name: '1 record', measure: peakOfRecords(verb, 1)},
		],
	);

const ofMessages = (verb) =>
	row(
		`memory-mq-${verb}`,
		`peak memory of ipc-mq ${verb}, 3 M messages (--quick: 300 k)`,
		{name: 'all of them', measure: peakOfMessages(verb, 3_000_000), must: 8},
		[
			{name: 'a tenth of them', measure: peakOfMessages(verb, 300_000), must: flat},
			{name: '1 message', measure: peakOfMessages(verb, 1)},
		],
		{full: 3, quick: 1},
	);

const peakOfStart = (words) => async (workshop) => peakMib((await workshop.launch(words(workshop))).stages[0]);

/** Of a verb that does one thing and ends, and of one that only waits for a command. */
const ofStart = (id, title, words, peers = []) =>
	row(
		`memory-${id}`,
		`peak memory of ${title}`,
		{
			name: title,
			measure: peakOfStart(words),
			must: 4,
			aim: 3,
		},
		peers,
	);

export const memory = [
	ofStart('one-shot', 'ipc-signal send 0', (workshop) => [workshop.command('ipc-signal'), 'send', '0', process.pid]),
	ofStart(
		'signal-run',
		'ipc-signal run',
		(workshop) => [workshop.command('ipc-signal'), 'run', '--', 'true'],
		inits.map(({name, needs, words}) => ({
			name,
			needs,
			measure: peakOfStart(() => words),
			...(name === 'tini-static' ? {aim: 2} : {}),
		})),
	),
	ofBytes('send'),
	ofBytes('recv'),
	ofRecords('send'),
	ofRecords('recv'),
	ofMessages('send'),
	ofMessages('recv'),
];
