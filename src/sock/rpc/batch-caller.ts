import {countOf, SystemError, UsageError} from '../../common/errors.js';
import {done, failed, type Outcome, timedOut} from '../../common/exit.js';
import {mostRecordBytes} from '../../common/framing/framing.js';
import {readInputNow} from '../../common/input.js';
import {print, stdin, tell, tellError, tellVerbose} from '../../common/output.js';
import {BatchInput} from './batch-input.js';
import {type CallChannel, Deadline, TimedOut} from './call-channel.js';
import type {Dialect} from './dialect.js';
import {formatResponse, jsonText, parse, type Request} from './json-rpc.js';
import {compact, elementsOf, kindOf, membersOf} from './json-text.js';

const pieceBytes = 65_536;
const mostPrinted = 65_536;
const mostHeldMs = 5;

export interface BatchSettings {
	encode(request: Request): string;
	/** A line that is a request already needs no encoding. */
	passesLines: boolean;
	/** So many calls unanswered at a time. */
	inFlight: number;
	/** No answers are wanted. */
	notify: boolean;
	/** How long to wait for an answer, each time; negative: for ever. */
	timeoutMs: number;
}

/** What identifies a call: servers write numbers and strings their own way, but mean the same. */
type Key = number | string;

const keyOf = (id: string): Key => {
	const value: unknown = JSON.parse(id);
	if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
	return typeof value === 'string' ? JSON.stringify(value) : id;
};

/** What a line is that cannot be asked. */
class NoCall {
	constructor(readonly reason: string) {}
}

/**
 * Many calls on one connection, as JSON Lines from stdin to stdout. It never waits for one side while another could go
 * on, and prints what it has before it waits.
 */
