// The benchmark: npm run bench [-- OPTIONS]. What it measures and why stands in README.md.
import {writeFileSync} from 'node:fs';
import {stopInstrument} from './instrument.mjs';
import {holds} from './judge.mjs';
import {formatMachine, machineFacts} from './machine.mjs';
import {measureRow} from './measure.mjs';
import {chooseRows, parseOptions, usage} from './options.mjs';
import {rows} from './rows/index.mjs';
import {headings, nameWidthOf, rowLines, summary} from './table.mjs';
import {Workshop} from './workshop.mjs';

process.exitCode = await main();

async function main() {
	let options, chosen;
	try {
		options = parseOptions(process.argv.slice(2));
		chosen = chooseRows(rows, options.only);
	} catch (error) {
		process.stderr.write(`bench: ${error.message}\n${usage}`);
		return 2;
	}
	if (options.help || options.list) {
		process.stdout.write(options.help ? usage : chosen.map(({id, title}) => `${id}: ${title}\n`).join(''));
		return 0;
	}
	endOnSignals();
	try {
		return await run(options, chosen);
	} catch (error) {
		process.stderr.write(`bench: ${error.message}\n`);
		return 1;
	}
}

async function run(options, chosen) {
	const {quick, rounds, minutes} = options;
	const machine = machineFacts();
	const nameWidth = nameWidthOf(chosen);
	const limit = rounds === undefined ? `at most ${minutes} minutes` : `${rounds} rounds each`;
	print(`${formatMachine(machine)}\n${chosen.length} rows, ${limit}\n\n${headings(nameWidth)}`);
	const startMs = Date.now();
	const workshop = new Workshop(options);
	const results = [];
	for (const [index, row] of chosen.entries()) {
		// A row that needs less than its share of the time leaves the rest to the rows after it.
		const shareMs = (startMs + minutes * 60_000 - Date.now()) / (chosen.length - index);
		const onRound = (round, count) =>
			tellProgress(`${index + 1}/${chosen.length} ${row.id}, round ${round}/${count}, ${elapsed(startMs)}`);
		results.push(await measureRow(row, workshop, {rounds, shareMs, onRound}));
		tellProgress('');
		print(rowLines(results.at(-1), nameWidth));
		// After each row: what was measured before an interruption stays.
		writeFileSync(options.json, `${JSON.stringify({machine, quick, rounds, rows: results}, null, '\t')}\n`);
	}
	print(`\n${summary(results)} ${elapsed(startMs)}.`);
	return holds(results) ? 0 : 1;
}

function print(text) {
	process.stdout.write(`${text}\n`);
}

function elapsed(startMs) {
	const seconds = Math.round((Date.now() - startMs) / 1000);
	return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** One line that is written over, for a person only. */
function tellProgress(text) {
	if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

/** Ends by the same signal, with nothing left behind. */
function endOnSignals() {
	for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
		process.once(signal, () => {
			stopInstrument();
			process.emit('exit');
			process.kill(process.pid, signal);
		});
}
