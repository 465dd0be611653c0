import {EndBySignal} from '../common/exit.js';
import {StopInLoop} from '../common/process/shutdown.js';

/** For verbs that use the event loop: one promise for all events that may end them. */
export class Stopping implements Disposable {
	readonly stopped: Promise<void>;
	isStopped = false;
	private resolve: () => void = () => {};
	private readonly stop: StopInLoop;

	constructor(passOn: (signal: NodeJS.Signals) => void = () => {}) {
		this.stopped = new Promise((resolve) => {
			this.resolve = resolve;
		});
		this.stop = new StopInLoop(passOn, () => this.end());
	}

	/** The work is done. */
	end(): void {
		this.isStopped = true;
		this.resolve();
	}

	/** Once all is cleaned up: a signal that told us to stop ends us now. */
	finish(): void {
		if (this.stop.signal !== undefined) throw new EndBySignal(this.stop.signal);
	}

	[Symbol.dispose](): void {
		this.stop[Symbol.dispose]();
	}
}
