import {printable, UsageError} from '../errors.js';
import {columnsOf, isStdoutTerminal, print, printJson, stdout, wantsColor} from '../output.js';
import {showsUnicode} from './charset.js';

/** One column of a table, as data. */
export interface Column<Row> {
	/** In lower case: its name for --output; the heading is the same in capitals. */
	readonly name: string;
	readonly align?: 'right';
	/** A table that is too wide for the terminal loses the columns with a number, the highest first. */
	readonly spare?: number;
	readonly value: (row: Row) => string;
}

export interface ListOptions {
	readonly json?: boolean;
	/** Names of columns, separated by commas. */
	readonly output?: string | undefined;
	readonly noHeadings?: boolean;
}

/** How `list` prints what it finds: as a table, or each row as a JSON line. What cannot be printed is refused before that. */
export function listPrinter<Row extends object>(
	columns: readonly Column<Row>[],
	{json = false, output, noHeadings = false}: ListOptions,
): (rows: readonly Row[]) => Promise<void> {
	if (json && output !== undefined) throw new UsageError('--json and --output cannot be combined');
	const chosen = output === undefined ? columns : chooseColumns(columns, output);
	return async (rows) => {
		if (json) for (const row of rows) printJson(row);
		else if (output !== undefined) print(await formatTable(chosen, rows, {headings: !noHeadings}));
		else print(await formatTable(chosen, rows, {headings: !noHeadings, room: roomOnStdout()}));
	};
}

/** A table for a person at a terminal. */
export const terminalTable = <Row>(columns: readonly Column<Row>[], rows: readonly Row[]): Promise<string> =>
	formatTable(columns, rows, {headings: true, room: roomOnStdout() - 1});

/** What is read by a program has any width. */
const roomOnStdout = (): number => (isStdoutTerminal() ? columnsOf(stdout) : Number.POSITIVE_INFINITY);

/** The columns a user asked for by name, in that order. */
function chooseColumns<Row>(columns: readonly Column<Row>[], wish: string): readonly Column<Row>[] {
	return wish.split(',').map((word) => {
		const found = columns.find(({name}) => name === word.trim().toLowerCase());
		if (!found) throw new UsageError(`unknown column '${word}' (columns: ${columns.map(({name}) => name).join(', ')})`);
		return found;
	});
}

/** @param room what a line may be long; without it the table is as wide as its contents. */
export async function formatTable<Row>(
	columns: readonly Column<Row>[],
	rows: readonly Row[],
	{headings, room = Number.POSITIVE_INFINITY}: {headings: boolean; room?: number},
): Promise<string> {
	const bold = headings && wantsColor(stdout) ? await boldText() : (text: string) => text;
	const filled = columns.map((column) => fill(column, rows, headings));
	const shown = fitting(filled, room);
	const last = shown.at(-1);
	const before = shown.slice(0, -1).reduce((sum, {width}) => sum + width + gap.length, 0);
	if (last) cutTo(last, Math.max(leastOfLast, room - before));
	const line = (row: number) =>
		shown
			.map(({column, cells, width}, i) => {
				const cell = cells[row] as string;
				if (column.align === 'right') return ' '.repeat(width - lengthOf(cell)) + cell;
				return i === shown.length - 1 ? cell : cell + ' '.repeat(width - lengthOf(cell));
			})
			.join(gap);
	const lines = Array.from({length: rows.length + (headings ? 1 : 0)}, (_, i) => line(i));
	if (headings) lines[0] = bold(lines[0] as string);
	return lines.map((text) => `${text}\n`).join('');
}

const gap = '  ';

/** The last column may be cut to this width; the others are shown whole or not at all. */
const leastOfLast = 20;

interface FilledColumn<Row> {
	readonly column: Column<Row>;
	/** The heading first, if there is one. */
	cells: string[];
	width: number;
}

const lengthOf = (cell: string): number => [...cell].length;

function fill<Row>(column: Column<Row>, rows: readonly Row[], headings: boolean): FilledColumn<Row> {
	const cells = rows.map((row) => printable(column.value(row)) || '-');
	if (headings) cells.unshift(column.name.toUpperCase());
	return {column, cells, width: cells.reduce((most, cell) => Math.max(most, lengthOf(cell)), 0)};
}

function fitting<Row>(columns: readonly FilledColumn<Row>[], room: number): readonly FilledColumn<Row>[] {
	let shown = columns;
	const needed = () =>
		shown.reduce((sum, {width}, i) => {
			const isLast = i === shown.length - 1;
			return sum + (isLast ? Math.min(width, leastOfLast) : width + gap.length);
		}, 0);
	const bySpare = columns
		.filter(({column}) => column.spare !== undefined)
		.sort((a, b) => (b.column.spare as number) - (a.column.spare as number));
	for (const least of bySpare) {
		if (needed() <= room) break;
		shown = shown.filter((column) => column !== least);
	}
	return shown;
}

function cutTo<Row>(column: FilledColumn<Row>, width: number): void {
	if (column.width <= width) return;
	const mark = showsUnicode() ? '…' : '...';
	column.width = width;
	column.cells = column.cells.map((cell) =>
		lengthOf(cell) <= width ? cell : [...cell].slice(0, width - mark.length).join('') + mark,
	);
}

/** chalk is loaded when colour is wanted and not before. */
async function boldText(): Promise<(text: string) => string> {
	const {Chalk} = await import('chalk');
	return new Chalk({level: 1}).bold;
}

/** `name: value` lines, aligned; a value with several lines continues under its first. */
export function formatFields(fields: readonly (readonly [string, string | readonly string[]])[]): string {
	const width = Math.max(...fields.map(([name]) => name.length)) + 2;
	return fields
		.flatMap(([name, value]) =>
			[value].flat().map((line, i) => `${(i === 0 ? `${name}:` : '').padEnd(width)}${printable(line as string)}\n`),
		)
		.join('');
}
