import {countOf} from '../errors.js';
import {formatDuration} from '../formats/duration.js';
import {formatSize} from '../formats/size.js';
import {isStderrTerminal, stderrColumns, tellRaw} from '../output.js';

const redrawMs = 250;
const lineMs = 1000;

/**
 * The progress of a transfer, on stderr: redrawn in place on a terminal, a line a second elsewhere.
 */
export class Progress {
	private readonly startMs = performance.now();
	private readonly onTerminal = isStderrTerminal();
	private shownMs = this.startMs;
	private shownAmount = 0;
	private amount = 0;
	private width = 0;

	/** `total` is the amount expected, where that is known: it gives a share and the time left. */
	constructor(
		private readonly unit: 'bytes' | 'records' | 'messages',
		private readonly total?: number,
	) {}

	/** How often a transfer should come up for air. */
	static readonly sliceMs = redrawMs;

	add(amount: number): void {
		this.amount += amount;
		const now = performance.now();
		if (now - this.shownMs >= (this.onTerminal ? redrawMs : lineMs)) this.show(now, false);
	}

	/** The last word: the whole amount and the mean rate. */
	finish(): void {
		this.show(performance.now(), true);
	}

	private show(now: number, isLast: boolean): void {
		const elapsed = now - this.startMs;
		const rate = isLast
			? this.amount / Math.max(elapsed / 1000, 1e-6)
			: (this.amount - this.shownAmount) / Math.max((now - this.shownMs) / 1000, 1e-6);
		this.shownMs = now;
		this.shownAmount = this.amount;
		const parts = [this.format(this.amount), `${this.format(rate)}/s`, formatDuration(elapsed)];
		if (this.total !== undefined && !isLast && this.amount > 0 && this.total > 0) {
			parts.push(`${Math.min(100, Math.floor((100 * this.amount) / this.total))}%`);
			const left = Math.max(0, this.total - this.amount);
			parts.push(`ETA ${formatDuration((left / this.amount) * elapsed)}`);
		}
		const text = parts.join('  ');
		if (!this.onTerminal) {
			tellRaw(`${text}\n`);
			return;
		}
		const shown = text.slice(0, Math.max(10, stderrColumns() - 1));
		tellRaw(`\r${shown.padEnd(this.width)}${isLast ? '\n' : ''}`);
		this.width = shown.length;
	}

	private format(amount: number): string {
		if (this.unit !== 'bytes') return countOf(Math.round(amount), this.unit.slice(0, -1));
		return `${formatSize(Math.round(amount))}${amount < 1024 ? 'B' : ''}`;
	}
}
