// A screen of a terminal as SVG: text with the colour sequences that tmux prints.

const width = 8;
const height = 18;
const margin = 14;
const colours = ['#586069', '#e5534b', '#57ab5a', '#c69026', '#539bf5', '#b083f0', '#39c5cf', '#adbac7'];
const foreground = '#cdd9e5';
const background = '#1c2128';

/** `text`: the lines of the screen; the last one, a prompt, is left out. */
export function drawScreen(text, columns) {
	const lines = text.trimEnd().split('\n').slice(0, -1);
	const [w, h] = [columns * width + 2 * margin, lines.length * height + 2 * margin];
	const runs = [];
	let style = {};
	for (const [row, line] of lines.entries()) {
		const {runs: found, style: after} = runsOf(line, style);
		runs.push(...found.map((run) => drawRun(run, row)));
		// A colour goes on in the next line.
		style = after;
	}
	return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${w} ${h}" width="${w}" height="${h}">
<title>Commands in a terminal, and what they print</title>
<rect width="${w}" height="${h}" rx="8" fill="${background}"/>
<g font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="13.3" fill="${foreground}" xml:space="preserve">
${runs.join('\n')}
</g>
</svg>
`;
}

/** Pieces of a line that look the same, without blanks at their ends: `{text, column, style}`. And the style at its end. */
function runsOf(line, before) {
	const runs = [];
	let style = before;
	let column = 0;
	for (const part of line.split(new RegExp(`(${String.fromCharCode(27)}\\[[0-9;]*m)`))) {
		const codes = /^.\[([0-9;]*)m$/.exec(part)?.[1];
		if (codes !== undefined) {
			style = styled(style, codes.split(';').map(Number));
			continue;
		}
		if (part.trim() !== '')
			runs.push({text: part.trim(), column: column + part.length - part.trimStart().length, style});
		column += [...part].length;
	}
	return {runs, style};
}

/** After these codes of SGR: bold, faint and the eight colours are what the commands use. */
function styled(style, codes) {
	let {isBold, isFaint, colour} = style;
	for (const code of codes) {
		if (code === 0 || code === 22) isBold = isFaint = false;
		if (code === 0 || code === 39) colour = undefined;
		if (code === 1) isBold = true;
		if (code === 2) isFaint = true;
		if ((code >= 30 && code < 38) || (code >= 90 && code < 98)) colour = colours[code % 10];
	}
	return {isBold, isFaint, colour};
}

function drawRun({text, column, style: {isBold, isFaint, colour}}, row) {
	const place = `x="${margin + column * width}" y="${margin + row * height + 13}"`;
	// So wide in any font: the columns stay in line.
	const length = `textLength="${[...text].length * width}"`;
	const looks = [colour && `fill="${colour}"`, isBold && 'font-weight="bold"', isFaint && 'opacity="0.6"'];
	const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
	return `<text ${[place, length, ...looks.filter(Boolean)].join(' ')}>${escaped}</text>`;
}
