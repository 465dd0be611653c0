// Writes the measured figures for people: every row into FIGURES.md, and the main rows into the README, from the results of
// `npm run bench`. npm run bench:figures [-- FILE] (default test/bench/bench-results.json)
import {readFileSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {formatMachine} from './machine.mjs';
import {figure} from './table.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const readme = join(here, '..', '..', 'README.md');
const begin = '<!-- figures: written by npm run bench:figures -->';
const end = '<!-- end of the figures -->';

/** What the README shows, and in which words. */
const mainRows = {
	'start-up-sem-post': 'one command, from start to end: `ipc-sem post`',
	'semaphore-run': 'a command under a semaphore: `ipc-sem run NAME -- true`',
	'memory-signal-run': 'peak memory of `ipc-signal run`',
	'fifo-splice': 'a FIFO, between programs that splice',
	'fifo-wc': 'a FIFO, `head` into `wc -c`',
	queue: 'lines through a message queue of ten',
	ring: 'lines through a ring in shared memory',
	'semaphore-batch': 'pairs of `wait` and `post` through one `ipc-sem batch`',
	'segment-out': 'out of a segment into `wc -c`',
	signals: 'signals with values, a line each',
	'socket-wc': 'a local socket, `head` into `wc -c`',
	'call-once': 'one call to a server, from the shell',
	'calls-in-turn': 'calls on one connection, one at a time',
	'calls-in-flight': 'calls on one connection, many at a time',
	'cluster-in': 'lines into a queue on a NATS server',
};

const file = process.argv[2] ?? join(here, 'bench-results.json');
const {machine, quick, rows} = JSON.parse(readFileSync(file, 'utf8'));

function page() {
	const lines = rows.map((row) => {
		const [ours] = row.contenders;
		const others = row.contenders.filter((contender) => contender !== ours && !contender.isOnNode);
		const onNode = row.contenders.find(({isOnNode}) => isOnNode);
		return [
			`\`${row.id}\`: ${row.title}`,
			shown(ours, row),
			onNode === undefined ? '' : beside(onNode, row, {named: false}),
			others
				.filter((other) => !isC(other))
				.map((other) => beside(other, row))
				.join('<br>'),
			others
				.filter(isC)
				.map((other) => beside(other, row))
				.join('<br>'),
		];
	});
	return `# Figures

${formatMachine(machine)}. ${quick ? 'Measured with `--quick`, which is less certain. ' : ''}Medians. \`npm run bench\` measures them on your machine and
\`npm run bench:figures\` writes this page. [README.md](README.md) says what each row measures.

**N ×** is our figure divided by the other one. It is bold where ours is at least as good: rates (…/s) at least as high, times and
memory at most as high.

${table(['row', 'ipc-tools', 'ipc-tools on Node', 'others', 'C'], lines)}
`;
}

function mainTable() {
	const lines = Object.entries(mainRows).flatMap(([id, words]) => {
		const row = rows.find((found) => found.id === id);
		if (row === undefined) return [];
		const [ours, ...others] = row.contenders;
		const present = others.filter((other) => !other.isOnNode && other.ratio !== undefined);
		const list = (wanted) => present.filter(wanted).map((other) => beside(other, row));
		return [[words, shown(ours, row), list((other) => !isC(other)).join(', '), list(isC).join(', ')]];
	});
	return `${formatMachine(machine)}. **N ×** is our figure divided by the other one,
bold where ours is at least as good.

${table(['work', 'ipc-tools', 'others', 'C'], lines)}`;
}

const isC = ({name}) => /^C\b/.test(name);

/** Our own figure. */
const shown = (contender, {unit}) =>
	contender.median === undefined ? absence(contender) : `${figure(contender.median)} ${unit}`;

/** Another one's figure, and ours divided by it. */
function beside(contender, {unit, better}, {named = true} = {}) {
	// In the column of C its name says enough without "C".
	const name = named ? `${contender.name.replace(/^C(: |, )?/, '')} `.trimStart() : '';
	if (contender.median === undefined) return `${name}${absence(contender)}`;
	if (contender.ratio === undefined) return `${name}${shown(contender, {unit})}`;
	const isAsGood = better === 'more' ? contender.ratio >= 1 : contender.ratio <= 1;
	const ratio = `${figure(contender.ratio)} ×`;
	return `${name}${figure(contender.median)} (${isAsGood ? `**${ratio}**` : ratio})`;
}

function absence({missing, stall}) {
	if (missing !== undefined) return 'not installed';
	return stall !== undefined ? 'stalls' : 'failed';
}

const table = (titles, lines) =>
	[titles, titles.map(() => '---'), ...lines].map((cells) => `| ${cells.map(escaped).join(' | ')} |`).join('\n');

const escaped = (cell) => cell.replaceAll('|', '\\|');

/** The text with its block of figures replaced. */
function withBlock(text, block) {
	const from = text.indexOf(begin);
	const to = text.indexOf(end);
	if (from < 0 || to < from) throw new Error(`README.md has no place for the figures, between '${begin}' and '${end}'`);
	return `${text.slice(0, from)}${begin}\n\n${block}\n\n${text.slice(to)}`;
}

writeFileSync(join(here, 'FIGURES.md'), page());
writeFileSync(readme, withBlock(readFileSync(readme, 'utf8'), mainTable()));
