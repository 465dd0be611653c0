import {native} from '../../native/index.js';
import {print, stdout} from '../output.js';
import {stopOnSignals} from '../process/signals.js';
import {showsUnicode} from './charset.js';
import {Keyboard} from './keyboard.js';

const hideCursor = '\x1b[?25l';
const showCursor = '\x1b[?25h';

/** A text on the terminal that is drawn again in place, under a line with the time. The cursor and the keys come back however it ends. */
export class Redraw implements Disposable {
	private shownRows = 0;
	private readonly keyboard = new Keyboard();
	/** The descriptor from which keys come; -1 for none. */
	keysFrom = -1;

	/** @param title stands at the left of the first line. */
	constructor(private readonly title: string) {
		stopOnSignals();
		print(hideCursor);
	}

	show(text: string): void {
		this.keysFrom = this.keyboard.descriptor();
		const columns = native.windowColumns(stdout) || 80;
		const rows = native.windowRows(stdout) || 24;
		const lines = [this.head(columns), ...text.trimEnd().split('\n')]
			.slice(0, rows - 1)
			.map((line) => [...line].slice(0, columns - 1).join(''));
		const back = this.shownRows > 0 ? `\x1b[${this.shownRows}A` : '';
		print(`${back}\r${lines.map((line) => `${line}\x1b[K\n`).join('')}\x1b[J`);
		this.shownRows = lines.length;
	}

	private head(columns: number): string {
		const clock = new Date().toTimeString().slice(0, 8);
		const right = this.keysFrom < 0 ? clock : `${clock}  q: quit`;
		return `${this.title.padEnd(columns - 1 - right.length)}${right}`;
	}

	/** Whether the user has pressed the key that ends this. */
	get isQuit(): boolean {
		return /[qQ]/.test(this.keyboard.pressed());
	}

	[Symbol.dispose](): void {
		this.keyboard[Symbol.dispose]();
		print(showCursor);
	}
}

const blocks = [...' ▁▂▃▄▅▆▇█'];
const letters = [...' .:-=+*#@'];

/** A level over time in one line; `full` is the highest possible, or 0 where that is not known. */
function sparkline(levels: readonly number[], full: number): string {
	const top = Math.max(full, ...levels, 1);
	const bars = showsUnicode() ? blocks : letters;
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
