// Calls (JSON-RPC, a line each) to one and the same server, a C program: how long one takes, and how many go through.
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync} from 'node:fs';
import {fileURLToPath} from 'node:url';

const script = (name) => fileURLToPath(new URL(`../peers/${name}`, import.meta.url));
const python = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';

/** Runs something while a server answers at this path. */
export async function withServer(workshop, use) {
	const path = `${workshop.folder}/rpc.sock`;
	const server = spawn(workshop.program('rpc'), ['serve', path], {stdio: ['ignore', 'pipe', 'inherit']});
	try {
		await Promise.race([once(server.stdout, 'data'), once(server, 'exit')]);
		return await use(path);
	} finally {
		server.kill();
		await once(server, 'exit');
	}
}

const command = (workshop, ...words) => [workshop.command('ipc-sock'), 'call', ...words];

/** Milliseconds of one call from the shell. */
const start = (words) => (workshop) =>
	withServer(workshop, async (path) => (await workshop.launch(words(workshop, path))).elapsedMs);

/** Thousands of calls a second, once everything has started; all have to be answered. */
const rate = (count, client) => (workshop) =>
	withServer(workshop, async (path) => {
		const calls = workshop.quick ? count / 5 : count;
		const words = [workshop.program('rpc'), 'requests', calls, '|', ...client(workshop, path), '|', 'wc', '-l'];
		const {elapsedMs} = await workshop.pipeline(words, {prints: calls});
		return calls / elapsedMs;
	});

const c = (inFlight) => (workshop, path) => [workshop.program('rpc'), 'call', path, inFlight];
const batch =
	(...words) =>
	(workshop, path) =>
		command(workshop, path, '--batch', ...words);

export const calls = [
	{
		id: 'call-once',
		title: 'start to end of ipc-sock call ADDR echo 1 a',
		unit: 'ms',
		better: 'less',
		rounds: {full: 41, quick: 11},
		onNode: {must: 0.3, aim: 0.15},
		ours: {name: 'ipc-sock call', measure: start((workshop, path) => command(workshop, path, 'echo', '1', 'a'))},
		peers: [
			{name: 'C', measure: start((workshop, path) => [workshop.program('rpc'), 'call-once', path]), must: 4, aim: 2},
		],
	},
	{
		id: 'calls-in-turn',
		title: '50 k calls on one connection (--quick: 10 k), each after the answer to the one before',
		unit: 'k/s',
		better: 'more',
		rounds: {full: 7, quick: 3},
		ours: {name: 'ipc-sock call --batch --in-flight 1', measure: rate(50_000, batch('--in-flight', '1'))},
		peers: [
			{name: 'C', measure: rate(50_000, c(1)), aim: 0.9},
			{
				name: 'node, node:net',
				measure: rate(50_000, (_, path) => [process.execPath, script('rpc-client.cjs'), path]),
				must: 1,
			},
			{name: 'python3', needs: 'python3', measure: rate(50_000, (_, path) => [python, script('rpc-client.py'), path])},
		],
	},
	{
		id: 'calls-in-flight',
		title: '500 k calls on one connection (--quick: 100 k), many unanswered at a time',
		unit: 'k/s',
		better: 'more',
		rounds: {full: 7, quick: 3},
		ours: {name: 'ipc-sock call --batch', measure: rate(500_000, batch()), must: 80},
		peers: [
			{name: 'C, 16 in flight', measure: rate(500_000, c(16)), aim: 0.5},
			// No budget: what there is to gain.
			{name: 'C, 256 in flight', measure: rate(500_000, c(256))},
		],
	},
];
