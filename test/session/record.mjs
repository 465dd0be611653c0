// Records the picture of the README: node test/session/record.mjs [FILE] (default test/session/session.svg).
// It types session.txt into a shell in a terminal of tmux, line by line when the line before has ended, and draws the screen as it is
// then, in its colours. The shell is in namespaces of its own, so that it sees none of this machine's objects and leaves none.
import {spawnSync} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {delimiter, dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {drawScreen} from './draw-screen.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const columns = 80;
const rows = 40;

const [, script, file = join(here, 'session.svg'), isInside] = process.argv;
if (isInside === undefined) {
	const folder = mkdtempSync(join(tmpdir(), 'ipc-session-'));
	const privateMachine = join(here, '..', 'support', 'namespaces', 'private-machine.sh');
	const words = [
		'-rmpif',
		'--mount-proc',
		'--kill-child',
		'bash',
		privateMachine,
		process.execPath,
		script,
		file,
		'inside',
	];
	const env = {
		PATH: [join(here, '..', '..', 'bin'), process.env.PATH].join(delimiter),
		LANG: 'C.UTF-8',
		HOME: folder,
		IPC_RUNTIME_DIR: join(folder, 'run'),
		TMUX_TMPDIR: folder,
	};
	process.exitCode = spawnSync('unshare', words, {env, cwd: folder, stdio: 'inherit'}).status ?? 1;
	rmSync(folder, {recursive: true});
} else {
	record();
}

function record() {
	// A green prompt, and what is typed in bold.
	const prompt = "PS1='\\[\\e[32m\\]$\\[\\e[0;1m\\] ' PS0='\\e[0m'";
	const shell = `${prompt} PROMPT_COMMAND='tmux -L session wait-for -S prompt' exec bash --norc`;
	tmux('-f', '/dev/null', 'new-session', '-d', '-x', String(columns), '-y', String(rows), shell);
	waitForPrompt();
	for (const line of readFileSync(join(here, 'session.txt'), 'utf8').trimEnd().split('\n')) {
		tmux('send-keys', '-l', line);
		tmux('send-keys', 'Enter');
		waitForPrompt();
	}
	writeFileSync(file, drawScreen(tmux('capture-pane', '-e', '-p'), columns));
	tmux('kill-server');
}

/** Until the line before has ended and the next prompt stands there alone: what is typed earlier is printed twice. */
function waitForPrompt() {
	tmux('wait-for', 'prompt');
	while (tmux('display-message', '-p', '#{cursor_x}') !== '2\n');
}

function tmux(...words) {
	const {error, status, stdout, stderr} = spawnSync('tmux', ['-L', 'session', ...words], {encoding: 'utf8'});
	if (error) throw error;
	if (status !== 0) throw new Error(`tmux ${words.join(' ')}: ${stderr}`);
	return stdout;
}
