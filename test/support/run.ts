import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {join} from 'node:path';
import type {Readable, Writable} from 'node:stream';

export const root = process.cwd();

/** The launcher a user would start. */
export const launcher = (command: string): string => join(root, 'bin', command);

export const peer = (name: string): string => join(root, 'dist', 'test', 'peers', name);

export interface Ended {
	status: number | null;
	signal: NodeJS.Signals | null;
	stdout: Buffer;
	stderr: string;
}

export interface RunSettings {
	input?: string | Buffer;
	env?: Record<string, string>;
	cwd?: string;
	/** After so long it is killed, and its end says so: status null, signal SIGKILL. */
	deadlineMs?: number;
}

const deadlineMs = 20_000;

/** The environment a command sees: nothing of ours that could change what it does. */
export function cleanEnvironment(extra: Record<string, string> = {}): Record<string, string> {
	const {PATH = '', HOME = '', LANG = 'C.UTF-8'} = process.env;
	// With a socket for stdin, which is what Node gives it, bash believes to be run over the network and reads its start-up
	// file, whatever that does; but not where it is a shell within a shell.
	return {PATH: `${join(root, 'bin')}:${PATH}`, HOME, LANG, TERM: 'dumb', SHLVL: '1', ...extra};
}

/** A program that runs, in a process group of its own. */
export class Running {
	readonly child: ChildProcess;
	readonly pid: number;
	/** How many bytes have come on its stdout. */
	received = 0;
	private readonly out: Buffer[] = [];
	private readonly err: Buffer[] = [];
	/** Once it has ended and all its output is here. */
	readonly closed: Promise<unknown>;
	private readonly timer: NodeJS.Timeout;

	constructor(program: string, words: readonly string[], settings: RunSettings = {}) {
		this.child = spawn(program, words, {
			env: cleanEnvironment(settings.env),
			cwd: settings.cwd,
			detached: true,
			stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
		});
		this.pid = this.child.pid ?? -1;
		this.child.stdout?.on('data', (piece: Buffer) => {
			this.out.push(piece);
			this.received += piece.length;
		});
		this.child.stderr?.on('data', (piece: Buffer) => this.err.push(piece));
		// A program that ends before it has read all of its input is its own business.
		this.child.stdin?.on('error', () => {});
		this.closed = once(this.child, 'close').catch(() => {});
		this.timer = setTimeout(() => this.killGroup(), settings.deadlineMs ?? deadlineMs).unref();
		if (settings.input !== undefined) this.stdin.end(settings.input);
	}

	get stdin(): Writable {
		return this.child.stdin as Writable;
	}

	get stdout(): Readable {
		return this.child.stdout as Readable;
	}

	get output(): Buffer {
		return Buffer.concat(this.out);
	}

	get errors(): string {
		return Buffer.concat(this.err).toString();
	}

	/** Once it has written its newline to descriptor 3: start it with `--ready-fd 3`. */
	async ready(): Promise<this> {
		const announcement = this.child.stdio[3] as Readable;
		await Promise.race([once(announcement, 'data'), this.closed]);
		announcement.resume();
		return this;
	}

	/** Once it has printed this. */
	async printed(text: string): Promise<this> {
		while (!this.output.includes(text))
			await Promise.race([
				once(this.stdout, 'data'),
				this.closed.then(() => Promise.reject(new Error(`ended without '${text}': ${this.errors}`))),
			]);
		return this;
	}

	kill(signal: NodeJS.Signals = 'SIGTERM'): this {
		this.child.kill(signal);
		return this;
	}

	killGroup(): void {
		try {
			process.kill(-this.pid, 'SIGKILL');
		} catch {
			// It has ended already.
		}
	}

	/** Never throws because it failed. */
	async end(): Promise<Ended> {
		// Whoever did not say anything more by then will not.
		if (!this.stdin.writableEnded && this.child.stdin?.writable && this.child.exitCode === null) this.stdin.end();
		await this.closed;
		clearTimeout(this.timer);
		return {status: this.child.exitCode, signal: this.child.signalCode, stdout: this.output, stderr: this.errors};
	}
}

/** Runs a program to its end. */
export const run = (program: string, words: readonly string[], settings: RunSettings = {}): Promise<Ended> =>
	new Running(program, words, {input: '', ...settings}).end();
