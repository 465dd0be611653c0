import assert from 'node:assert/strict';
import {readdirSync, readFileSync, statSync} from 'node:fs';
import {join} from 'node:path';
import test from 'node:test';
import {commands as declared, readHere} from './support/reading.js';
import {launcher, root, run} from './support/run.js';
import {uniqueName} from './support/unique-name.js';
import {assertFails, runCommand, World} from './support/world.js';

const {version, bin, engines, os} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const commands = readdirSync(join(root, 'bin')).sort();

/** Every verb of a command, as its help names them. */
async function verbsOf(command: string): Promise<string[]> {
	const {stdout} = await runCommand(command, ['--help']);
	const section = /^Verbs:\n((?: {2}.*\n)+)/m.exec(stdout.toString())?.[1] ?? '';
	return [...section.matchAll(/^ {2}([\w-]+)/gm)].map(([, name]) => name as string);
}

test('a command that runs on Node has its own name among the processes, and in our lists', async (t) => {
	const world = new World(t);
	const hub = await world.start('ipc-sock', ['hub', 'room', '--ready-fd', '3']).ready();
	assert.equal(readFileSync(`/proc/${hub.pid}/comm`, 'utf8'), 'ipc-sock\n');
	const {listeners} = JSON.parse((await world.run('ipc-sock', ['stat', 'room', '--json'])).stdout.toString());
	assert.deepEqual(
		listeners.map(({pid, command}: {pid: number; command: string}) => [pid, command]),
		[[hub.pid, 'ipc-sock']],
	);
});

test('the package offers every command, on Linux, for Node 20 and later', () => {
	// One more for npx(1), which looks for the name of the package.
	assert.deepEqual(Object.keys(bin).sort(), [...commands, 'ipc-tools']);
	assert.deepEqual({engines, os}, {engines: {node: '>=20'}, os: ['linux']});
	for (const command of commands) assert.ok(statSync(launcher(command)).mode & 0o111, `${command} is executable`);
	assert.deepEqual(declared.map(({name}) => name).sort(), commands);
});

for (const [command, word, verb] of [
	['ipc-pipe', 'receive', 'recv'],
	['ipc-pipe', 'read', 'recv'],
	['ipc-mq', 'get', 'recv'],
	['ipc-shm', 'pop', 'recv'],
	['ipc-sock', 'write', 'send'],
	['ipc-mq', 'push', 'send'],
	['ipc-sem', 'lock', 'wait'],
	['ipc-signal', 'acquire', 'wait'],
	['ipc-sem', 'unlock', 'post'],
	['ipc-signal', 'exec', 'run'],
	['ipc-shm', 'incr', 'add'],
	['ipc-mq', 'delete', 'remove'],
	['ipc-sem', 'info', 'stat'],
	['ipc-sock', 'proxy', 'relay'],
	['ipc-sock', 'client', 'connect'],
	['ipc-sock', 'lsiten', 'listen'],
	['ipc-mq', 'lmits', 'limits'],
] as const)
	test(`${command} ${word}: '${verb}' is suggested`, async () => {
		const why = `${command}: unknown verb '${word}'; did you mean '${verb}'?\nTry '${command} --help'.\n`;
		assertFails(await runCommand(command, [word]), 2, why);
	});

for (const [command, ...words] of [
	['ipc-mq', 'remov', 'rem', 'purges', 'pruge', 'toString'],
	['ipc-shm', 'removes', 'gcc', 'rmm', 'unlock'],
	['ipc-sem', 'reapp', 'read'],
] as const)
	test(`${command} suggests no verb that destroys for a slip, and none that is far from what was typed: ${words.join(', ')}`, async () => {
		const verbs = (await verbsOf(command)).join(', ');
		for (const word of words) {
			const why = `${command}: unknown verb '${word}' (verbs: ${verbs})\nTry '${command} --help'.\n`;
			assertFails(await runCommand(command, [word]), 2, why);
		}
	});

