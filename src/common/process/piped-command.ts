import {type ChildProcess, spawn} from 'node:child_process';
import {type ChildEnd, endOf, watchEnd} from './child-end.js';
import {SIGKILL} from './signals.js';
import {kill, Termination} from './termination.js';

/**
 * A command with pipes to us, in a process group of its own, so that all it has started can be stopped. Started by Node
 * itself: `startCommand` says why.
 */
export class PipedCommand {
	/**
	 * Rejects with Node's reason where it could not be started. `until` tells what has to be over: the process, or the
	 * pipes too, which a descendant may hold longer.
	 */
	readonly ended: Promise<ChildEnd>;
	private readonly child: ChildProcess | undefined;
	private hasEnded = false;
	private readonly termination = new Termination((signal) => {
		this.signalGroup(signal);
		if (signal !== SIGKILL) return;
		// A process that has left the group may still hold our pipes: it is not waited for.
		this.stdout?.destroy();
		this.stderr?.destroy();
	});

	constructor(
		[program, ...rest]: readonly string[],
		{
			environment = process.env,
			stderr = 'pipe',
			until,
		}: {environment?: NodeJS.ProcessEnv; stderr?: 'pipe' | 'inherit'; until: 'exit' | 'close'},
	) {
		try {
			this.child = spawn(program as string, rest, {
				detached: true,
				env: environment,
				stdio: ['pipe', 'pipe', stderr],
			});
		} catch (error) {
			this.ended = Promise.reject(error);
			return;
		}
		const {child} = this;
		watchEnd(child.pid);
		this.ended = new Promise((resolve, reject) => {
			child.on('error', reject);
			child.on(until, (code: number | null, signal: NodeJS.Signals | null) => {
				this.hasEnded = true;
				this.termination[Symbol.dispose]();
				try {
					resolve(endOf(child.pid, code, signal));
				} catch (error) {
					reject(error);
				}
			});
		});
	}

	/** Absent where it could not be started. */
	get stdin() {
		return this.child?.stdin;
	}

	get stdout() {
		return this.child?.stdout;
	}

	get stderr() {
		return this.child?.stderr;
	}

	get isStopping(): boolean {
		return this.termination.hasBegun;
	}

	/** Does nothing once it has ended: by then another process group may have its number. */
	stop(): void {
		if (this.child?.pid !== undefined && !this.hasEnded) this.termination.begin();
	}

	/** To all that is left of the group. */
	signalGroup(signal: number): void {
		if (this.child?.pid !== undefined) kill(-this.child.pid, signal);
	}
}
