import {native} from '../../native/index.js';
import {print, stdout} from '../output.js';
import {stopOnSignals} from '../process/signals.js';

const hideCursor = '\x1b[?25l';
const showCursor = '\x1b[?25h';

/** A text on the terminal that is drawn again in place. The cursor comes back however it ends. */
export class Redraw implements Disposable {
	private shownRows = 0;

	constructor() {
		stopOnSignals();
		print(hideCursor);
	}

	show(text: string): void {
		const columns = native.windowColumns(stdout) || 80;
		const rows = native.windowRows(stdout) || 24;
		const lines = text
			.trimEnd()
			.split('\n')
			.slice(0, rows - 1)
			.map((line) => [...line].slice(0, columns - 1).join(''));
		const back = this.shownRows > 0 ? `\x1b[${this.shownRows}A` : '';
		print(`${back}\r${lines.map((line) => `${line}\x1b[K\n`).join('')}\x1b[J`);
		this.shownRows = lines.length;
	}

	[Symbol.dispose](): void {
		print(showCursor);
	}
}

const bars = [...' ▁▂▃▄▅▆▇█'];

/** A level over time in one line; `full` is the highest possible, or 0 where that is not known. */
function sparkline(levels: readonly number[], full: number): string {
	const top = Math.max(full, ...levels, 1);
	return levels.map((level) => bars[level === 0 ? 0 : Math.max(1, Math.ceil((level / top) * 8))]).join('');
}

/** The last minute or so of a level, as a line that grows to the right. */
export class Levels {
	private readonly levels: number[] = [];

	/** The line, with one more level at its end. */
	add(level: number, full: number): string {
		this.levels.push(level);
		if (this.levels.length > 60) this.levels.shift();
		return sparkline(this.levels, full);
	}
}
