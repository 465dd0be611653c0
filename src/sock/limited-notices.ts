import {countOf} from '../common/errors.js';
import {tell} from '../common/output.js';

const burst = 10;
const refillMs = 5000;

/**
 * Messages about what clients do, and a client may do it as often as it likes. After ten in a row at most one is written
 * every five seconds; it tells how many were left out before it.
 */
export class LimitedNotices {
	private left = burst;
	private refilledAt = performance.now();
	private omitted = 0;
	private timer: NodeJS.Timeout | undefined;

	constructor(private readonly write: (message: string) => void = tell) {}

	tell(message: string | (() => string)): void {
		this.refill();
		if (this.left < 1) {
			this.omitted++;
			// In the event loop the number is written when it has become quiet; verbs that block write it at their end.
			this.timer ??= setTimeout(() => this.finish(), refillMs).unref();
			return;
		}
		this.left--;
		const omitted = this.takeOmitted();
		const text = typeof message === 'string' ? message : message();
		this.write(omitted === '' ? text : `${text} (${omitted})`);
	}

	/** Writes how many were left out, if any were. */
	finish(): void {
		const omitted = this.takeOmitted();
		if (omitted !== '') this.write(omitted);
	}

	private refill(): void {
		const now = performance.now();
		this.left = Math.min(burst, this.left + (now - this.refilledAt) / refillMs);
		this.refilledAt = now;
	}

	private takeOmitted(): string {
		clearTimeout(this.timer);
		this.timer = undefined;
		if (this.omitted === 0) return '';
		const text = `${countOf(this.omitted, 'more message')} like this ${this.omitted === 1 ? 'was' : 'were'} left out`;
		this.omitted = 0;
		return text;
	}
}
