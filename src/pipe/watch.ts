import {duration} from '../common/duration.js';
import {done} from '../common/exit.js';
import {objectName} from '../common/object-name.js';
import {count, json} from '../common/options.js';
import {isStdoutTerminal, printJson} from '../common/output.js';
import {Redraw, sparkline} from '../common/redraw.js';
import {formatFields, formatTable} from '../common/table.js';
import {optional, verb} from '../common/verb.js';
import {native} from '../native/index.js';
import {allAddresses, type FifoStatus, lookAtAddresses} from './fifo-status.js';
import {fifoColumns} from './list.js';
import {describeFifo} from './stat.js';

const defaultIntervalMs = 250;

export const watch = verb({
	summary: 'stat or list again and again: in place on a terminal, else one JSON line per change',
	operands: {name: optional(objectName)},
	options: {
		interval: {short: 'i', value: duration, help: 'time between two looks (default 250ms)'},
		count: {...count, help: 'end after so many looks that showed a change'},
		json: {...json, help: 'JSON lines on a terminal too'},
	},
	examples: [{purpose: 'how full it was, and is', line: 'ipc-pipe watch log'}],
	async run({name}, options) {
		const intervalMs = options.interval ?? defaultIntervalMs;
		const most = options.count ?? Number.POSITIVE_INFINITY;
		const look = () => lookAtAddresses(name ? [name] : allAddresses());
		const pause = () => native.poll(new Int32Array(), intervalMs);

		if (options.json || !isStdoutTerminal()) {
			const before = new Map<string, string>();
			for (let changes = 0; changes < most; pause()) {
				const now = look();
				for (const status of now) {
					const text = JSON.stringify(status);
					if (before.get(status.path) === text || changes >= most) continue;
					before.set(status.path, text);
					changes++;
					printJson(status);
				}
				for (const path of [...before.keys()]) {
					if (now.some((status) => status.path === path) || changes >= most) continue;
					before.delete(path);
					changes++;
					printJson({path, removed: true});
				}
			}
			return done;
		}

		using screen = new Redraw();
		const levels: number[] = [];
		let before = '';
		for (let changes = 0; changes < most; pause()) {
			const now = look();
			const text = name ? oneText(now[0], levels) : await formatTable(fifoColumns, now, {headings: true});
			if (text !== before) changes++;
			before = text;
			screen.show(text || 'no FIFOs\n');
		}
		return done;
	},
});

function oneText(status: FifoStatus | undefined, levels: number[]): string {
	levels.push(status?.queued ?? 0);
	if (levels.length > 60) levels.shift();
	if (!status) return 'no such FIFO now\n';
	const level = `${sparkline(levels, status.capacity ?? 0)}`;
	return formatFields([...describeFifo(status), ['level', level]]);
}
