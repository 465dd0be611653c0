// The README and the manual pages, pasted: all examples of a page in order into one shell. Each ends, and nothing is left.
import assert from 'node:assert/strict';
import {spawnSync} from 'node:child_process';
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {describe, test} from 'node:test';
import {manualExamples, readmeExamples} from './support/examples/examples.js';
import {needs} from './support/needs.js';
import {root} from './support/run.js';
import {freePort} from './support/sockets.js';
import {World} from './support/world.js';

const support = (name: string) => join(root, 'test', 'support', name);
const privateMachine = ['-rmpif', '--mount-proc', '--kill-child', 'bash', support('namespaces/private-machine.sh')];
const isAllowed = spawnSync('unshare', [...privateMachine, 'true'], {stdio: 'ignore'}).status === 0;

interface Page {
	name: string;
	programs?: string[];
	/** What a reader has already: lines for the shell. */
	setting?: string;
	/** A block that matches gets a line before it and one after it. */
	around?: [RegExp, string, string];
	/** A last block, which removes what the page leaves to the reader. */
	after?: string;
	/** What the examples print, among other things. */
	prints: RegExp[];
}

/** Daemons of other projects, with their protocols. */
const daemon = (kind: string, path: string) =>
	`mkfifo d; python3 ${join(root, 'test', 'peers', 'rpc-server.py')} ${kind} ${path} >d & read -r line <d; rm d\n`;

/** A small program of the reader. */
const program = (name: string, ...lines: string[]) =>
	`mkdir -p bin; printf '%s\\n' '#!/bin/sh' ${lines.map((line) => `'${line}'`).join(' ')} >bin/${name}; chmod +x bin/${name}\n`;

const pages: Page[] = [
	{
		name: 'README.md',
		programs: ['ps', 'nats-server'],
		setting: `ln -s ${join(root, 'bin')} bin; printf '#!/bin/sh\necho deployed\n' >deploy; chmod +x deploy`,
		// What the lines of the table need, and leave.
		around: [/\$pid/, 'sleep 60 & pid=$!', 'wait $pid || :'],
		after: 'kill $server; wait $server; ipc-sem remove deploy pool',
		prints: [/"done": ?19/, /job 5/],
	},
	{
		name: 'ipc-pipe.1',
		programs: ['ps'],
		prints: [/30000 log\.txt/, /no reader/, /status 124/, /"/, /1000000/, /status 124/],
	},
	{
		name: 'ipc-signal.1',
		setting: program('nginx', 'trap "exit 0" QUIT', 'while :; do sleep 0.1; done'),
		prints: [/status 124/, /RTMIN.*42/, /status 143/, /web1 reads/, /RTMIN.*1/, /RTMIN.*2/, /RTMIN.*3/, /KILL/],
	},
	{
		name: 'ipc-sem.1',
		prints: [/this is the only instance/, /my turn/, /it is ready/, /gone/, /1000 units/],
	},
	{
		name: 'ipc-mq.1',
		prints: [/^2$/m, /stop all/, /build docs/, /6 done/, /^1\n2$/m, /^10000$/m, /^hello$/m],
	},
	{
		name: 'ipc-shm.1',
		prints: [/^1$/m, /"level": 2/, /^3$/m, /this process is first/, /^1000000$/m, / total\n/],
	},
	{
		name: 'ipc-sock.1',
		programs: ['python3', 'openssl'],
		setting: [
			'openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=db -keyout key.pem -out ca.pem 2>/dev/null\n',
			'ipc-sock listen /run/docker.sock -k -- sh -c "cat >/dev/null; printf \'HTTP/1.0 200 OK\\r\\n\\r\\n{}\\n\'" &\n',
			'ipc-sock listen /run/daemon.sock -k -- sed -u "s/$/: fine/" &\n',
			'mkdir -p .lightning/bitcoin .ethereum\n',
			daemon('qmp', '/run/vm.qmp'),
			daemon('mpv', '/run/mpv.sock'),
			daemon('lightningd', '.lightning/bitcoin/lightning-rpc'),
			daemon('geth', '.ethereum/geth.ipc'),
			'ipc-sock wait /run/docker.sock; ipc-sock wait /run/daemon.sock',
		].join(''),
		prints: [
			/^hello$/m,
			/^HELLO$/m,
			/status: fine/,
			/200 OK/,
			/it begins/,
			/READY=1/,
			/it is 42/,
			/^1000$/m,
			/running/,
		],
	},
	{name: 'ipc-cluster.7', programs: ['nats-server'], prints: [/job 5/]},
	{name: 'ipc-tools.7', prints: [/no reader/, /"text"/]},
	{
		name: 'ipc-cookbook.7',
		programs: ['make', 'cc', 'python3', 'gzip'],
		prints: [
			/linking/,
			/status: fine/,
			/[23][0-9] done, [0-9] left/,
			/4 requests, 400 bytes/,
			/the result is 42/,
			/KILL/,
			/42/,
			/43/,
		],
	},
];

const examplesOf = (name: string): string[] => (name === 'README.md' ? readmeExamples() : manualExamples(name));

describe('examples', {concurrency: 4}, () => {
	for (const {name, programs = [], setting = '', around, after, prints} of pages) {
		const {skip} = needs('jq', ...programs);
		test(`${name}: every example works, ends and leaves nothing`, {
			skip: skip || (!isAllowed && 'needs user, PID, mount and IPC namespaces'),
		}, async (t) => {
			const world = new World(t);
			const port = String(await freePort());
			const blocks = examplesOf(name)
				.map((block) => (around?.[0].test(block) ? `${around[1]}\n${block}\n${around[2]}` : block))
				.map((block) => block.replaceAll('4222', port));
			if (after) blocks.push(after);
			const [home, marks] = [world.file('home'), world.file('marks')];
			mkdirSync(home);
			writeFileSync(marks, '');
			const words = [...privateMachine, 'bash', support('examples/examples.sh'), home, marks, setting, ...blocks];
			const {stdout, stderr, status} = await world
				.startOther('unshare', words, {input: ''})
				.end()
				.catch((error) => {
					const at = readFileSync(marks, 'utf8').split('\n').length;
					throw new Error(`example ${at} does not end:\n${blocks[at - 1]}\n${error.message}`);
				});
			const shown = `${stdout}\n${stderr}`;
			assert.equal(status, 0, shown);
			const ended = readFileSync(marks, 'utf8').trim().split('\n');
			// A block that waits for what it has killed ends with the status of that.
			const expected = blocks.map(
				(block, at) => `${at + 1} ${/\bkill /.test(block) && ended[at]?.endsWith(' 143') ? 143 : 0}`,
			);
			assert.deepEqual(ended, expected, shown);
			assert.doesNotMatch(stderr, /Try 'ipc-|command not found|syntax error|No such file/);
			for (const pattern of prints) assert.match(shown, pattern);
		});
	}
});
