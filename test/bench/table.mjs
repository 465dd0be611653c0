// The results as one aligned table.

const headings = ['', 'MEDIAN', 'MIN..MAX', 'OURS/THIS', 'MUST', 'AIM', 'VERDICT'];
const gap = '  ';

/** Lines for a person. */
export function formatResults(results) {
	const lines = results.flatMap(linesOf);
	const cells = [headings, ...lines.filter(Array.isArray)];
	const widths = headings.map((_, column) => Math.max(...cells.map((line) => (line[column] ?? '').length)));
	const align = (line) =>
		line
			.map((cell, column) =>
				column === 0 || column === line.length - 1 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]),
			)
			.join(gap)
			.trimEnd();
	return [headings, ...lines].map((line) => (Array.isArray(line) ? align(line) : line)).join('\n');
}

function linesOf({id, title, unit, better, contenders}) {
	const contenderLines = contenders.map((contender) => lineOf(contender, unit, better));
	return ['', `${id}: ${title} (${better} is better)`, ...contenderLines];
}

function lineOf({name, isOurs, missing, failure, stall, median, min, max, ratio, must, aim, verdict}, unit, better) {
	const shownName = `${gap}${isOurs ? '*' : ' '} ${name}`;
	if (missing !== undefined) return `${shownName}: not installed`;
	if (failure !== undefined) return `${shownName}: failed: ${failure}`;
	if (stall !== undefined) return `${shownName}: stalls (${stall.split(':')[0]})`;
	const sign = better === 'more' ? '≥' : '≤';
	const budget = (value) => (value === undefined ? '' : `${sign} ${value}`);
	return [
		shownName,
		median === undefined ? '' : `${figure(median)} ${unit}`,
		min === undefined ? '' : `${figure(min)}..${figure(max)}`,
		ratio === undefined ? '' : figure(ratio),
		budget(must),
		budget(aim),
		verdict ?? '',
	];
}

/** Three digits that mean something. */
function figure(value) {
	if (value >= 100) return value.toFixed(0);
	return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** What there is to say below the table. */
export function formatSummary(results) {
	const contenders = results.flatMap(({contenders}) => contenders);
	const missing = [...new Set(contenders.map(({missing}) => missing).filter((name) => name !== undefined))];
	const count = (wanted) => contenders.filter(({verdict}) => verdict === wanted).length;
	const counts = ['aim reached', 'ok', 'misses', 'failed'].map((verdict) => `${verdict}: ${count(verdict)}`);
	const lines = [`* is ours. ${counts.join(', ')}.`];
	if (missing.length > 0) lines.push(`not installed: ${missing.join(', ')}`);
	return lines.join('\n');
}