export class BatchCaller {
	private readonly input = new BatchInput(mostRecordBytes);
	private readonly piece = Buffer.allocUnsafe(pieceBytes);
	/** Lines that were read, and up to where they have been asked. */
	private lines = '';
	private at = 0;
	private hasAll = false;
	private lineCount = 0;
	private callCount = 0;
	/** The line of stdin that is no call, and why: nothing is asked after it. */
	private problem: string | undefined;
	private readonly asked = new Set<Key>();
	/** By the integer that was sent in its place. */
	private readonly givenIds = new Map<string, string>();
	private answers = '';
	private printedAt = 0;
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
			if (this.problem !== undefined) tellError(this.problem);
			if (!(error instanceof TimedOut)) throw error;
			tell(`gave up: ${countOf(this.asked.size, 'call')} without an answer`);
			return timedOut;
		}
		if (this.failures > 0) tell(`${this.failures} of ${countOf(this.callCount, 'call')} failed`);
		if (this.problem !== undefined)
			throw new SystemError(`${this.problem}; ${countOf(this.callCount, 'call')} before it went through`);
		return this.failures === 0 ? done : failed;
	}

	private work(): void {
		const {channel, settings} = this;
		let deadline = new Deadline(settings.timeoutMs);
		for (;;) {
			if (this.takeAnswers()) deadline = new Deadline(settings.timeoutMs);
			this.ask();
			const holds = this.holdsAnswers();
			// Before anything is sent: a server that is woken by somebody who sleeps next runs at once, on the same processor.
			if (!holds) this.printAnswers();
			channel.write();
			if (this.isDone) return;
			if (channel.hasEnded) this.explainEnd();
			if (holds && !channel.isSending && channel.isReadable(mostHeldMs)) {
				channel.read();
				continue;
			}
			this.printAnswers();
			const wantsInput = !this.hasAll && this.at === this.lines.length && this.asked.size < settings.inFlight;
			// While nobody owes an answer, whoever writes the calls has all the time there is.
			const isIdle = this.asked.size === 0 && !channel.isSending;
			if (channel.wait(isIdle ? -1 : deadline.left, wantsInput ? stdin : -1)) this.readLines();
			channel.read();
			if (isIdle) deadline = new Deadline(settings.timeoutMs);
		}
	}

	/**
	 * Whether the answers may stay here for a moment, to go out with the next ones: while there are calls left to be made,
	 * nobody waits for these to make another.
	 */
	private holdsAnswers(): boolean {
		return this.answers !== '' && this.at < this.lines.length && performance.now() - this.printedAt < mostHeldMs;
	}

	private get isDone(): boolean {
		return this.hasAll && this.at === this.lines.length && this.asked.size === 0 && !this.channel.isSending;
	}

	private explainEnd(): never {
		const open = this.asked.size;
		const when = open === 0 ? 'before all was asked' : `with ${countOf(open, 'call')} unanswered`;
		throw new SystemError(`${this.channel.shown} closed the connection ${when}`);
	}

	private readLines(): void {
		const count = readInputNow(this.piece, 0);
		if (count < 0) return;
		this.hasAll = count === 0;
		this.lines = this.hasAll ? this.input.end() : this.input.push(this.piece.subarray(0, count));
		this.at = 0;
		if (this.input.problem !== undefined) this.hasAll = true;
	}

	/** Asks what has been read, as far as that is allowed. */
	private ask(): void {
		const {settings, lines, asked} = this;
		let text = '';
		while (this.at < lines.length && asked.size < settings.inFlight) {
			const end = lines.indexOf('\n', this.at);
			this.lineCount++;
			const request = end > this.at ? this.requestOf(lines.slice(this.at, end)) : '';
			if (request instanceof NoCall) {
				this.giveUp(request.reason);
				break;
			}
			text += request;
			this.at = end + 1;
		}
		const {problem} = this.input;
		if (problem !== undefined && this.at === this.lines.length && this.problem === undefined) {
			this.lineCount++;
			this.giveUp(problem);
		}
		if (text !== '') this.channel.send(text);
	}

	/** Those who were asked are still waited for: what they have done cannot be undone, and somebody wants to know. */
	private giveUp(reason: string): void {
		this.problem = `line ${this.lineCount} of stdin ${reason}`;
		this.hasAll = true;
		this.lines = '';
		this.at = 0;
	}

	/** A line as it goes to the server. */
	private requestOf(line: string): string | NoCall {
		if (line.trim() === '') return '';
		const number = this.callCount + 1;
		const value = parse(line) as Partial<Record<string, unknown>> | null | undefined;
		if (this.settings.passesLines && isRequest(value)) {
			return this.expect(value.id) ?? `${line}\n`;
		}
		if (value === undefined) return new NoCall('is no JSON');
		const members = kindOf(line) === 'object' ? membersOf(line) : undefined;
		const method = members?.get('method');
		if (!members || method === undefined || kindOf(method) !== 'string')
			return new NoCall('is no object with a "method"');
		const params = members.get('params');
		if (params !== undefined && kindOf(params) !== 'array' && kindOf(params) !== 'object')
			return new NoCall('has "params" that are neither an array nor an object');
		const id = this.settings.notify ? undefined : (members.get('id') ?? this.freeId(number));
		const sentId = id !== undefined && this.dialect.hasIntegerIds ? String(number) : id;
		let request: string;
		try {
			request = this.settings.encode({id: sentId, method: JSON.parse(method) as string, params});
		} catch (error) {
			if (error instanceof UsageError) return new NoCall(`cannot be asked: ${error.message}`);
			throw error;
		}
		if (id === undefined) {
			this.callCount++;
			return request;
		}
		const refused = this.expect(keyOf(id));
		if (!refused && sentId !== undefined && this.dialect.hasIntegerIds) this.givenIds.set(sentId, id);
		return refused ?? request;
	}

	private expect(key: Key): NoCall | undefined {
		if (this.asked.has(key)) return new NoCall(`has the id ${key}, which is still in use`);
		this.asked.add(key);
		this.callCount++;
		return undefined;
	}

	/** The number of the call, unless somebody has taken that for another. */
	private freeId(number: number): string {
		let id = number;
		while (this.asked.has(id)) id += 1_000_000_000;
		return String(id);
	}

	/** Whether any came. */
	private takeAnswers(): boolean {
		const {asked, channel} = this;
		const {passesLines} = this.settings;
		let count = 0;
		for (let bytes = channel.next(); bytes; bytes = channel.next()) {
			const text = bytes.toString();
			const id = passesLines && channel.isScanned ? usualId(text) : undefined;
			if (id !== undefined && asked.delete(id)) {
				// It goes on as it came.
				this.answers += `${text}\n`;
				count++;
			} else if (this.takeUnusual(bytes)) {
				count++;
			}
			if (this.answers.length > mostPrinted) this.printAnswers();
		}
		return count > 0;
	}

	private takeUnusual(bytes: Buffer): boolean {
		const text = jsonText(bytes);
		if (text === undefined) throw new SystemError(`what came from ${this.channel.shown} is no JSON`);
		let isAny = false;
		for (const item of kindOf(text) === 'array' ? elementsOf(text) : [text]) {
			if (this.takeItem(item)) isAny = true;
			else tellVerbose(`passed over: ${compact(item)}`);
		}
		return isAny;
	}

	private takeItem(item: string): boolean {
		const response = kindOf(item) === 'object' ? this.dialect.read(membersOf(item)) : undefined;
		if (!response) return false;
		const {outcome} = response;
		const id = this.givenId(response.id);
		if (id === undefined || !this.asked.delete(keyOf(id))) {
			if ('error' in outcome && (response.id === undefined || response.id === 'null'))
				throw new SystemError(`${this.channel.shown} refused a call: ${outcome.error.message} (${outcome.error.code})`);
			return false;
		}
		if ('error' in outcome) this.failures++;
		this.answers += `${compact(formatResponse(id, outcome))}\n`;
		return true;
	}

	/** The id that stdin had for a call, where another was sent. */
	private givenId(sentId: string | undefined): string | undefined {
		if (sentId === undefined || !this.dialect.hasIntegerIds) return sentId;
		const given = this.givenIds.get(sentId);
		this.givenIds.delete(sentId);
		return given;
	}

	private printAnswers(): void {
		this.printedAt = performance.now();
		if (this.answers === '') return;
		print(this.answers);
		this.answers = '';
	}
}

