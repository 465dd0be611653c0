// Objects on a NATS server of this machine, beside a script that uses the client library directly.
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {readdirSync, readFileSync} from 'node:fs';
import {setTimeout as sleep} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';

const script = fileURLToPath(new URL('../peers/nats-client.mjs', import.meta.url));
const lineCount = 50_000;
let server;
let place;
let objects = 0;

/** One server for all rows; it ends with the benchmark. */
async function needServer(workshop) {
	if (place) return;
	const store = ['-sd', `${workshop.folder}/nats`, '--ports_file_dir', workshop.folder];
	server = spawn('nats-server', ['-js', '-a', '127.0.0.1', '-p', '-1', ...store], {
		stdio: ['ignore', 'ignore', 'pipe'],
	});
	process.on('exit', () => server.kill('SIGKILL'));
	const found = () => readdirSync(workshop.folder).find((name) => name.startsWith('nats-server_'));
	let text = '';
	server.stderr.on('data', (piece) => {
		text += piece;
	});
	server.on('error', () => {});
	while (!text.includes('Server is ready')) {
		if (server.exitCode !== null) throw new Error(`nats-server ended with status ${server.exitCode}: ${text.trim()}`);
		await Promise.race([once(server.stderr, 'data'), sleep(1000)]);
	}
	while (!place) {
		place =
			found() && /nats:\/\/(127\.0\.0\.1:[0-9]+)/.exec(readFileSync(`${workshop.folder}/${found()}`, 'utf8'))?.[1];
		if (!place) await sleep(20);
	}
	server.stderr.resume();
	server.unref();
	server.stderr.unref();
	workshop.environment.NATS_URL = place;
}

const ways = {
	ours: {
		make: (workshop, name) => [workshop.command('ipc-mq'), 'create', `nats:${name}`, '--maxmsg', '10000000'],
		remove: (workshop, name) => [workshop.command('ipc-mq'), 'remove', `nats:${name}`],
		send: (workshop, name) => [workshop.command('ipc-mq'), 'send', `nats:${name}`],
		receive: (workshop, name, count) => [workshop.command('ipc-mq'), 'recv', `nats:${name}`, '--count', count],
	},
	client: Object.fromEntries(
		['make', 'remove', 'send', 'receive'].map((verb) => [
			verb,
			(_, name, ...more) => [process.execPath, script, verb === 'receive' ? 'recv' : verb, place, name, ...more],
		]),
	),
};

/** Thousands of messages a second, with the start of the command. */
const rate = (way, direction) => async (workshop) => {
	await needServer(workshop);
	const count = workshop.quick ? lineCount / 5 : lineCount;
	const name = `bench-${process.pid}-${++objects}`;
	workshop.run(...split(way.make(workshop, name)));
	try {
		const sending = [workshop.program('lines'), count, '|', ...way.send(workshop, name)];
		const sent = await workshop.pipeline([...sending, '|', 'wc', '-c'], {prints: 0});
		if (direction === 'in') return count / sent.elapsedMs;
		const received = await workshop.pipeline([...way.receive(workshop, name, count), '|', 'wc', '-l'], {prints: count});
		return count / received.elapsedMs;
	} finally {
		workshop.run(...split(way.remove(workshop, name)));
	}
};

const split = ([program, ...words]) => [program, words.map(String)];

const row = (id, title, direction) => ({
	id,
	title,
	unit: 'k/s',
	better: 'more',
	rounds: {full: 7, quick: 3},
	onNode: false,
	ours: {
		name: `ipc-mq ${direction === 'in' ? 'send' : 'recv'} nats:NAME`,
		needs: 'nats-server',
		measure: rate(ways.ours, direction),
	},
	peers: [
		{name: 'the client in a script', needs: 'nats-server', measure: rate(ways.client, direction), must: 0.8, aim: 0.95},
	],
});

/** Both run the same program for the calls, twice. */
const callers = {
	ours: {
		serve: (workshop, name, program) => [
			...[workshop.command('ipc-sock'), 'serve', `nats:${name}`, '--jobs', '2', '--worker', '--ready-fd', '1', '--'],
			...program,
		],
		call: (workshop, name, inFlight) => [
			...[workshop.command('ipc-sock'), 'call', `nats:${name}`, '--batch', '-t', '1m', '--in-flight', inFlight],
		],
		once: (workshop, name) => [workshop.command('ipc-sock'), 'call', `nats:${name}`, 'echo', '1', 'a'],
	},
	client: {
		serve: (_, name, program) => [process.execPath, script, 'serve', place, name, ...program],
		call: (_, name, inFlight) => [process.execPath, script, 'call', place, name, inFlight],
		once: (_, name) => [process.execPath, script, 'once', place, name],
	},
};

async function withServer(workshop, way, use) {
	await needServer(workshop);
	const name = `bench-${process.pid}-${++objects}`;
	const [program, ...words] = way.serve(workshop, name, [workshop.program('rpc'), 'work']);
	const serving = spawn(program, words, {env: workshop.environment, stdio: ['ignore', 'pipe', 'inherit']});
	try {
		await Promise.race([once(serving.stdout, 'data'), once(serving, 'exit')]);
		return await use(name);
	} finally {
		serving.kill();
		await once(serving, 'exit');
	}
}

/** Milliseconds of one call from the shell. */
const callOnce = (way) => (workshop) =>
	withServer(workshop, way, async (name) => (await workshop.launch(way.once(workshop, name))).elapsedMs);

/** Thousands of calls a second, with the start of the command. */
const callRate = (way, all, inFlight) => (workshop) =>
	withServer(workshop, way, async (name) => {
		const count = workshop.quick ? all / 5 : all;
		const calling = [workshop.program('rpc'), 'requests', count, '|', ...way.call(workshop, name, inFlight)];
		const {elapsedMs} = await workshop.pipeline([...calling, '|', 'wc', '-l'], {prints: count});
		return count / elapsedMs;
	});

const callRow = ({words = '', measure, budget, ...row}) => ({
	...row,
	onNode: false,
	ours: {name: `ipc-sock call nats:NAME${words}`, needs: 'nats-server', measure: measure(callers.ours)},
	peers: [{name: 'the client in a script', needs: 'nats-server', measure: measure(callers.client), ...budget}],
});

export const cluster = [
	callRow({
		id: 'cluster-call',
		title: 'start to end of ipc-sock call nats:NAME echo 1 a, over a NATS server',
		unit: 'ms',
		better: 'less',
		rounds: {full: 21, quick: 7},
		measure: callOnce,
		budget: {must: 1.25, aim: 1},
	}),
	callRow({
		id: 'cluster-calls-in-turn',
		title: '10 k calls over a NATS server (--quick: 2 k), each after the answer to the one before',
		unit: 'k/s',
		better: 'more',
		rounds: {full: 7, quick: 3},
		words: ' --batch --in-flight 1',
		measure: (way) => callRate(way, 10_000, 1),
		budget: {must: 0.8, aim: 1},
	}),
	callRow({
		id: 'cluster-calls-in-flight',
		title: '50 k calls over a NATS server (--quick: 10 k), many unanswered at a time',
		unit: 'k/s',
		better: 'more',
		rounds: {full: 7, quick: 3},
		words: ' --batch',
		measure: (way) => callRate(way, 50_000, 256),
		budget: {must: 0.8, aim: 1},
	}),
	row('cluster-in', '50 k lines of 60 bytes (--quick: 10 k) into a queue on a NATS server', 'in'),
	row('cluster-out', 'the same lines out of it', 'out'),
];
