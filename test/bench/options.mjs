// The command line of the benchmark.
import {dirname, join, resolve} from 'node:path';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';

const here = dirname(fileURLToPath(import.meta.url));

export const usage = `usage: npm run bench [-- OPTIONS]

  --only ID      only the rows whose id contains ID; may be given more than once
  --quick        less data and fewer rounds: two minutes, and the figures less certain
  --minutes N    divide N minutes among the rows (default 14, with --quick 1.8), which have three rounds
                 at least, with --quick one
  --rounds N     N rounds of every row, however long they take
  --json FILE    where the results go (default test/bench/bench-results.json)
  --list         the ids and titles of the rows
  --help         this text

Ends with 0 when every budget that must be kept is kept, with 1 when one is missed or a contender failed, with 2 when
used wrongly.
`;

/** @throws Error with a message for the user. */
export function parseOptions(words) {
	const {values} = parseArgs({
		args: words,
		options: {
			only: {type: 'string', multiple: true, default: []},
			quick: {type: 'boolean', default: false},
			minutes: {type: 'string'},
			rounds: {type: 'string'},
			json: {type: 'string'},
			list: {type: 'boolean', default: false},
			help: {type: 'boolean', default: false},
		},
	});
	const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
	if (rounds !== undefined && !(Number.isSafeInteger(rounds) && rounds > 0))
		throw new Error(`'${values.rounds}' is not a number of rounds`);
	const json = values.json === undefined ? join(here, 'bench-results.json') : resolve(values.json);
	const minutes = values.minutes === undefined ? (values.quick ? 1.8 : 14) : Number(values.minutes);
	if (!(minutes > 0)) throw new Error(`'${values.minutes}' is not a number of minutes`);
	return {...values, rounds, minutes, json};
}

/** @throws Error when an id fits no row. */
export function chooseRows(rows, only) {
	for (const part of only) {
		if (rows.some(({id}) => id.includes(part))) continue;
		throw new Error(`no row is called '${part}'; there are: ${rows.map(({id}) => id).join(' ')}`);
	}
	return only.length === 0 ? rows : rows.filter(({id}) => only.some((part) => id.includes(part)));
}
