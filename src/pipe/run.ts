import {UsageError} from '../common/errors.js';
import {EndBySignal, endedWith, timedOut} from '../common/exit.js';
import {formatDuration} from '../common/formats/duration.js';
import {formatSize} from '../common/formats/size.js';
import {timeout, timeoutStatus} from '../common/options.js';
import {tell, tellRaw} from '../common/output.js';
import {CannotSee, descendantsOf} from '../common/process/proc.js';
import {StopInLoop} from '../common/process/shutdown.js';
import {type Column, formatTable} from '../common/terminal/table.js';
import {verb} from '../common/verb.js';
import {native} from '../native/index.js';
import {Pipeline, type PipelineReport, type StageReport} from './pipeline.js';

/** After this time processes that TERM has not ended are killed. */
const graceMs = 1000;
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
	async run(_, options, words) {
		const stages = split(words);
		const pipeline = new Pipeline(stages, options.stats || options.json);
		using stop = new StopInLoop((signal) => {
			for (const pid of pipeline.pids) sendSignal(pid, signal);
		});
		if (options.timeout !== undefined) native.setChildSubreaper();
		let isTimedOut = false;
		let timer: NodeJS.Timeout | undefined;
		const report = await pipeline.run(() => {
			if (options.timeout === undefined) return;
			timer = setTimeout(
				() => {
					isTimedOut = true;
					endAll('SIGTERM', pipeline.pids);
					timer = setInterval(() => endAll('SIGKILL', pipeline.pids), graceMs);
				},
				Math.min(options.timeout, longestTimerMs),
			);
		});
		clearTimeout(timer);
		// A process that a stage has started and left behind is stopped too when the time is over.
		if (isTimedOut) await endRest();
		const status = isTimedOut ? (options.timeoutStatus ?? timedOut.status) : statusOf(report, !options.noPipefail);
		if (options.json) tellRaw(`${JSON.stringify({...report, status})}\n`);
		else if (options.stats) tellRaw(await formatReport(report));
		if (stop.signal !== undefined) throw new EndBySignal(stop.signal);
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
	return stages;
}

/** As with `pipefail`: the last status that is not zero. */
function statusOf({stages}: PipelineReport, pipefail: boolean): number {
	const failure = pipefail ? stages.findLast(({status}) => status !== 0) : undefined;
	return (failure ?? stages.at(-1))?.status ?? 0;
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
	try {
		process.kill(pid, signal);
	} catch {
		// It has ended already.
	}
}

/** The stages, and whatever they have started; those that nobody can see are said to be left. */
function endAll(signal: NodeJS.Signals, stages: Iterable<number>): void {
	const found = descendantsOf(process.pid);
	if (found instanceof CannotSee && signal === 'SIGTERM')
		tell(`cannot see what the commands have started, which is left running: ${found.why}`);
	for (const pid of found instanceof CannotSee ? stages : found) sendSignal(pid, signal);
}

async function endRest(): Promise<void> {
	const deadline = performance.now() + graceMs;
	for (;;) {
		const found = descendantsOf(process.pid);
		if (found instanceof CannotSee || found.length === 0) return;
		if (performance.now() > deadline) {
			endAll('SIGKILL', found);
			return;
		}
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
