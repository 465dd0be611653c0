// Plots as SVG: lines over the sizes of messages, both axes logarithmic.

const panel = {width: 420, height: 260, left: 54, top: 44, gap: 40};
const legendLine = 16;
const colours = ['#1f6feb', '#1a7f37', '#8250df', '#9a6700', '#cf222e', '#57606a'];
const font = 'font-family="system-ui, sans-serif" font-size="12"';

/** `plots`: {title, lines: [{name, isOurs, medians}]}, a figure for each of the sizes; ours are drawn thick. */
export function drawPlots(plots, sizes, caption) {
	const legend = Math.max(...plots.map(({lines}) => lines.length)) * legendLine;
	const width = plots.length * (panel.width + panel.left + panel.gap);
	const height = panel.top + panel.height + 44 + legend + 24;
	const panels = plots.map((plot, at) => drawPanel(plot, sizes, at * (panel.width + panel.left + panel.gap)));
	return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">
<title>Rate of messages and time of a call against the size of a message</title>
<rect width="${width}" height="${height}" fill="#ffffff"/>
<g ${font} fill="#24292f">
${panels.join('\n')}
<text x="${panel.left}" y="${height - 8}" font-size="10" fill="#57606a">${escaped(caption)}</text>
</g>
</svg>
`;
}

function drawPanel({title, lines}, sizes, offset) {
	const all = lines.flatMap(({medians}) => medians);
	const [low, high] = [Math.floor(Math.log10(Math.min(...all))), Math.ceil(Math.log10(Math.max(...all)))];
	const [first, last] = [Math.log2(sizes[0]), Math.log2(sizes.at(-1))];
	const left = offset + panel.left;
	const bottom = panel.top + panel.height;
	const x = (size) => round(left + ((Math.log2(size) - first) / (last - first)) * panel.width);
	const y = (value) => round(bottom - ((Math.log10(value) - low) / (high - low)) * panel.height);
	const powers = Array.from({length: high - low + 1}, (_, at) => 10 ** (low + at));
	const parts = [
		`<text x="${left}" y="${panel.top - 18}" font-weight="bold">${escaped(title)}</text>`,
		...powers.flatMap((power) => [
			`<path d="M${left} ${y(power)}h${panel.width}" stroke="#d0d7de"/>`,
			`<text x="${left - 6}" y="${y(power) + 4}" text-anchor="end">${power}</text>`,
		]),
		...sizes.map((size) => `<text x="${x(size)}" y="${bottom + 18}" text-anchor="middle">${shownSize(size)}</text>`),
		...lines.flatMap(({name, isOurs, medians}, at) => {
			const points = medians.map((value, which) => `${x(sizes[which])},${y(value)}`).join(' ');
			const looks = `stroke="${colours[at % colours.length]}" stroke-width="${isOurs ? 3 : 1.5}"${isOurs ? '' : ' stroke-dasharray="5 3"'}`;
			const legendY = bottom + 40 + at * legendLine;
			return [
				`<polyline points="${points}" fill="none" ${looks}/>`,
				`<path d="M${left} ${legendY - 4}h28" ${looks}/>`,
				`<text x="${left + 36}" y="${legendY}"${isOurs ? ' font-weight="bold"' : ''}>${escaped(name)}</text>`,
			];
		}),
	];
	return parts.join('\n');
}

const round = (value) => Math.round(value * 10) / 10;
const shownSize = (size) => (size < 1024 ? `${size} B` : `${size / 1024} KiB`);
const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
