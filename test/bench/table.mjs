// The results as an aligned table, row by row: its widths are known before anything was measured.

const titles = ['MEDIAN', 'MIN..MAX', 'OURS/THIS', 'MUST', 'AIM', 'VERDICT'];
const widths = [11, 14, 9, 7, 7];
const gap = '  ';

/** How wide the first column is. */
export const nameWidthOf = (rows) =>
	Math.max(...rows.flatMap(({ours, peers}) => [`${ours.name}, on Node`, ...peers.map(({name}) => name)]).map(width)) +
	4;
const width = (text) => text.length;

export const headings = (nameWidth) => align(['', ...titles], nameWidth);

const align = ([name, ...cells], nameWidth) =>
	[name.padEnd(nameWidth), ...cells.map((cell, at) => (at < widths.length ? cell.padStart(widths[at]) : cell))]
		.join(gap)
		.trimEnd();

/** The lines of one row. */
export function rowLines({id, title, better, unit, contenders}, nameWidth) {
	const lines = contenders.map((contender) => contenderLine(contender, {unit, better, nameWidth}));
	return ['', `${id}: ${title} (${better} is better)`, ...lines].join('\n');
}

function contenderLine(contender, {unit, better, nameWidth}) {
	const {name, isOurs, missing, failure, stall, median, min, max, ratio, must, aim, verdict} = contender;
	const shownName = `${gap}${isOurs ? '*' : ' '} ${name}`;
	if (missing !== undefined) return `${shownName}: ${missing} is not installed`;
	if (failure !== undefined) return `${shownName}: failed: ${failure}`;
	if (stall !== undefined) return `${shownName}: stalls (${stall.split(':')[0]})`;
	const sign = better === 'more' ? '≥' : '≤';
	const budget = (value) => (value === undefined ? '' : `${sign} ${value}`);
	const cells = [
		shownName,
		median === undefined ? '' : `${figure(median)} ${unit}`,
		min === undefined ? '' : `${figure(min)}..${figure(max)}`,
		ratio === undefined ? '' : figure(ratio),
		budget(must),
		budget(aim),
		verdict ?? '',
	];
	return align(cells, nameWidth);
}

/** Three digits that mean something. */
export function figure(value) {
	if (value >= 100) return value.toFixed(0);
	return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** What there is to say below the table. */
export function summary(results) {
	const contenders = results.flatMap(({contenders}) => contenders);
	const missing = [...new Set(contenders.map(({missing}) => missing).filter((name) => name !== undefined))];
	const count = (wanted) => contenders.filter(({verdict}) => verdict === wanted).length;
	const counts = ['aim reached', 'ok', 'misses', 'failed'].map((verdict) => `${verdict}: ${count(verdict)}`);
	const absent = missing.length > 0 ? ` Not installed: ${missing.join(', ')}.` : '';
	return `* is ours. ${counts.join(', ')}.${absent}`;
}
