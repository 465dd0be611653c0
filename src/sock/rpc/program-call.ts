import {countOf, hasCode, quoted, reasonOf} from '../../common/errors.js';
import {status} from '../../common/exit.js';
import {jsonRecord} from '../../common/framing/framing.js';
import {tellRaw} from '../../common/output.js';
import {type ChildEnd, describeEnd} from '../../common/process/child-end.js';
import {PipedCommand} from '../../common/process/piped-command.js';
import {SIGKILL} from '../../common/process/signals.js';
import {peerEnvironment} from '../../objects/socket/peer.js';
import {type Call, defect, methodFailed, type RunningCall} from './call-runner.js';
import {
	type CallError,
	type CallResult,
	internalError,
	invalidParams,
	jsonText,
	methodNotFound,
	withData,
} from './json-rpc.js';
import {compact, elementsOf, kindOf, membersOf} from './json-text.js';

/** This much of the end of a method's stderr is sent with its failure. */
const mostStderr = 4096;

/**
 * Parameters as words for a program: strings unchanged, other values as JSON; `name=value` if they have names.
 * Undefined for a value that no argument can contain: a NUL, or half of a surrogate pair.
 */
function argumentsOf(params: string | undefined): string[] | undefined {
	if (params === undefined) return [];
	const word = (value: string): string => (kindOf(value) === 'string' ? (JSON.parse(value) as string) : compact(value));
	const words =
		kindOf(params) === 'array'
			? elementsOf(params).map(word)
			: [...membersOf(params)].map(([name, value]) => `${name}=${word(value)}`);
	return words.some((text) => /[\0\p{Surrogate}]/u.test(text)) ? undefined : words;
}

/** The output of a program as a result: JSON unchanged, anything else as a string, and no output as null. */
export function resultOf(output: Buffer): string {
	if (output.length === 0) return 'null';
	const json = jsonText(output);
	if (json !== undefined) return compact(json.trim());
	const record = jsonRecord(output.at(-1) === newline ? output.subarray(0, -1) : output);
	return JSON.stringify('data' in record ? record.data : record);
}

const newline = 10;

/** The environment of a call. */
function environmentOf({method, caller}: Call): NodeJS.ProcessEnv {
	const environment: NodeJS.ProcessEnv = {...process.env};
	// The variables that we were started with ourselves do not describe this caller.
	for (const name of ['IPC_PEER_PID', 'IPC_PEER_UID', 'IPC_PEER_GID']) delete environment[name];
	return {...environment, ...(caller ? peerEnvironment(caller) : {}), IPC_METHOD: method};
}

export interface ProgramSettings {
	/** A longer output is an error. */
	mostOutput: number;
	/** Its parameters are passed on stdin only. */
	withoutArguments: boolean;
	/** The program is told the name of the method, and is not itself the method. */
	isForAll?: boolean;
	/** The exit status by which it reports that there is no such method; undefined: it has none. */
	notFoundStatus?: number;
}

/**
 * A call as a process in a process group of its own, so that all its processes can be ended.
 */
export class ProgramCall implements RunningCall {
	readonly outcome: Promise<CallResult>;
	readonly ended: Promise<void>;
	private settle!: (outcome: CallResult) => void;
	private command: PipedCommand | undefined;
	private readonly output: Buffer[] = [];
	private outputLength = 0;
	private complaint = Buffer.alloc(0);

	constructor(
		private readonly call: Call,
		private readonly words: readonly string[],
		private readonly settings: ProgramSettings,
	) {
		this.outcome = new Promise((resolve) => {
			this.settle = resolve;
		});
		const passed = settings.withoutArguments ? [] : argumentsOf(call.params);
		if (passed) {
			this.ended = this.start(passed);
		} else {
			this.ended = Promise.resolve();
			this.fail(withData(invalidParams, 'a NUL or half of a surrogate pair cannot be part of an argument'));
		}
	}

	abandon(): void {
		this.stop(internalError);
	}

	stop(error: CallError): void {
		const stderr = this.complaint.toString();
		this.fail(stderr === '' ? error : withData(error, {stderr}));
		this.command?.stop();
	}

	private fail(error: CallError): void {
		this.settle({error});
	}

	private start(passed: readonly string[]): Promise<void> {
		const command = new PipedCommand([...this.words, ...passed], {
			environment: environmentOf(this.call),
			until: 'close',
		});
		this.command = command;
		// A program that does not read its parameters does not need them.
		command.stdin?.on('error', () => {});
		command.stdin?.end(`${compact(this.call.params ?? '[]')}\n`);
		command.stdout?.on('data', (piece: Buffer) => this.takeOutput(piece));
		command.stderr?.on('data', (piece: Buffer) => this.takeComplaint(piece));
		return command.ended
			.then(
				(end) => {
					// The processes that it left behind in its group, if the call was to be stopped.
					if (command.isStopping) command.signalGroup(SIGKILL);
					this.finish(end);
				},
				(error) => this.fail(this.cannotRun(error)),
			)
			.catch((error) => this.fail(defect(this.call.method, error)));
	}

	/**
	 * The end of stderr may be sent with a failure; the part before that is passed on, whatever the result of the call.
	 */
	private takeComplaint(piece: Buffer): void {
		const all = Buffer.concat([this.complaint, piece]);
		const passed = Math.max(0, all.length - mostStderr);
		if (passed > 0) tellRaw(all.subarray(0, passed));
		this.complaint = Buffer.from(all.subarray(passed));
	}

	private takeOutput(piece: Buffer): void {
		this.outputLength += piece.length;
		if (this.outputLength <= this.settings.mostOutput) {
			this.output.push(piece);
			return;
		}
		this.output.length = 0;
		const most = countOf(this.settings.mostOutput, 'byte');
		this.stop({code: methodFailed, message: `${quoted(this.call.method)} printed more than ${most}`});
	}

	private finish(end: ChildEnd): void {
		const {status, signal} = end;
		if (status === 0) {
			if (this.complaint.length > 0) tellRaw(this.complaint);
			this.settle({result: resultOf(Buffer.concat(this.output))});
			return;
		}
		const stderr = this.complaint.toString();
		if (signal === null && status === this.settings.notFoundStatus) {
			this.fail(stderr === '' ? methodNotFound : withData(methodNotFound, {status, stderr}));
		} else {
			const message = `${quoted(this.call.method)} ${describeEnd(end)}`;
			this.fail(withData({code: methodFailed, message}, {status, stderr}));
		}
	}

	/** The paths of a folder of methods are not for clients. */
	private get shownProgram(): string {
		return this.settings.isForAll ? (this.words[0] as string) : this.call.method;
	}

	private cannotRun(error: unknown): CallError {
		if (hasCode(error, 'E2BIG')) return withData(invalidParams, 'too long to be passed as arguments');
		return cannotRun(this.shownProgram, error);
	}
}

/** The answer of a program that could not be started. */
export function cannotRun(shownName: string, error: unknown): CallError {
	const isMissing = hasCode(error, 'ENOENT');
	const reason = isMissing ? 'it, or the interpreter it names, was not found' : reasonOf(error);
	const message = `${quoted(shownName)} cannot be run: ${reason}`;
	const data = {status: isMissing ? status.notFound : status.notRunnable, stderr: ''};
	return withData({code: methodFailed, message}, data);
}