const mostDigits = 15;

/**
 * The id of a result as most servers write it: on one line, with a number for an id at one of its ends. Undefined for
 * any other, which has to be taken apart. The text is known to be JSON, and an object if a brace begins it: so what
 * stands between its last comma and its last brace is a member of its own.
 */
function usualId(text: string): number | undefined {
	let digits: string;
	if (text.startsWith(idFirst)) {
		const end = text.indexOf(',', idFirst.length);
		if (!text.startsWith(',"result":', end)) return undefined;
		digits = text.slice(idFirst.length, end);
	} else if (text.startsWith(resultFirst)) {
		const start = text.lastIndexOf(',"id":');
		if (start < 0) return undefined;
		digits = text.slice(start + ',"id":'.length, -1);
	} else {
		return undefined;
	}
	const isPlain = digits.length <= mostDigits && /^[0-9]+$/.test(digits) && !/[\n\r\ufffd]|"error"/.test(text);
	return isPlain ? Number(digits) : undefined;
}

const idFirst = '{"jsonrpc":"2.0","id":';
const resultFirst = '{"jsonrpc":"2.0","result":';

/** Whether a server of JSON-RPC 2.0 can be asked with it as it is, and its answer be told by a number. */
function isRequest(value: Partial<Record<string, unknown>> | null | undefined): value is {id: number} {
	return (
		typeof value?.id === 'number' &&
		Number.isSafeInteger(value.id) &&
		value.jsonrpc === '2.0' &&
		typeof value.method === 'string' &&
		(value.params === undefined || (typeof value.params === 'object' && value.params !== null))
	);
}
