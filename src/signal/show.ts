import {SystemError} from '../common/errors.js';
import {done, failed} from '../common/exit.js';
import {forEachName} from '../common/for-each-name.js';
import {type TextFormat, wholeNumber} from '../common/formats/text-format.js';
import {json} from '../common/options.js';
import {print, printJson} from '../common/output.js';
import {mayExist, whyUnseen} from '../common/process/proc.js';
import {statusFields} from '../common/process/process-status.js';
import {formatFields} from '../common/terminal/table.js';
import {many, verb} from '../common/verb.js';
import {openReceiver} from '../objects/signals/registration.js';
import {describeTerm, type SignalStatus, signalStatus} from '../objects/signals/signal-status.js';
import {namedTargets, type Target, target} from './target.js';

const pid = {...wholeNumber(1, 2 ** 22), placeholder: 'PID'};
const shownProcess: TextFormat<Target> = {
	placeholder: 'PID',
	candidates: namedTargets,
	parse: (text) => (text.startsWith('@') ? target.parse(text) : {shown: text, pid: pid.parse(text)}),
};

export const show = verb({
	summary: 'Show pending, blocked, ignored and caught signals, and what TERM would do',
	operands: {processes: many(shownProcess)},
	options: {threads: {help: 'also show pending and blocked signals of each thread'}, json},
	examples: [
		{purpose: 'show how this shell handles signals', line: 'ipc-signal show $$'},
		{purpose: 'show which signals a named receiver waits for', line: 'ipc-signal show @events'},
		{purpose: 'compare queued signals with the limit', line: "ipc-signal show $$ --json | jq '.queued, .queueLimit'"},
	],
	run({processes}, options) {
		let isFirst = true;
		const allWell = forEachName(processes, (one) => {
			const pid = 'pid' in one ? one.pid : pidOf(one);
			const status = signalStatus(pid, options.threads);
			if (!status) throw new SystemError(`cannot show ${pid}: ${whyNone(pid)}`);
			if (options.json) printJson(status);
			else print(`${isFirst ? '' : '\n'}${formatFields(describe(status))}`);
			isFirst = false;
		});
		return allWell ? done : failed;
	},
});

function pidOf({name, shown}: {name: string; shown: string}): number {
	using receiver = openReceiver(name, `cannot show ${shown}`);
	return receiver.pid;
}

/** A thread has an id of the same kind. */
function whyNone(pid: number): string {
	const leader = statusFields(`/proc/${pid}/status`)?.get('Tgid');
	if (leader === undefined) return mayExist(pid) ? `cannot see it: ${whyUnseen()}` : 'no such process';
	return `it is a thread, of process ${leader} (see: show ${leader} --threads)`;
}

const names = (list: readonly string[]): string => (list.length === 0 ? 'none' : list.join(' '));

function describe(status: SignalStatus): [string, string | string[]][] {
	const fields: [string, string | string[]][] = [
		['process', `${status.pid} ${status.command}`],
		['pending', names(status.pending)],
		['blocked', names(status.blocked)],
		['ignored', names(status.ignored)],
		['caught', names(status.caught)],
		['queued', `${status.queued} of ${status.queueLimit}, for all processes of its user`],
		['TERM', describeTerm(status)],
	];
	for (const {tid, command, pending, blocked} of status.threads ?? [])
		fields.push([`thread ${tid}`, [command, `pending ${names(pending)}`, `blocked ${names(blocked)}`]]);
	return fields;
}
