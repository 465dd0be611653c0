import assert from 'node:assert/strict';
import {mkdtempSync, readdirSync, rmSync, statSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {TestContext} from 'node:test';
import {orAtExit} from './or-at-exit.js';
import {performHere, readHere} from './reading.js';
import {type Ended, launcher, Running, type RunSettings, run} from './run.js';

/** Runs a command of ours to its end; what its command line alone decides is read in this process: see {@link readHere}. */
export async function runCommand(
	command: string,
	words: readonly string[],
	settings: RunSettings = {},
): Promise<Ended> {
	return (await readHere(command, words)) ?? run(launcher(command), words, settings);
}

/** A runtime folder for one test, with the commands that use it. All is gone afterwards, also when the test failed. */
export class World {
	readonly scratch = mkdtempSync(join(tmpdir(), 'ipc-tools-test-'));
	readonly folder = join(this.scratch, 'run');
	private readonly processes: Running[] = [];
	/** Those that end what they have started outside of their process group, when TERM tells them to end. */
	protected readonly servers: Running[] = [];

	constructor(t: TestContext) {
		const removeScratch = orAtExit(() => rmSync(this.scratch, {recursive: true, force: true}));
		t.after(async () => {
			for (const server of this.servers) server.kill();
			await Promise.allSettled(this.servers.map(({closed}) => closed));
			for (const process of this.processes) process.killGroup();
			removeScratch();
		});
	}

	get env(): Record<string, string> {
		return {IPC_RUNTIME_DIR: this.folder};
	}

	path(name: string): string {
		return join(this.folder, name);
	}

	file(name: string): string {
		return join(this.scratch, name);
	}

	/** Starts a command of ours and goes on. */
	start(command: string, words: readonly string[], settings: RunSettings = {}): Running {
		return this.startOther(launcher(command), words, settings);
	}

	/** Starts any program and goes on. */
	startOther(program: string, words: readonly string[], settings: RunSettings = {}): Running {
		const running = new Running(program, words, {...settings, env: {...this.env, ...settings.env}});
		this.processes.push(running);
		return running;
	}

	/** A line for the shell, with `$RUN` for the runtime folder. */
	shell(line: string, settings: RunSettings = {}): Promise<Ended> {
		return this.startOther('bash', ['-c', line], {
			input: '',
			...settings,
			env: {RUN: this.folder, ...settings.env},
		}).end();
	}

	/** Runs a command of ours to its end: see {@link runCommand}. */
	run(command: string, words: readonly string[], settings: RunSettings = {}): Promise<Ended> {
		const all = {...settings, env: {...this.env, ...settings.env}};
		// Completion looks for objects where the environment says that they are.
		const isRead = settings.env === undefined && words[0] !== '--get-yargs-completions';
		return isRead ? runCommand(command, words, all) : run(launcher(command), words, all);
	}

	/** Runs a verb that returns at once and does not look at the environment: see {@link performHere}. */
	async perform(command: string, ...words: string[]): Promise<Ended> {
		return (await performHere(command, words)) ?? this.run(command, words);
	}

	pipe(...words: string[]): Promise<Ended> {
		return this.run('ipc-pipe', words);
	}

	/** What lies in the runtime folder. */
	leftovers(): string[] {
		try {
			return readdirSync(this.folder).sort();
		} catch {
			return [];
		}
	}

	assertNothingLeft(): void {
		assert.deepEqual(this.leftovers(), []);
	}

	isFifo(name: string): boolean {
		return statSync(this.path(name)).isFIFO();
	}
}

/** Succeeded, with exactly this on stdout and nothing said. */
export function assertDone({status, signal, stdout, stderr}: Ended, expected?: string | Buffer): void {
	assert.deepEqual({status, signal, stderr}, {status: 0, signal: null, stderr: ''});
	if (typeof expected === 'string') assert.equal(stdout.toString(), expected);
	else if (expected)
		assert.ok(stdout.equals(expected), `${stdout.length} bytes came, ${expected.length} were expected`);
}

/** Ended with this status, exactly these lines on stderr and nothing on stdout: a crash cannot pass as a failure. */
export function assertFails(
	{status, signal, stdout, stderr}: Ended,
	expectedStatus: number,
	message: string | RegExp,
): void {
	assert.deepEqual(
		{status, signal, stdout: stdout.toString()},
		{status: expectedStatus, signal: null, stdout: ''},
		stderr,
	);
	if (typeof message === 'string') assert.equal(stderr, message);
	else assert.match(stderr, message);
}
