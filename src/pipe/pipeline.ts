import {closeSync} from 'node:fs';
import {tellError} from '../common/output.js';
import {type CommandEnd, type RunningCommand, startCommand} from '../common/process/run-command.js';
import type {Shutdown} from '../common/process/shutdown.js';
import {growPipe} from '../common/transfer.js';
import {native} from '../native/index.js';

const pumpSliceMs = 100;

/** One stage as --json reports it. */
export interface StageReport {
	command: readonly string[];
	pid: number | null;
	status: number;
	signal: string | null;
	wallMs: number;
}

export interface PipelineReport {
	stages: StageReport[];
	/** Bytes that crossed each link, from the first on; null if they were not counted. */
	links: (number | null)[];
}

/** A pipe between two stages: one that they share, or two with this process between them, counting. */
interface Link {
	/** The end that the stage before writes to, and the end that the stage behind reads from. */
	write: number;
	read: number;
	/** Our ends: from the stage before, to the stage behind. */
	middle: {input: number; output: number} | undefined;
	bytes: number;
}

/** Commands joined by anonymous pipes. */
export class Pipeline {
	private readonly links: Link[] = [];
	private running: RunningCommand[] = [];

	constructor(
		private readonly stages: readonly (readonly string[])[],
		private readonly counts: boolean,
		private readonly shutdown: Shutdown,
	) {}

	get pids(): number[] {
		return this.running.map(({pid}) => pid).filter((pid) => pid !== undefined);
	}

	/** Starts every stage, and reports once the last of them has ended. */
	async run(onStart: () => void): Promise<PipelineReport> {
		for (let i = 1; i < this.stages.length; i++) this.links.push(this.makeLink());
		for (const [i, words] of this.stages.entries()) {
			const before = this.links[i - 1];
			const behind = this.links[i];
			const stage = await startCommand(words, {
				stdin: before?.read ?? 'inherit',
				stdout: behind?.write ?? 'inherit',
			});
			this.shutdown.passOnTo(stage);
			this.running.push(stage);
			// The stages have their own copies: with ours open no stage would ever see an end.
			if (before) closeSync(before.read);
			if (behind) closeSync(behind.write);
		}
		onStart();
		const [ends] = await Promise.all([Promise.all(this.running.map(({ended}) => ended)), this.pump()]);
		for (const {problem} of ends) if (problem) tellError(problem);
		return {
			stages: ends.map((end, i) => this.reportStage(end, i)),
			links: this.links.map(({middle, bytes}) => (middle ? bytes : null)),
		};
	}

	private makeLink(): Link {
		const [read, write] = native.pipe2(0);
		growPipe(write);
		if (!this.counts) return {read, write, middle: undefined, bytes: 0};
		const [behindRead, behindWrite] = native.pipe2(0);
		growPipe(behindWrite);
		return {write, read: behindRead, middle: {input: read, output: behindWrite}, bytes: 0};
	}

	/** Moves the output of the stages along, until every link is done. */
	private async pump(): Promise<void> {
		let open = this.links.filter(({middle}) => middle !== undefined);
		while (open.length > 0) {
			const pairs = Int32Array.from(open.flatMap(({middle}) => (middle ? [middle.input, middle.output] : [])));
			const moved = await native.pumpLinks(pairs, pumpSliceMs);
			open = open.filter((link, i) => {
				link.bytes += moved[2 * i] as number;
				if (!moved[2 * i + 1] || !link.middle) return true;
				closeSync(link.middle.input);
				closeSync(link.middle.output);
				return false;
			});
		}
	}

	private reportStage({status, signal, wallMs}: CommandEnd, i: number): StageReport {
		return {
			command: this.stages[i] as readonly string[],
			pid: this.running[i]?.pid ?? null,
			status,
			signal,
			wallMs: Math.round(wallMs * 10) / 10,
		};
	}
}
