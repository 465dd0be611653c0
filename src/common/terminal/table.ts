import {printable, UsageError} from '../errors.js';
import {print, stdout, wantsColor} from '../output.js';

/** One column of a table, as data. */
export interface Column<Row> {
	/** In lower case: its name for --output; the heading is the same in capitals. */
	readonly name: string;
	readonly align?: 'right';
	readonly value: (row: Row) => string;
}

/** The columns a user asked for by name, in that order. */
export function chooseColumns<Row>(columns: readonly Column<Row>[], wish: string | undefined): readonly Column<Row>[] {
	if (wish === undefined) return columns;
	return wish.split(',').map((word) => {
		const found = columns.find(({name}) => name === word.trim().toLowerCase());
		if (!found) throw new UsageError(`unknown column '${word}' (columns: ${columns.map(({name}) => name).join(', ')})`);
		return found;
	});
}

/** Prints an aligned table on stdout; an empty cell is a dash. The last column is not padded. */
export async function printTable<Row>(
	columns: readonly Column<Row>[],
	rows: readonly Row[],
	{headings}: {headings: boolean},
): Promise<void> {
	print(await formatTable(columns, rows, {headings}));
}

export async function formatTable<Row>(
	columns: readonly Column<Row>[],
	rows: readonly Row[],
	{headings}: {headings: boolean},
): Promise<string> {
	const bold = headings && wantsColor(stdout) ? await boldText() : (text: string) => text;
	const cells = rows.map((row) => columns.map(({value}) => printable(value(row)) || '-'));
	const widths = columns.map(({name}, i) =>
		Math.max(headings ? name.length : 0, ...cells.map((row) => [...(row[i] as string)].length)),
	);
	const line = (row: readonly string[]) =>
		row
			.map((cell, i) => {
				const gap = ' '.repeat((widths[i] as number) - [...cell].length);
				if (columns[i]?.align === 'right') return gap + cell;
				return i === row.length - 1 ? cell : cell + gap;
			})
			.join('  ');
	const lines = cells.map(line);
	if (headings) lines.unshift(bold(line(columns.map(({name}) => name.toUpperCase()))));
	return lines.map((text) => `${text}\n`).join('');
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
