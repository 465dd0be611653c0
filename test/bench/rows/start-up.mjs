// From spawn to exit of a verb that asks the kernel one thing and ends: what a loop in a shell pays each time.
import {existsSync, writeFileSync} from 'node:fs';
import {once, posixIpc} from './through-queue.mjs';

export const startRounds = {full: 41, quick: 11};
const notNow = 3;

/** Milliseconds of one start. */
export const start = (words, statuses) => async (workshop) =>
	(await workshop.launch(words(workshop), {statuses})).elapsedMs;

/** `flock FILE true` starts two programs, /bin/true is the least that any program costs. */
const flock = {
	name: 'flock FILE true',
	needs: 'flock',
	measure: start(({emptyScript}) => ['flock', emptyScript, 'true']),
	must: 1,
};
const nothing = {name: '/bin/true', measure: start(() => ['/bin/true']), aim: 2};

/** Each time with a queue of its own, which is empty. */
const startWithQueue = (words, statuses) => (workshop) =>
	workshop.withQueue((name) => start(() => words(workshop, name), statuses)(workshop));

/** A python3 in the PATH may be a shell script that looks for the real one, which would not be python's fault. */
export const python = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';

const others = [
	{name: 'GNU sem', needs: 'sem', words: () => ['sem', '--will-cite', '--id', 'bench', '--fg', 'true']},
	{name: 'node, empty script', words: ({emptyScript}) => [process.execPath, emptyScript]},
	{name: 'python3 -c pass', needs: 'python3', words: () => [python, '-c', 'pass']},
	// Some call the help text a failure.
	{name: 'nc -h', needs: 'nc', words: () => ['nc', '-h'], statuses: [0, 1]},
].map(({name, needs, words, statuses}) => ({name, needs, measure: start(words, statuses)}));

/** What is done once and ends: all have the same budgets. */
const verb = (id, what, measure, peers = []) => ({
	id: `start-up-${id}`,
	title: `start to end of ${what}`,
	unit: 'ms',
	better: 'less',
	rounds: startRounds,
	onNode: {must: 0.12, aim: 0.06},
	ours: {name: what, measure},
	peers: [flock, nothing, ...peers],
});

/** What containers start as their first process: each runs `true`, and can reap orphans (tini as a subreaper, since it is not PID 1). */
export const inits = [
	{name: 'tini-static', needs: 'tini-static', words: ['tini-static', '-s', '--', 'true']},
	{name: 'tini', needs: 'tini', words: ['tini', '-s', '--', 'true']},
	{name: 'dumb-init', needs: 'dumb-init', words: ['dumb-init', '--', 'true']},
];

const ofCommand =
	(command, ...words) =>
	(workshop) => [workshop.command(command), ...words];

const withSemaphore =
	(...words) =>
	(workshop) =>
		workshop.withSemaphore((name) => start(ofCommand('ipc-sem', words[0], name, ...words.slice(1)))(workshop));

/** A segment with a counter. */
const withCounter =
	(...words) =>
	(workshop) =>
		workshop.withSegment((name, path) => {
			writeFileSync(path, Buffer.alloc(8));
			return start(ofCommand('ipc-shm', words[0], name, ...words.slice(1)))(workshop);
		});

/** A verb's help, a mistake, a TAB: read from what the build has made. */
const explaining = (id, what, statuses, command, ...words) => ({
	...verb(id, what, start(ofCommand(command, ...words), statuses)),
	peers: [{name: 'ipc-sem value', measure: withSemaphore('value'), must: 1.5, aim: 1}, nothing],
});

export const startUp = [
	verb(
		'pipe-wait',
		'ipc-pipe wait -n',
		start(ofCommand('ipc-pipe', 'wait', 'bench', '--reader', '-n'), [notNow]),
		others,
	),
	verb('sem-post', 'ipc-sem post', withSemaphore('post'), [
		{
			name: 'C: sem_open, sem_post',
			measure: (workshop) =>
				workshop.withSemaphore((name) => start(() => [workshop.program('semaphore'), 'post', `/${name}`])(workshop)),
		},
	]),
	verb('sem-value', 'ipc-sem value', withSemaphore('value')),
	verb(
		'mq-send',
		'ipc-mq send',
		startWithQueue((workshop, name) => [workshop.command('ipc-mq'), 'send', name, 'x']),
		[
			{name: 'C: mq_open, mq_send', measure: startWithQueue(once.C)},
			{name: 'python3, posix_ipc', needs: posixIpc, measure: startWithQueue(once.posixIpc)},
		],
	),
	verb(
		'mq-recv',
		'ipc-mq recv -n',
		startWithQueue((workshop, name) => [workshop.command('ipc-mq'), 'recv', '-n', name], [notNow]),
	),
	verb('shm-get', 'ipc-shm get', withCounter('get')),
	verb('shm-add', 'ipc-shm add', withCounter('add', '1')),
	verb('signal-send', 'ipc-signal send 0', start(ofCommand('ipc-signal', 'send', '0', String(process.pid))), [
		{name: 'C: kill', measure: start((workshop) => [workshop.program('signals'), 'once', process.pid])},
	]),
	{
		...verb('signal-run', 'ipc-signal run -- true', start(ofCommand('ipc-signal', 'run', '--', 'true'))),
		// Two programs: the budgets are those of `ipc-sem run`.
		onNode: {must: 0.2, aim: 0.1},
		peers: [
			{...flock, must: 2, aim: 1.3},
			{...nothing, aim: undefined},
			...inits.map(({name, needs, words}) => ({name: `${name} true`, needs, measure: start(() => words)})),
		],
	},
	verb('sock-wait', 'ipc-sock wait -n', start(ofCommand('ipc-sock', 'wait', 'nobody', '-n'), [notNow])),
	explaining('help', 'ipc-sock --help', [0], 'ipc-sock', '--help'),
	explaining('verb-help', 'ipc-sem run --help', [0], 'ipc-sem', 'run', '--help'),
	explaining('mistake', 'an unknown option', [2], 'ipc-sem', 'post', '--nme'),
	explaining('completion', 'one TAB', [0], 'ipc-sem', '--complete', 'ipc-sem', 'post', ''),
];
