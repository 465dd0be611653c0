import {quoted} from '../../common/errors.js';
import {FramingError, RecordDecoder} from '../../common/framing/framing.js';
import {type ChildEnd, describeEnd} from '../../common/process/child-end.js';
import {PipedCommand} from '../../common/process/piped-command.js';
import {type Call, type CallRunner, defect, methodFailed, type RunningCall} from './call-runner.js';
import {type CallError, type CallResult, jsonText, readResponse, withData} from './json-rpc.js';
import {compact, kindOf, membersOf} from './json-text.js';
import {isReserved} from './methods.js';
import {cannotRun, resultOf} from './program-call.js';

/**
 * Long-running programs: each gets a call as a line on stdin, answers with a line on stdout, and gets the next one. No
 * process is started for a call, which makes it some hundred times as fast.
 */
export class WorkerPool implements CallRunner {
	private readonly idle: Worker[] = [];
	private readonly all = new Set<Worker>();

	constructor(
		private readonly words: readonly string[],
		/** A longer answer is an error. */
		private readonly mostOutput: number,
	) {}

	start(call: Call): RunningCall | undefined {
		if (isReserved(call.method)) return undefined;
		let worker = this.idle.pop();
		while (worker?.isLeaving) worker = this.idle.pop();
		if (!worker) {
			worker = new Worker(this.words, this.mostOutput);
			const made = worker;
			this.all.add(made);
			made.gone.then(() => {
				this.all.delete(made);
				const place = this.idle.indexOf(made);
				if (place >= 0) this.idle.splice(place, 1);
			});
		}
		const used = worker;
		return used.answer(call, () => this.idle.push(used));
	}

	methods(): undefined {
		return undefined;
	}

	async close(): Promise<void> {
		const workers = [...this.all];
		for (const worker of workers) worker.end();
		await Promise.all(workers.map(({gone}) => gone));
	}
}

interface Asked extends RunningCall {
	readonly id: string;
	settle(outcome: CallResult): void;
	/** No process of it runs any more. */
	finish(): void;
}

class Worker {
	/** Once its process has ended, or could not be started. */
	readonly gone: Promise<void>;
	private readonly command: PipedCommand;
	private readonly decoder: RecordDecoder;
	private asked: Asked | undefined;
	private count = 0;
	/** The stream it has closed, without which it cannot answer. */
	private closed: 'stdin' | 'stdout' | undefined;
	/** Why it cannot answer, once that is known. */
	private problem: CallError | undefined;

	constructor(
		private readonly words: readonly string[],
		mostOutput: number,
	) {
		this.decoder = new RecordDecoder('lines', mostOutput);
		// A process that it left behind may hold its stdout forever, but cannot answer in its place.
		this.command = new PipedCommand(words, {stderr: 'inherit', until: 'exit'});
		const {stdin, stdout} = this.command;
		stdin?.on('error', () => this.hangUp('stdin'));
		stdout?.on('end', () => this.hangUp('stdout'));
		stdout?.on('data', (piece: Buffer) => this.read(piece));
		this.gone = this.command.ended
			.then(
				(end) => this.ended(end),
				(error) => cannotRun(words[0] as string, error),
			)
			.then((problem) => {
				this.problem ??= problem;
				this.asked?.settle({error: this.problem});
				this.asked?.finish();
			});
	}

	/** Whether it takes no more calls: it has ended, or is about to end. */
	get isLeaving(): boolean {
		return this.problem !== undefined || this.command.isStopping;
	}

	answer({method, params, caller}: Call, onFree: () => void): RunningCall {
		const id = String(++this.count);
		let settle!: (outcome: CallResult) => void;
		let finish!: () => void;
		const outcome = new Promise<CallResult>((resolve) => {
			settle = resolve;
		});
		const ended = new Promise<void>((resolve) => {
			finish = () => {
				this.asked = undefined;
				if (!this.problem) onFree();
				resolve();
			};
		});
		const asked: Asked = {
			id,
			outcome,
			ended,
			settle,
			finish,
			stop: (error) => {
				settle({error});
				this.problem ??= error;
				this.end();
			},
			// The line answers no call: continue with the next.
			abandon: () => {},
		};
		if (this.problem) {
			settle({error: this.problem});
			finish();
			return asked;
		}
		this.asked = asked;
		const given = params === undefined ? '' : `,"params":${compact(params)}`;
		const peer = caller === undefined ? '' : `,"peer":${JSON.stringify(caller)}`;
		this.command.stdin?.write(`{"jsonrpc":"2.0","method":${JSON.stringify(method)}${given},"id":${id}${peer}}\n`);
		return asked;
	}

	/** It lives, but no client gets the answer; or it is about to end, which tells more. */
	private hangUp(stream: 'stdin' | 'stdout'): void {
		this.closed ??= stream;
		this.end();
	}

	end(): void {
		this.command.stdin?.end();
		this.command.stop();
	}

	private read(piece: Buffer): void {
		try {
			for (const line of this.decoder.push(piece)) this.take(line);
		} catch (error) {
			const shown = this.words[0] as string;
			const message = `${quoted(shown)}: ${(error as Error).message}`;
			this.asked?.stop(error instanceof FramingError ? {code: methodFailed, message} : defect(shown, error));
		}
	}

	/** An answer in the form of JSON-RPC, or any output that a method may print. */
	private take(line: Buffer): void {
		const asked = this.asked;
		if (!asked) return;
		const text = jsonText(line);
		const members = text !== undefined && kindOf(text) === 'object' ? membersOf(text) : undefined;
		const response = members?.get('jsonrpc') === '"2.0"' ? readResponse(members) : undefined;
		// An answer that came too late for another call, or other output.
		if (members?.has('jsonrpc') && (!response || (response.id !== undefined && response.id !== asked.id))) return;
		asked.settle(response ? response.outcome : {result: resultOf(line)});
		asked.finish();
	}

	private ended(end: ChildEnd): CallError {
		const {status, signal} = end;
		const shown = quoted(this.words[0] as string);
		let how = describeEnd(end);
		// Then it was ended by us.
		if (this.closed && (signal === 'SIGTERM' || signal === 'SIGKILL')) how = `closed its ${this.closed}`;
		return withData({code: methodFailed, message: `${shown} ${how} before it answered`}, {status, stderr: ''});
	}
}
