// From spawn to exit of a verb that asks the kernel one thing and ends: what a loop in a shell pays each time.
import {existsSync} from 'node:fs';
import {once, posixIpc} from './through-queue.mjs';

export const startRounds = {full: 41, quick: 11};
const notNow = 3;

/** Milliseconds of one start. */
export const start = (words, statuses) => async (workshop) =>
	(await workshop.launch(words(workshop), {statuses})).elapsedMs;

const nonblocking = (verb) => ({
	name: `ipc-pipe ${verb} -n`,
	measure: start((workshop) => [workshop.command('ipc-pipe'), verb, '-n', workshop.fifo], [notNow]),
});

/** One that nobody made: then it is made first, and removed at the end unless somebody else uses it. */
const withFifoOfItsOwn = {
	name: 'ipc-pipe send -n, FIFO made',
	measure: start((workshop) => [workshop.command('ipc-pipe'), 'send', '-n', 'made-for-this'], [notNow]),
};

/** Each time with a queue of its own, which is empty. */
const startWithQueue = (words, statuses) => (workshop) =>
	workshop.withQueue((name) => start(() => words(workshop, name), statuses)(workshop));

export const emptyScript = {
	name: 'node, empty script',
	measure: start(({emptyScript}) => [process.execPath, emptyScript]),
	must: 1.35,
	aim: 1.1,
};

/** A python3 in the PATH may be a shell script that looks for the real one, which would not be python's fault. */
export const python = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';

const installed = [
	{name: 'GNU sem', needs: 'sem', words: () => ['sem', '--will-cite', '--id', 'bench', '--fg', 'true']},
	{name: 'python3 -c pass', needs: 'python3', words: () => [python, '-c', 'pass']},
	{name: 'flock FILE true', needs: 'flock', words: ({emptyScript}) => ['flock', emptyScript, 'true']},
	// Some call the help text a failure.
	{name: 'nc -h', needs: 'nc', words: () => ['nc', '-h'], statuses: [0, 1]},
].map(({name, needs, words, statuses}) => ({name, needs, measure: start(words, statuses)}));

export const startUp = [
	{
		id: 'start-up-send',
		title: 'start to end of ipc-pipe send -n on a FIFO that nobody reads',
		unit: 'ms',
		better: 'less',
		rounds: startRounds,
		ours: nonblocking('send'),
		peers: [emptyScript, withFifoOfItsOwn, ...installed],
	},
	{
		id: 'start-up-recv',
		title: 'start to end of ipc-pipe recv -n on a FIFO that nobody writes',
		unit: 'ms',
		better: 'less',
		rounds: startRounds,
		ours: nonblocking('recv'),
		peers: [emptyScript],
	},
	{
		id: 'start-up-mq-send',
		title: 'start to end of ipc-mq send NAME x',
		unit: 'ms',
		better: 'less',
		rounds: startRounds,
		ours: {
			name: 'ipc-mq send',
			measure: startWithQueue((workshop, name) => [workshop.command('ipc-mq'), 'send', name, 'x']),
		},
		peers: [
			emptyScript,
			{name: 'C: mq_open, mq_send', measure: startWithQueue(once.C)},
			{name: 'python3, posix_ipc', needs: posixIpc, measure: startWithQueue(once.posixIpc)},
		],
	},
	{
		id: 'start-up-mq-recv',
		title: 'start to end of ipc-mq recv -n on an empty queue',
		unit: 'ms',
		better: 'less',
		rounds: startRounds,
		ours: {
			name: 'ipc-mq recv -n',
			measure: startWithQueue((workshop, name) => [workshop.command('ipc-mq'), 'recv', '-n', name], [notNow]),
		},
		peers: [emptyScript],
	},
	{
		id: 'start-up-signal-send',
		title: 'start to end of ipc-signal send 0 PID',
		unit: 'ms',
		better: 'less',
		rounds: startRounds,
		ours: {
			name: 'ipc-signal send 0',
			measure: start((workshop) => [workshop.command('ipc-signal'), 'send', '0', process.pid]),
		},
		peers: [
			emptyScript,
			{name: 'C: kill', measure: start((workshop) => [workshop.program('signals'), 'once', process.pid])},
		],
	},
];
