import {quoted, UsageError} from '../common/errors.js';
import {endedWith, timedOut} from '../common/exit.js';
import {looksLikeCluster, withoutPassword} from '../common/formats/cluster-address.js';
import {formatDuration} from '../common/formats/duration.js';
import {formatSize} from '../common/formats/size.js';
import {timeout, timeoutStatus} from '../common/options.js';
import {tell, tellRaw} from '../common/output.js';
import {CannotSee, descendantsOf} from '../common/process/proc.js';
import {Shutdown} from '../common/process/shutdown.js';
import {SIGTERM} from '../common/process/signals.js';
import {kill, Termination} from '../common/process/termination.js';
import {type Column, formatTable} from '../common/terminal/table.js';
import {verb} from '../common/verb.js';
import {native} from '../native/index.js';
import {Pipeline, type PipelineReport, type StageReport} from './pipeline.js';

const longestTimerMs = 2 ** 31 - 1;

export const run = verb({
	summary: "Run commands separated by '|' as a pipeline, without a shell",
	options: {
		noPipefail: {help: 'exit with the status of the last command, even if an earlier one failed'},
		stats: {help: 'print pid, status and time of each command and bytes of each link on stderr'},
		json: {help: 'print the statistics as one JSON object on stderr'},
		timeout: {...timeout, help: 'stop all commands after DURATION (status 124)'},
		timeoutStatus,
	},
	takesCommand: true,
	examples: [
		{
			purpose: 'show which command was slow or failed',
			line: "ipc-pipe run --stats -- sort words.txt '|' uniq -c '|' sort -rn",
		},
		{purpose: 'stop both commands after a minute', line: "ipc-pipe run -t 1m -- ./fetch '|' ./load"},
	],
	needsNode: true,
	async run(_, options, words) {
		const stages = split(words);
		using shutdown = new Shutdown();
		const pipeline = new Pipeline(stages, options.stats || options.json, shutdown);
		using termination = new Termination((signal) => sendToAll(signal, pipeline.pids));
		if (options.timeout !== undefined) native.setChildSubreaper();
		let timer: NodeJS.Timeout | undefined;
		const report = await pipeline.run(() => {
			if (options.timeout === undefined) return;
			timer = setTimeout(() => termination.begin(), Math.min(options.timeout, longestTimerMs));
		});
		clearTimeout(timer);
		// A process that a stage has started and left behind is stopped too when the time is over.
		if (termination.hasBegun) await endOfRest(termination);
		const status = termination.hasBegun
			? (options.timeoutStatus ?? timedOut.status)
			: statusOf(report, !options.noPipefail);
		if (options.json) tellRaw(`${JSON.stringify({...report, status})}\n`);
		else if (options.stats) tellRaw(await formatReport(report));
		shutdown.finish();
		return endedWith(status);
	},
});

/** `a b '|' c` is two stages; a word that is a single bar itself is written `\|`. */
function split(words: readonly string[]): string[][] {
	const stages: string[][] = [[]];
	for (const word of words) {
		if (word === '|') stages.push([]);
		else stages.at(-1)?.push(word === '\\|' ? '|' : word);
	}
	const empty = stages.findIndex((stage) => stage.length === 0);
	if (empty >= 0) throw new UsageError(`command ${empty + 1} of the pipeline is empty`);
	const address = stages.map(([file = '']) => file).find(looksLikeCluster);
	if (address !== undefined)
		throw new UsageError(
			`${quoted(withoutPassword(address))} is on a cluster, and 'run' starts commands of this machine only`,
		);
	return stages;
}

/** As with `pipefail`: the last status that is not zero. */
function statusOf({stages}: PipelineReport, pipefail: boolean): number {
	const failure = pipefail ? stages.findLast(({status}) => status !== 0) : undefined;
	return (failure ?? stages.at(-1))?.status ?? 0;
}

/** To the stages, and all that they have started; what cannot be seen of that is reported as left running. */
function sendToAll(signal: number, stages: readonly number[]): void {
	const found = descendantsOf(process.pid);
	if (found instanceof CannotSee && signal === SIGTERM)
		tell(`cannot see what the commands have started, which is left running: ${found.why}`);
	for (const pid of found instanceof CannotSee ? stages : found) kill(pid, signal);
}

/** Waits until nothing runs below us, but not for processes that SIGKILL does not end at once. */
async function endOfRest(termination: Termination): Promise<void> {
	const {kills} = termination;
	while (termination.kills === kills) {
		const found = descendantsOf(process.pid);
		if (found instanceof CannotSee || found.length === 0) return;
		await new Promise((resolve) => setTimeout(resolve, 20));
	}
}

type Row = StageReport & {number: number; bytes: number | null | undefined};

const columns: readonly Column<Row>[] = [
	{name: 'stage', align: 'right', value: ({number}) => String(number)},
	{name: 'pid', align: 'right', value: ({pid}) => (pid === null ? '' : String(pid))},
	{name: 'status', align: 'right', value: ({status}) => String(status)},
	{name: 'time', align: 'right', value: ({wallMs}) => formatDuration(wallMs)},
	{name: 'out', align: 'right', value: ({bytes}) => (typeof bytes === 'number' ? formatSize(bytes) : '')},
	{name: 'command', value: ({command}) => command.join(' ')},
];

function formatReport({stages, links}: PipelineReport): Promise<string> {
	const rows = stages.map((stage, i) => ({...stage, number: i + 1, bytes: links[i]}));
	return formatTable(columns, rows, {headings: true});
}
