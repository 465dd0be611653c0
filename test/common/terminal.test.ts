import assert from 'node:assert/strict';
import test from 'node:test';
import {formatTable} from '../../src/common/terminal/table.js';
import {launcher, peer, type Running, type RunSettings} from '../support/run.js';
import {until} from '../support/until.js';
import {assertDone, assertFails, World} from '../support/world.js';

/** A world with a terminal. */
class TerminalWorld extends World {
	/** What is run there shows on its stdout, and reads what is written to its stdin. */
	atTerminal(columns: number, line: readonly string[], settings: RunSettings = {}): Running {
		const env = {TERM: 'xterm', PEER_COLUMNS: String(columns), ...settings.env};
		return this.startOther(peer('terminal-peer'), line, {...settings, env});
	}

	/** What a command of ours shows there. */
	async shown(columns: number, command: string, words: readonly string[], env: Record<string, string> = {}) {
		const {stdout} = await this.atTerminal(columns, [launcher(command), ...words], {env}).end();
		return stdout.toString().replaceAll('\r\n', '\n');
	}
}

/** Two FIFOs, one with a long name, and the heading of their table at a terminal of that width. */
const headings = (columns: number, expected: string) =>
	test(`a table at a terminal of ${columns} columns: ${expected}`, async (t) => {
		const world = new TerminalWorld(t);
		await world.pipe('create', 'log', 'x'.repeat(30));
		const [heading = '', ...rows] = (await world.shown(columns, 'ipc-pipe', ['list', '--color', 'never']))
			.trimEnd()
			.split('\n');
		assert.equal(heading.trim().split(/ +/).join(' '), expected);
		assert.equal(rows.length, 2);
		for (const row of [heading, ...rows]) assert.ok(row.length <= columns, row);
	});
headings(120, 'NAME MODE OWNER QUEUED CAPACITY READERS WRITERS LIFE');
headings(80, 'NAME QUEUED CAPACITY READERS WRITERS LIFE');
headings(70, 'NAME QUEUED READERS WRITERS LIFE');

test('the last column of a table is cut with a mark that the locale can show; --output prints all of it', async (t) => {
	const world = new TerminalWorld(t);
	await world.pipe('create', 'log');
	const name = 'x'.repeat(90);
	await world.pipe('create', name);
	const cut = async (env: Record<string, string>, ...words: string[]) =>
		(await world.shown(60, 'ipc-pipe', ['list', ...words], env)).split('\n')[2];
	assert.equal(await cut({}, '-o', 'life,name'), `permanent  ${name}`);
	assert.ok((await cut({}))?.startsWith(`${name}  `));
	const signals = (env: Record<string, string>) => world.shown(60, 'ipc-signal', ['list', '--color', 'never'], env);
	assert.match(await signals({LC_ALL: 'C.UTF-8'}), /^.{59}…$/m);
	assert.match(await signals({LC_ALL: 'C'}), /^[ -~]{57}\.\.\.$/m);
});

test('a short last column is not widened in a table that does not fit', async () => {
	const columns = [
		{name: 'name', value: () => 'x'.repeat(30)},
		{name: 'open', align: 'right' as const, value: () => '0'},
	];
	assert.equal(await formatTable(columns, [{}], {headings: false, room: 20}), `${'x'.repeat(30)}  0\n`);
});

/** The settings of the terminal are the same before and after a `watch` that ends in this way. */
const restores = (title: string, end: (terminal: Running, pid: number) => void, status: number) =>
	test(`watch gives the terminal back: ${title}`, async (t) => {
		const world = new TerminalWorld(t);
		await world.pipe('create', 'log');
		const watch = 'echo "pid=$$"; exec ipc-pipe watch log -i 20ms';
		const script = `trap : INT; echo "before=$(stty -g)"; bash -c '${watch}'; echo "status=$?"; echo "after=$(stty -g)"`;
		const terminal = await world.atTerminal(100, ['bash', '-c', script]).printed('level:');
		assert.match(terminal.output.toString(), /ipc-pipe watch +\d\d:\d\d:\d\d {2}q: quit/);
		const found = (name: string) => new RegExp(`${name}=(\\S+)`).exec(terminal.output.toString())?.[1];
		end(terminal, Number(found('pid')));
		await terminal.end();
		assert.deepEqual([found('status'), found('after')], [String(status), found('before')]);
		assert.ok(terminal.output.includes('\x1b[?25h'), 'the cursor is there again');
	});
restores('q', (terminal) => terminal.stdin.write('q'), 0);
restores('Ctrl-C', (terminal) => terminal.stdin.write('\x03'), 130);
restores('SIGTERM', (_, pid) => process.kill(pid, 'SIGTERM'), 143);

test('in the C locale the level over time is drawn in ASCII', async (t) => {
	const world = new TerminalWorld(t);
	await world.pipe('create', 'log');
	const shown = await world.shown(100, 'ipc-pipe', ['watch', 'log', '--count', '1'], {LC_ALL: 'C'});
	assert.match(shown, /level:/);
	assert.match(shown.replaceAll('\x1b', ''), /^[\n\r -~]*$/);
});

test('after a second at a terminal a command says what it waits for, and goes on when it comes', async (t) => {
	const world = new TerminalWorld(t);
	const begun = [
		['ipc-pipe send x </dev/null', "ipc-pipe: waiting for a reader of 'x'", 'ipc-pipe recv x'],
		['ipc-pipe recv y', "ipc-pipe: waiting for data from 'y'", 'ipc-pipe send y </dev/null'],
		['ipc-sock recv z', "ipc-sock: waiting for records on 'z'", 'ipc-sock send z a'],
		['ipc-signal wait USR1 --name r', 'ipc-signal: waiting for USR1', 'ipc-signal send USR1 @r'],
	].map(([line = '', said = '', other = '']) => ({
		said,
		other,
		terminal: world.atTerminal(100, ['bash', '-c', line]),
	}));
	for (const {said, other, terminal} of begun) {
		await terminal.printed(`${said}\r\n`);
		const {status, stderr} = await world.shell(other);
		assert.deepEqual([status, stderr], [0, ''], other);
		assert.equal((await terminal.end()).stdout.toString().split('waiting for').length, 2);
	}
});

test('a command in the background of a terminal does not say what it waits for, unless --verbose is given', async (t) => {
	const world = new TerminalWorld(t);
	// The one in the foreground begins to wait last.
	const line = 'set -m; ipc-pipe recv a -v & ipc-pipe recv b & ipc-pipe recv c';
	const terminal = world.atTerminal(100, ['bash', '-c', line]);
	await until('two say so', () =>
		['a', 'c'].every((name) => terminal.output.includes(`waiting for data from '${name}'`)),
	);
	for (const name of ['a', 'b', 'c']) assertDone(await world.shell(`ipc-pipe send ${name} </dev/null`));
	assert.doesNotMatch((await terminal.end()).stdout.toString(), /waiting for data from 'b'/);
});

test('what a command waits for is said soon with --verbose, and elsewhere than at a terminal not at all', async (t) => {
	const world = new TerminalWorld(t);
	const receiver = world.start('ipc-pipe', ['recv', 'x', '-v']);
	await until('it says so', () => receiver.errors === "ipc-pipe: waiting for data from 'x'\n");
	const silent = [
		world.run('ipc-pipe', ['recv', 'y', '-t', '1200ms']),
		world.run('ipc-pipe', ['recv', 'z', '-qv', '-t', '200ms']),
	];
	for (const ended of await Promise.all(silent)) assertFails(ended, 124, '');
	receiver.kill();
	await receiver.end();
});
