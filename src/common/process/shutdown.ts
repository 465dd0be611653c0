import {constants} from 'node:os';
import {hasCode} from '../errors.js';
import {processStat} from './process-status.js';

/**
 * For verbs that run commands and so live in the event loop: what stops us is passed on to the commands, which may
 * have something to clean up, and ends us once they have ended.
 */
export class StopInLoop implements Disposable {
	/** The signal that told us to stop. */
	signal: number | undefined;
	private readonly handlers = new Map<NodeJS.Signals, () => void>();

	/** `onStop` is called for every signal, `passOn` for signals that the commands have not received already. */
	constructor(passOn: (signal: NodeJS.Signals) => void, onStop: () => void = () => {}) {
		for (const name of ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'] as const) {
			const handler = () => {
				const isFirst = this.signal === undefined;
				this.signal ??= constants.signals[name];
				// Ctrl-C and Ctrl-\ at a terminal reach all that run in the foreground: passed on they would come twice.
				const cameFromTerminal = isFirst && (name === 'SIGINT' || name === 'SIGQUIT') && isInForeground();
				if (!cameFromTerminal) this.passOn(passOn, name);
				onStop();
			};
			this.handlers.set(name, handler);
			process.on(name, handler);
		}
	}

	/** A command that has ended already hears of nothing. */
	private passOn(passOn: (signal: NodeJS.Signals) => void, name: NodeJS.Signals): void {
		try {
			passOn(name);
		} catch (error) {
			if (!hasCode(error, 'ESRCH')) throw error;
		}
	}

	[Symbol.dispose](): void {
		for (const [name, handler] of this.handlers) process.off(name, handler);
	}
}

/** Whether our process group is the one its terminal listens to. proc(5), /proc/pid/stat */
export function isInForeground(): boolean {
	const {group, foreground} = processStat(process.pid) ?? {group: 0, foreground: 0};
	return foreground > 0 && group === foreground;
}
