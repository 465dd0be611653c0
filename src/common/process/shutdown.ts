import {constants} from 'node:os';
import {EndBySignal} from '../exit.js';
import {processStat} from './process-status.js';
import type {RunningCommand} from './run-command.js';
import {SIGINT, SIGQUIT, SIGTERM} from './signals.js';
import {kill} from './termination.js';

/**
 * For verbs that use the event loop: a signal that tells us to stop is forwarded to the running commands, which may have
 * to clean up, and ends us once they have ended.
 */
export class Shutdown implements Disposable {
	/** The signal that told us to stop. */
	signal: number | undefined;
	/** Resolves once we have to stop, because of a signal or of `end`. */
	readonly stopped: Promise<void>;
	isStopped = false;
	/** How many signals have told us to stop. */
	signals = 0;
	private resolve: () => void = () => {};
	private readonly running = new Set<number>();
	private readonly handlers = new Map<NodeJS.Signals, () => void>();

	/** With `drains` the first signal, if it is SIGTERM, only stops us: the running commands end by themselves. */
	constructor({drains = false} = {}) {
		this.stopped = new Promise((resolve) => {
			this.resolve = resolve;
		});
		for (const name of ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'] as const) {
			const number = constants.signals[name];
			const handler = () => {
				const isFirst = this.signals++ === 0;
				if (drains && isFirst && number === SIGTERM) {
					this.end();
					return;
				}
				this.signal ??= number;
				if (!isFirst || !cameToAllFromTerminal(number)) for (const pid of this.running) kill(pid, number);
				this.end();
			};
			this.handlers.set(name, handler);
			process.on(name, handler);
		}
	}

	/** Until this command has ended, it gets the signals that tell us to stop. */
	passOnTo({pid, ended}: RunningCommand): void {
		if (pid === undefined) return;
		this.running.add(pid);
		ended.then(() => this.running.delete(pid));
	}

	/** The work is done. */
	end(): void {
		this.isStopped = true;
		this.resolve();
	}

	/** Once all is cleaned up: a signal that told us to stop ends us now. */
	finish(): void {
		if (this.signal !== undefined) throw new EndBySignal(this.signal);
	}

	[Symbol.dispose](): void {
		for (const [name, handler] of this.handlers) process.off(name, handler);
	}
}

/** Ctrl-C and Ctrl-\ at a terminal reach all processes in the foreground: forwarded, they would arrive twice. */
export const cameToAllFromTerminal = (signal: number): boolean =>
	(signal === SIGINT || signal === SIGQUIT) && isInForeground();

/** Whether our process group is the one its terminal listens to. proc(5), /proc/pid/stat */
function isInForeground(): boolean {
	const {group, foreground} = processStat(process.pid) ?? {group: 0, foreground: 0};
	return foreground > 0 && group === foreground;
}
