// Random command lines and random stdin for the executable that is compiled with sanitizers: `npm run fuzz -- [SECONDS [SEED]]`. A
// defect is an end by a signal, a report of a sanitizer, an internal error, a status that no verb has, or a verb that does not end.
// `npm run test:sanitize` has to have made the executable.
import {spawn, spawnSync} from 'node:child_process';
import {randomInt} from 'node:crypto';
import {existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, unlinkSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {loadCommands} from '../src/build/commands.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const bin = join(root, 'dist', 'sanitized', 'bin');
if (!existsSync(join(bin, 'ipc-sem'))) {
	console.error('there is no executable with sanitizers; run: npm run test:sanitize -- native/');
	process.exit(2);
}
/** Random words are names of objects too: in namespaces of our own they take no room from others, and leave nothing. */
const isInside = 'IPC_FUZZ_INSIDE' in process.env;
if (!isInside) {
	const inside = ['-rmi', 'sh', '-c', 'mount -t tmpfs none /dev/shm && exec "$@"', 'sh', ...process.argv];
	const {status, error} = spawnSync('unshare', inside, {stdio: 'inherit', env: {...process.env, IPC_FUZZ_INSIDE: '1'}});
	if (error) throw error;
	process.exit(status ?? 1);
}
const [seconds = 60, seed = randomInt(2 ** 31)] = process.argv.slice(2).map(Number);
const folder = mkdtempSync(join(tmpdir(), 'ipc-fuzz-'));
process.on('exit', () => {
	spawnSync('umount', [join(folder, 'queues')], {stdio: 'ignore'});
	rmSync(folder, {recursive: true, force: true});
});

/** mulberry32: small, and the same everywhere. */
let state = seed;
function random() {
	state = (state + 0x6d2b79f5) | 0;
	let t = Math.imul(state ^ (state >>> 15), 1 | state);
	t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
	return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}
const upTo = (most) => Math.floor(random() * most);
const pick = (list) => list[upTo(list.length)];
const some = (most, make) => Array.from({length: upTo(most)}, make);

const prefix = `ipc-fuzz-${process.pid}-`;
const words = [
	...[
		'',
		'-',
		'--',
		'0',
		'1',
		'-1',
		'1e9',
		'0x10',
		'9223372036854775807',
		'18446744073709551616',
		'NaN',
		'1.5',
		'4K',
		'1G',
		'0777',
	],
	...[
		'10ms',
		'1s',
		'0',
		'TERM',
		'USR1',
		'RTMIN+3',
		'@x',
		'@',
		'./x',
		'/',
		'/dev/null',
		'tcp:127.0.0.1:1',
		'tls:x:0',
		'unix:',
		'[::1]',
	],
	...[
		'lines',
		'length',
		'json',
		'null',
		'raw',
		'a=b',
		'>=3',
		'!=0',
		'{"a":1}',
		'[',
		'"',
		'\u{1f600}',
		'é',
		'x'.repeat(300),
		'%s%n',
		'*',
	],
	...[`${prefix}a`, `${prefix}b`, `${prefix}c`, String(process.pid), '1', '4194304'],
];
const pieces = [
	'\n',
	'\0',
	'{',
	'}',
	'[',
	']',
	'"',
	':',
	',',
	'\\',
	'\\u',
	'1',
	'-',
	'e',
	' ',
	'\xff',
	'\x80',
	'\0\0\0\x05',
	'abc',
];
const lines = [
	'{"data":"x"}\n',
	'{"base64":"/w=="}\n',
	'{"data":"x","priority":3}\n',
	'{"jsonrpc":"2.0","method":"a","params":[1],"id":1}\n',
	'Content-Length: 5\r\n\r\n',
	`post ${prefix}a 2\n`,
	`wait ${prefix}a 1ms\n`,
	`value ${prefix}a\n`,
];
const inputOf = () => Buffer.from(some(40, () => (random() < 0.4 ? pick(lines) : pick(pieces))).join(''), 'latin1');

/** Verbs that stop or change what is not ours, whatever their words are. */
const dangerous = {
	'ipc-signal': ['send'],
	'ipc-shm': ['gc'],
	'ipc-sem': ['reap'],
	'ipc-pipe': [],
	'ipc-mq': [],
	'ipc-sock': [],
};

const {commands} = await loadCommands(root);
const verbs = commands.flatMap(({command}) =>
	Object.entries(command.verbs)
		.filter(([name]) => !dangerous[command.name].includes(name))
		.map(([name, verb]) => ({command: command.name, name, verb})),
);
const optionWords = (verb) =>
	Object.keys(verb.options).map((key) => `--${key.replace(/[A-Z]/g, (l) => `-${l.toLowerCase()}`)}`);

function commandLine() {
	const {command, name, verb} = pick(verbs);
	const options = [...optionWords(verb), '--json', '-t', '-n', '-q', '-v', '--help', '--nonsense'];
	const rest = some(6, () => (random() < 0.4 ? pick(options) : pick(words)));
	const operand = random() < 0.7 ? [`${prefix}${pick(['a', 'b', 'c'])}`] : [];
	const end = verb.takesCommand && random() < 0.5 ? ['--', 'true'] : [];
	return [command, ...(random() < 0.95 ? [name] : [pick(words)]), ...operand, ...rest, ...end];
}

const known = new Set([0, 1, 2, 3, 124, 125, 126, 127]);

/** Runs one; a verb that waits is stopped by TERM after a moment, as a user would stop it. */
function run([command, ...rest], input) {
	return new Promise((resolve) => {
		const child = spawn(join(bin, command), rest, {
			cwd: folder,
			env: {PATH: process.env.PATH, HOME: folder, IPC_RUNTIME_DIR: folder},
			stdio: ['pipe', 'pipe', 'pipe'],
		});
		let errors = '';
		child.stderr.on('data', (piece) => {
			errors = (errors + piece).slice(0, 20_000);
		});
		child.stdout.resume();
		child.stdin.on('error', () => {});
		child.stdin.end(input);
		const stop = setTimeout(() => child.kill('SIGTERM'), 400);
		const kill = setTimeout(() => child.kill('SIGKILL'), 20_000);
		child.on('close', (status, signal) => {
			clearTimeout(stop);
			clearTimeout(kill);
			resolve({status, signal, errors});
		});
	});
}

/** The bytes of all queues of a user have one limit, in all namespaces: what this takes is missing elsewhere. */
const queues = join(folder, 'queues');
mkdirSync(queues);
const canClear = spawnSync('mount', ['-t', 'mqueue', 'none', queues]).status === 0;
function clearQueues() {
	if (canClear) for (const name of readdirSync(queues)) unlinkSync(join(queues, name));
}

const until = Date.now() + seconds * 1000;
let count = 0;
let defects = 0;
while (Date.now() < until) {
	const words = commandLine();
	const input = inputOf();
	const {status, signal, errors} = await run(words, input);
	count++;
	clearQueues();
	const isFine =
		!/Sanitizer|runtime error:|internal error/.test(errors) &&
		(signal === null ? known.has(status) || status > 128 : ['SIGTERM', 'SIGPIPE'].includes(signal)) &&
		status !== 134;
	if (isFine) continue;
	defects++;
	console.log(JSON.stringify({words, input: input.toString('latin1'), status, signal}), `\n${errors}`);
}
console.log(`${count} command lines with the seed ${seed}, ${defects} defects`);
process.exitCode = defects > 0 ? 1 : 0;
