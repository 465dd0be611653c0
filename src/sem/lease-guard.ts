import {quoted} from '../common/errors.js';
import {formatDuration} from '../common/formats/duration.js';
import {tell, tellError} from '../common/output.js';
import type {Meanwhile} from '../common/process/children.js';
import {SIGKILL, SIGTERM} from '../common/process/signals.js';
import {kill} from '../common/process/termination.js';
import {isKernelError, native} from '../native/index.js';
import {type Lease, leaseParts} from '../objects/semaphore/holding.js';

/** What becomes of a command whose unit cannot be renewed any more. */
export type OnLost = 'kill' | 'warn';

/**
 * Watches the lease of a unit while a command runs. A command that could be running when another process gets the unit is ended
 * before: by SIGTERM, then by SIGKILL.
 */
export class LeaseGuard implements Meanwhile {
	private step: 'held' | 'told' | 'killed' | 'over' = 'held';

	constructor(
		private readonly lease: Lease,
		private readonly shownName: string,
		private readonly onLost: OnLost,
		private readonly child: number,
		private readonly command: string,
		/** See native/calls/watchdog.c; -1 with `warn`. */
		private readonly watchdog: number,
	) {}

	get descriptor(): number {
		return this.lease.descriptor;
	}

	look(): void {
		if (this.step === 'over') return;
		const {state, ageMs} = this.lease.look();
		const {lengthMs} = this.lease;
		if (state === 'removed') {
			tell(`${quoted(this.shownName)} has been removed; ${quoted(this.command)} continues`);
			this.step = 'over';
		} else if (state === 'gone') {
			if (this.step === 'held') this.report('another process has it');
			if (this.onLost === 'kill') this.signal(SIGKILL);
			this.step = 'over';
		} else if (ageMs < leaseParts.told * lengthMs) {
			// With `warn` a unit may be renewed late, and still be ours.
			this.step = this.step === 'told' && this.onLost === 'warn' ? 'held' : this.step;
		} else if (this.step === 'held') {
			this.reportAge(ageMs);
			if (this.onLost === 'kill') this.signal(SIGTERM);
			this.step = 'told';
		}
		if (this.onLost === 'kill' && this.step === 'told' && ageMs >= leaseParts.killed * lengthMs) {
			this.signal(SIGKILL);
			this.step = 'killed';
		}
	}

	/** After the end of the command: where we were stopped meanwhile the watchdog has ended it. */
	explainEnd(): void {
		if (this.step !== 'held' || this.onLost === 'warn') return;
		const {state, ageMs} = this.lease.look();
		if (state === 'gone') this.report('another process has it');
		else if (state === 'held' && ageMs >= leaseParts.killed * this.lease.lengthMs) this.reportAge(ageMs);
	}

	private reportAge(ageMs: number): void {
		this.report(`its lease has not been renewed for ${formatDuration(ageMs)}`);
	}

	/** To the command and what it has started. */
	private signal(number: number): void {
		const bytes = new Uint8Array(BigInt64Array.of(BigInt(-number), 0n).buffer);
		try {
			if (native.write(this.watchdog, bytes, 0, bytes.length) === bytes.length) return;
		} catch (error) {
			if (!isKernelError(error)) throw error;
		}
		// The watchdog has been killed.
		kill(this.child, number);
	}

	private report(why: string): void {
		const what = this.onLost === 'kill' ? `ending ${quoted(this.command)}` : `${quoted(this.command)} continues`;
		tellError(`lost the unit of ${quoted(this.shownName)}: ${why}; ${what}`);
	}

	/** Also looks now and then: a wait takes no account of the time that the machine sleeps. */
	waitMs(): number {
		if (this.step === 'over' || this.step === 'killed') return -1;
		const {ageMs} = this.lease.look();
		const next = (this.step === 'held' ? leaseParts.told : leaseParts.killed) * this.lease.lengthMs - ageMs;
		return Math.ceil(Math.max(1, Math.min(next, this.lease.lengthMs / 5)));
	}
}
