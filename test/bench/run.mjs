// The benchmark: npm run bench [-- OPTIONS]. What it measures and why stands in README.md.
import {writeFileSync} from 'node:fs';
import {stopInstrument} from './instrument.mjs';
import {holds} from './judge.mjs';
import {formatMachine, machineFacts} from './machine.mjs';
import {measureRow} from './measure.mjs';
import {chooseRows, parseOptions, usage} from './options.mjs';
import {rows} from './rows/index.mjs';
import {formatResults, formatSummary} from './table.mjs';
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
	const machine = machineFacts();
	const workshop = new Workshop(options);
	const results = [];
	for (const row of chosen) {
		const onRound = (round, count) => tellProgress(`${row.id} ${round}/${count}`);
		results.push(await measureRow(row, workshop, {rounds: options.rounds, onRound}));
	}
	tellProgress('');
	process.stdout.write(`${formatMachine(machine)}\n\n${formatResults(results)}\n\n${formatSummary(results)}\n`);
	const {quick, rounds} = options;
	writeFileSync(options.json, `${JSON.stringify({machine, quick, rounds, rows: results}, null, '\t')}\n`);
	return holds(results) ? 0 : 1;
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
