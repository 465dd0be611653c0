import {countOf, SystemError} from '../common/errors.js';
import {done, failed, type Outcome, timedOut} from '../common/exit.js';
import {RecordDecoder} from '../common/framing.js';
import {readInputNow} from '../common/input.js';
import {print, stdin, tell, tellVerbose} from '../common/output.js';
import {type CallChannel, Deadline, TimedOut} from './call-channel.js';
import type {Dialect} from './dialect.js';
import {formatResponse, jsonText, type Request, type Response} from './json-rpc.js';
import {compact, elementsOf, kindOf, membersOf} from './json-text.js';

const pieceBytes = 65_536;
const mostPrinted = 65_536;
const isOneLine = (text: string): boolean => !/[\r\n]/.test(text);

export interface BatchSettings {
	encode(request: Request): string;
	/** So many calls unanswered at a time. */
	inFlight: number;
	/** No answers are wanted. */
	notify: boolean;
	/** How long to wait for an answer, each time; negative: for ever. */
	timeoutMs: number;
}

/**
 * Many calls on one connection, as JSON Lines from stdin to stdout. It never waits for one side while another could go
 * on, and prints an answer as soon as nothing else is there to be read.
 */
export class BatchCaller {
	private readonly decoder = new RecordDecoder('lines');
	private readonly input = Buffer.allocUnsafe(pieceBytes);
	/** Lines that were read and not yet asked. */
	private lines: Buffer[] = [];
	private nextLine = 0;
	private hasAll = false;
	private lineCount = 0;
	private readonly asked = new Set<string>();
	private answers = '';
	private failures = 0;

	constructor(
		private readonly channel: CallChannel,
		private readonly dialect: Dialect,
		private readonly settings: BatchSettings,
	) {}

	run(): Outcome {
		try {
			this.work();
		} catch (error) {
			// What did come is not lost for it.
			this.printAnswers();
			if (!(error instanceof TimedOut)) throw error;
			tell(`gave up: ${countOf(this.asked.size, 'call')} without an answer`);
			return timedOut;
		}
		if (this.failures === 0) return done;
		tell(`${this.failures} of ${countOf(this.lineCount, 'call')} failed`);
		return failed;
	}

	private work(): void {
		const {channel, settings} = this;
		let deadline = new Deadline(settings.timeoutMs);
		for (;;) {
			this.ask();
			channel.write();
			const hadAnswers = this.takeAnswers();
			if (hadAnswers) deadline = new Deadline(settings.timeoutMs);
			if (this.isDone) break;
			if (channel.hasEnded) this.explainEnd();
			if (channel.read() || hadAnswers) continue;
			this.printAnswers();
			const wantsInput = !this.hasAll && this.nextLine === this.lines.length && this.asked.size < settings.inFlight;
			// While nobody owes an answer, whoever writes the calls has all the time there is.
			const leftMs = this.asked.size > 0 || channel.isSending ? deadline.left : -1;
			const isIdle = this.asked.size === 0;
			if (channel.wait(leftMs, wantsInput ? stdin : -1)) this.readLines();
			if (isIdle) deadline = new Deadline(settings.timeoutMs);
		}
		this.printAnswers();
	}

	private get isDone(): boolean {
		return this.hasAll && this.nextLine === this.lines.length && this.asked.size === 0 && !this.channel.isSending;
	}

	private explainEnd(): never {
		const open = this.asked.size;
		throw new SystemError(
			`${this.channel.shown} closed the connection ${open === 0 ? 'before all was asked' : `with ${countOf(open, 'call')} unanswered`}`,
		);
	}

	private readLines(): void {
		const count = readInputNow(this.input, 0);
		if (count < 0) return;
		this.lines = [];
		this.nextLine = 0;
		this.hasAll = count === 0;
		const records = count === 0 ? this.decoder.end() : this.decoder.push(this.input.subarray(0, count));
		for (const line of records) this.lines.push(line);
	}

	/** Asks what has been read, as far as that is allowed. */
	private ask(): void {
		const {settings, lines, asked} = this;
		if (this.nextLine === lines.length || asked.size >= settings.inFlight) return;
		let text = '';
		while (this.nextLine < lines.length && asked.size < settings.inFlight) {
			const line = lines[this.nextLine++] as Buffer;
			if (line.length === 0) continue;
			const request = this.readLine(line);
			if (request.id !== undefined) asked.add(request.id);
			text += settings.encode(request);
		}
		this.channel.send(text);
	}

	private readLine(line: Buffer): Request {
		const number = ++this.lineCount;
		const text = jsonText(line);
		const members = text !== undefined && kindOf(text) === 'object' ? membersOf(text) : undefined;
		const method = members?.get('method');
		if (!members || method === undefined || kindOf(method) !== 'string')
			throw new SystemError(`call ${number} is no object with a "method"`);
		const params = members.get('params');
		if (params !== undefined && kindOf(params) !== 'array' && kindOf(params) !== 'object')
			throw new SystemError(`call ${number}: its "params" are neither an array nor an object`);
		const id = this.settings.notify ? undefined : (members.get('id') ?? this.freeId(number));
		if (id !== undefined && this.asked.has(id)) throw new SystemError(`call ${number}: its id ${id} is in use already`);
		return {id, method: JSON.parse(method) as string, params};
	}

	/** The number of the line, unless somebody has taken that for another. */
	private freeId(number: number): string {
		let id = number;
		while (this.asked.has(String(id))) id += 1_000_000_000;
		return String(id);
	}

	/** Whether any came. */
	private takeAnswers(): boolean {
		let count = 0;
		for (let bytes = this.channel.next(); bytes; bytes = this.channel.next()) {
			const text = jsonText(bytes);
			if (text === undefined) throw new SystemError(`what came from ${this.channel.shown} is no JSON`);
			for (const item of kindOf(text) === 'array' ? elementsOf(text) : [text]) {
				const response = kindOf(item) === 'object' ? this.dialect.read(membersOf(item)) : undefined;
				if (!response || !this.take(response)) tellVerbose(`passed over: ${compact(item)}`);
				else count++;
			}
			if (this.answers.length > mostPrinted) this.printAnswers();
		}
		return count > 0;
	}

	private take({id, outcome}: Response): boolean {
		if (id === undefined || !this.asked.delete(id)) {
			if ('error' in outcome && (id === undefined || id === 'null'))
				throw new SystemError(`${this.channel.shown} refused a call: ${outcome.error.message} (${outcome.error.code})`);
			return false;
		}
		if ('error' in outcome) this.failures++;
		const text = formatResponse(id, outcome);
		this.answers += `${isOneLine(text) ? text : compact(text)}\n`;
		return true;
	}

	private printAnswers(): void {
		if (this.answers === '') return;
		print(this.answers);
		this.answers = '';
	}
}