for (const command of commands) {
	test(`${command} --help is on stdout, fits a screen and ends with examples`, async () => {
		const verbs = await verbsOf(command);
		assert.ok(verbs.length > 3);
		for (const words of [
			['--help'],
			['-h'],
			['help'],
			...verbs.flatMap((verb) => [
				[verb, '--help'],
				[verb, '-h'],
				['help', verb],
			]),
		]) {
			const {status, stdout, stderr} = await runCommand(command, words);
			const lines = stdout.toString().trimEnd().split('\n');
			assert.deepEqual({status, stderr}, {status: 0, stderr: ''}, words.join(' '));
			assert.match(lines[0] as string, new RegExp(`^Usage: ${command} `));
			assert.ok(lines.length <= 40, `${words.join(' ')}: ${lines.length} lines`);
			assert.ok(
				lines.every((line) => line.length <= 80),
				`${words.join(' ')}: a line is too long`,
			);
			assert.match(stdout.toString(), /\nExamples:\n( {2}# .*\n {2}.*\n?)+$/);
		}
	});

	test(`${command} itself says what the reading in this process says`, async () => {
		const verbs = await verbsOf(command);
		const [first, second, third] = [verbs.at(-1), verbs[1], verbs[2]] as [string, string, string];
		const lines = [
			['--help'],
			[],
			[first, '-h'],
			['frobnicate'],
			['help', second],
			[second, '--quite'],
			[third, '--color', 'sometimes'],
			['--version'],
			['--complete', command, ''],
		];
		// Each command does a third of them, so that each is done twice.
		const at = commands.indexOf(command);
		for (const words of lines.filter((_, i) => i % 3 === at % 3)) {
			const expected = await readHere(command, words);
			if (expected) assert.deepEqual(await run(launcher(command), words), expected, `${command} ${words.join(' ')}`);
		}
	});

	test(`${command} --version`, async () => {
		for (const words of [['--version'], ['-V'], ['version']]) {
			const {status, stdout, stderr} = await runCommand(command, words);
			assert.deepEqual([status, stdout.toString(), stderr], [0, `${command} (ipc-tools) ${version}\n`, '']);
		}
	});

	test(`${command} takes options before the verb`, async (t) => {
		const world = new World(t);
		const expected = await world.run(command, ['completion', 'fish', '--color', 'never']);
		const found = await world.run(command, ['-q', '--color', 'never', 'completion', 'fish']);
		assert.deepEqual(found, expected);
		assert.deepEqual([found.status, found.stderr], [0, '']);
		assertFails(
			await world.run(command, ['--color', 'completion', 'fish']),
			2,
			`${command}: the words before 'completion' are not all options with their values; write: ${command} completion [OPTIONS] SHELL\nTry '${command} completion --help'.\n`,
		);
	});

	test(`${command} used wrongly: status 2, a hint, and where to look`, async () => {
		const verbs = await verbsOf(command);
		assertFails(
			await runCommand(command, []),
			2,
			`${command}: a verb is missing: ${verbs.join(', ')}\nTry '${command} --help'.\n`,
		);
		assertFails(
			await runCommand(command, ['frobnicate']),
			2,
			new RegExp(`^${command}: unknown verb 'frobnicate' .*\nTry '${command} --help'.\n$`),
		);
		for (const verb of verbs) {
			assertFails(
				await runCommand(command, [verb, '--quite']),
				2,
				`${command}: unknown option '--quite'; did you mean '--quiet'?\nTry '${command} ${verb} --help'.\n`,
			);
			assertFails(
				await runCommand(command, [verb, '-%']),
				2,
				`${command}: unknown option '-%'\nTry '${command} ${verb} --help'.\n`,
			);
			assertFails(
				await runCommand(command, [verb, '--color', 'sometimes']),
				2,
				/--color: 'sometimes' is not one of auto, always, never|is missing/,
			);
		}
	});

	test(`${command} list --json prints all there is: -o with it is refused`, async () => {
		assertFails(
			await runCommand(command, ['list', '--json', '-o', 'name']),
			2,
			`${command}: --json and --output cannot be combined\nTry '${command} list --help'.\n`,
		);
	});

	test(`${command} says the same mistake on one line, control characters escaped`, async () => {
		assertFails(
			await runCommand(command, ['a\nb\x1b[31m']),
			2,
			new RegExp(`^${command}: unknown verb 'a\\\\nb\\\\e\\[31m' .*\n.*\n$`),
		);
	});

	test(`${command}: a closed or full stdout`, async (t) => {
		const world = new World(t);
		const piped = await world.shell(`(${command} --help; echo $? >&2) | true`);
		assert.match(piped.stderr, /^(141|0)\n$/);
		const full = await world.shell(`${command} --help >/dev/full`);
		assertFails(full, 1, `${command}: cannot write to stdout: no space left on the device\n`);
		const gone = await world.shell(`trap '' PIPE; exec 3> >(:); wait $!; ${command} --version >&3; echo $? >&2`);
		assert.equal(gone.stderr, '141\n');
	});

	test(`${command} completion gives scripts that the shells take, and candidates that fit`, async (t) => {
		const world = new World(t);
		const script = (await world.run(command, ['completion', 'bash'])).stdout.toString();
		const parsed = await world.shell('bash -n', {input: script});
		assert.deepEqual([parsed.status, parsed.stderr], [0, '']);
		const linesOf = (text: Buffer) => text.toString().split('\n').slice(0, -1);
		const candidates = async (...words: string[]) =>
			linesOf((await runCommand(command, ['--complete', command, ...words])).stdout);
		assert.deepEqual(await candidates(''), await verbsOf(command));
		assert.deepEqual(await candidates('compl'), ['completion']);
		assert.ok((await candidates('list', '--')).includes('--no-headings'));
		assert.deepEqual(await candidates('list', '--color', 'a'), ['auto', 'always']);
		assert.deepEqual(await candidates('completion', 'f'), ['fish']);
		assertFails(await world.run(command, ['completion', 'tcsh']), 2, /'tcsh' is not one of bash, zsh, fish/);
		if (!(await verbsOf(command)).includes('create')) return;
		const names = ['log', 'jobs'].map((word) => uniqueName(word));
		t.after(() => world.run(command, ['remove', ...names]));
		// Small: all queues of a user together have a limit.
		const size: Record<string, string[]> = {'ipc-shm': ['--size', '1K'], 'ipc-mq': ['--maxmsg', '1', '--msgsize', '9']};
		await world.run(command, ['create', ...names, ...(size[command] ?? [])]);
		const found = linesOf((await world.run(command, ['--complete', command, 'stat', ''])).stdout);
		assert.ok(names.every((name) => found.includes(name)));
		const begun = names[0]?.slice(0, -1);
		const completed = await world.shell(
			`source <(${command} completion bash); COMP_LINE='${command} stat ${begun}'; COMP_POINT=\${#COMP_LINE}; _${command.replace('-', '_')} ${command} ${begun} stat; echo "\${COMPREPLY[@]}"`,
		);
		assert.equal(completed.stdout.toString(), `${names[0]}\n`);
	});
}

// The same start.js for all.
for (const command of ['ipc-pipe', 'ipc-sock'])
	test(`${command} starts without its code cache, or with one that does not fit`, async (t) => {
		const world = new World(t);
		const line = [
			`mkdir -p dist/packages && cp "$ROOT/dist/${command}.js" "$ROOT/dist/start.js" "$ROOT/dist/native.node" dist`,
			`echo 'require("./start.js").start("${command}")' >dist/go.js`,
			`printf rubbish >dist/${command}.cache`,
			'node dist/go.js completion fish && rm dist/*.cache && node dist/go.js completion fish',
		].join(' && ');
		const {status, stdout, stderr} = await world.shell(line, {cwd: world.scratch, env: {ROOT: root}});
		const expected = (await world.run(command, ['completion', 'fish'])).stdout.toString();
		assert.deepEqual([status, stdout.toString(), stderr], [0, expected + expected, '']);
	});
