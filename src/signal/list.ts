import {UsageError} from '../common/errors.js';
import {done} from '../common/exit.js';
import {allSignals, parseSignal, rtmax, type SignalRow, signalName} from '../common/formats/signal-name.js';
import type {TextFormat} from '../common/formats/text-format.js';
import * as common from '../common/options.js';
import {print} from '../common/output.js';
import {type Column, listPrinter} from '../common/terminal/table.js';
import {any, verb} from '../common/verb.js';

const base = 128;

/** A signal, or the status that a shell reports for a command which a signal has ended. */
const signalOrStatus: TextFormat<{number: number; isName: boolean}> = {
	placeholder: 'SIGNAL|STATUS',
	parse(text) {
		const isStatus = /^[0-9]+$/.test(text) && Number(text) > base && Number(text) <= base + 64;
		if (/^[0-9]+$/.test(text) && !isStatus && Number(text) > rtmax)
			throw new UsageError(
				`'${text}' is neither a signal, 1 to ${rtmax}, nor a status, ${base + 1} to ${base + rtmax}`,
			);
		const number = parseSignal(isStatus ? String(Number(text) - base) : text);
		if (number === 0) throw new UsageError(`'${text}' is not a signal: the lowest is 1`);
		return {number, isName: !/^[0-9]+$/.test(text)};
	},
};

const columns: readonly Column<SignalRow>[] = [
	{name: 'number', align: 'right', value: ({number}) => String(number)},
	{name: 'name', value: ({name}) => name},
	{name: 'action', value: ({action}) => action},
	{name: 'description', value: ({description}) => description},
];

export const list = verb({
	summary: 'List all signals, or look up a name by number or status, or a number by name',
	aliases: ['ls'],
	operands: {signals: any(signalOrStatus)},
	options: {json: common.json, noHeadings: common.noHeadings, output: common.output(columns)},
	examples: [
		{purpose: 'print the signal behind exit status 137', line: 'ipc-signal list 137'},
		{purpose: 'print the number of a name', line: 'ipc-signal list RTMIN+3'},
		{purpose: 'print the signals that dump core', line: 'ipc-signal list --json | jq \'select(.action == "core")\''},
	],
	async run({signals}, options) {
		const printList = listPrinter(columns, options);
		const all = allSignals();
		const rows = signals.length === 0 ? all : signals.map(({number}) => rowOf(all, number));
		if (signals.length === 0 || options.json || options.output !== undefined) await printList(rows);
		else print(signals.map(({number, isName}) => `${isName ? number : signalName(number)}\n`).join(''));
		return done;
	},
});

const rowOf = (rows: readonly SignalRow[], number: number): SignalRow =>
	rows.find((row) => row.number === number) ?? {
		number,
		name: String(number),
		action: 'terminate',
		description: 'reserved by the C library',
	};
