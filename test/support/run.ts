import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {join} from 'node:path';
import type {Readable, Writable} from 'node:stream';
import {orAtExit} from './or-at-exit.js';
import {whereItHangs} from './proc.js';

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
	/** A program that still runs then hangs: it is killed, and whatever is awaited of it fails. */
	deadlineMs?: number;
}

/** Long, since the machine may be busy with something else: only a program that hangs gets there. */
const deadlineMs = 300_000;

/** The environment a command sees: nothing of ours that could change what it does. */
function cleanEnvironment(extra: Record<string, string> = {}): Record<string, string> {
	const {PATH = '', HOME = '', LANG = 'C.UTF-8'} = process.env;
	// With a socket for stdin, which is what Node gives it, bash believes to be run over the network and reads its start-up
	// file, whatever that does; but not where it is a shell within a shell.
	return {PATH: `${join(root, 'bin')}:${PATH}`, HOME, LANG, TERM: 'dumb', SHLVL: '1', ...extra};
}

/** What runs now. A test file that is interrupted leaves none of it behind. */
const alive = new Set<Running>();
orAtExit(() => {
	for (const running of alive) running.killGroup();
});

/** A program that runs, in a process group of its own. */
export class Running {
	readonly child: ChildProcess;
	readonly pid: number;
	/** How many bytes have come on its stdout. */
	received = 0;
	private readonly out: Buffer[] = [];
	private readonly err: Buffer[] = [];
	/** Once it has ended and all its output is here. Fails when its deadline has passed. */
	readonly closed: Promise<void>;
	private readonly line: string;

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
		this.line = [program, ...words].join(' ');
		this.closed = this.untilClosed(settings.deadlineMs ?? deadlineMs);
		// Not every test waits for the end of what it has started.
		this.closed.catch(() => {});
		if (settings.input !== undefined) this.stdin.end(settings.input);
	}

	private async untilClosed(milliseconds: number): Promise<void> {
		let late: string | undefined;
		const timer = setTimeout(() => {
			late = whereItHangs(this.pid);
			this.killGroup();
		}, milliseconds).unref();
		alive.add(this);
		// One that could not be started has no other end.
		await once(this.child, 'close').catch(() => {});
		alive.delete(this);
		clearTimeout(timer);
		if (late !== undefined)
			throw new Error(
				`${this.line}: still ran after ${milliseconds / 1000} s; stdout: ${excerpt(this.output)}, stderr: ${excerpt(this.errors)}\n${late}`,
			);
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
		await Promise.race([
			once(announcement, 'data'),
			this.closed.then(() => Promise.reject(new Error(`${this.line}: ended before it was ready: ${this.errors}`))),
		]);
		announcement.resume();
		return this;
	}

	/** The same for one of several of which some fail. */
	async readyOrEnded(): Promise<this> {
		await this.ready().catch(() => this.closed);
		return this;
	}

	/** Once it has printed this. */
	async printed(text: string): Promise<this> {
		while (!this.output.includes(text))
			await Promise.race([
				once(this.stdout, 'data'),
				this.closed.then(() => Promise.reject(new Error(`${this.line}: ended without '${text}': ${this.errors}`))),
			]);
		return this;
	}

	kill(signal: NodeJS.Signals = 'SIGTERM'): this {
		this.child.kill(signal);
		return this;
	}

	killGroup(): void {
		// It could not be started: that number would mean every process.
		if (this.pid < 0) return;
		try {
			process.kill(-this.pid, 'SIGKILL');
		} catch {
			// It has ended already.
		}
	}

	/** Never throws because the program failed, only when its deadline has passed. */
	async end(): Promise<Ended> {
		// A test that waits for the end writes nothing more.
		if (!this.stdin.writableEnded && this.child.stdin?.writable && this.child.exitCode === null) this.stdin.end();
		await this.closed;
		return {status: this.child.exitCode, signal: this.child.signalCode, stdout: this.output, stderr: this.errors};
	}
}

const excerpt = (text: string | Buffer): string => {
	const whole = typeof text === 'string' ? text : text.toString('latin1');
	return JSON.stringify(whole.length > 2000 ? `${whole.slice(0, 1000)} … ${whole.slice(-1000)}` : whole);
};

/** Runs a program to its end. */
export const run = (program: string, words: readonly string[], settings: RunSettings = {}): Promise<Ended> =>
	new Running(program, words, {input: '', ...settings}).end();
