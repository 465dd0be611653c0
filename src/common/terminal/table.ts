import {printable, UsageError} from '../errors.js';
import {print, printJson, stdout, wantsColor} from '../output.js';

/** One column of a table, as data. */
export interface Column<Row> {
	/** In lower case: its name for --output; the heading is the same in capitals. */
	readonly name: string;
	readonly align?: 'right';
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
		else print(await formatTable(chosen, rows, {headings: !noHeadings}));
	};
}

/** The columns a user asked for by name, in that order. */
function chooseColumns<Row>(columns: readonly Column<Row>[], wish: string): readonly Column<Row>[] {
	return wish.split(',').map((word) => {
		const found = columns.find(({name}) => name === word.trim().toLowerCase());
		if (!found) throw new UsageError(`unknown column '${word}' (columns: ${columns.map(({name}) => name).join(', ')})`);
		return found;
	});
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
