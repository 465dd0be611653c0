import {isUtf8} from 'node:buffer';
import {Deadline} from '../../common/deadline.js';
import {countOf, SystemError, UsageError} from '../../common/errors.js';
import {done, failed, type Outcome, timedOut} from '../../common/exit.js';
import {mostRecordBytes} from '../../common/framing/framing.js';
import {readInputNow} from '../../common/input.js';
import {print, stdin, tell, tellError, tellVerbose} from '../../common/output.js';
import {native} from '../../native/index.js';
import {BatchInput, nothing} from './batch-input.js';
import {type CallChannel, TimedOut} from './call-channel.js';
import type {Dialect} from './dialect.js';
import {formatResponse, jsonText, parse, type Request} from './json-rpc.js';
import {compact, elementsOf, kindOf, membersOf} from './json-text.js';

const pieceBytes = 65_536;
const outputBytes = 65_536;
/** At most this many lines are recognised at once. */
const mostAtOnce = 1024;
const newline = 10;
const mostHeldMs = 5;

export interface BatchSettings {
	encode(request: Request): string;
	/** A line that is a request already needs no encoding. */
	passesLines: boolean;
	/** Maximum number of unanswered calls. */
	inFlight: number;
	/** No answers are wanted. */
	notify: boolean;
	/** How long to wait for an answer, each time; negative: without limit. */
	timeoutMs: number;
}

const idKinds: ReadonlySet<string> = new Set(['string', 'number', 'null']);

/** Identifies a call: servers write numbers and strings in their own form, with the same meaning. */
type Key = number | string;

const keyOf = (id: string): Key => {
	const value: unknown = JSON.parse(id);
	if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
	return typeof value === 'string' ? JSON.stringify(value) : id;
};

/** Of an answer with a number that no call was sent with. */
const notSent = Symbol('not sent');

/** Why a line cannot be sent as a call. */
class NoCall {
	constructor(readonly reason: string) {}
}

/**
 * Many calls on one connection, as JSON Lines from stdin to stdout. It never waits for one side while another can make
 * progress, and prints the answers it has before it waits.
 */
export class BatchCaller {
	private readonly input = new BatchInput(mostRecordBytes);
	private readonly piece = Buffer.allocUnsafe(pieceBytes);
	/** The lines that were read, and the index up to which they have been sent. */
	private lines: Buffer = nothing;
	private at = 0;
	private hasAll = false;
	private lineCount = 0;
	private callCount = 0;
	/** The line of stdin that is not a call, and why: no call after it is sent. */
	private problem: string | undefined;
	private readonly asked = new Set<Key>();
	/** For a server that accepts integers only: the number sent as an id, and the id that the call has on stdin. */
	private readonly givenIds = new Map<string, string>();
	/** Answers that have not been printed. */
	private readonly output = Buffer.allocUnsafe(outputBytes);
	private outputLength = 0;
	private printedAt = 0;
	/** Of each line that was recognised its id, and where it ends. */
	private readonly found = new Float64Array(2 * mostAtOnce);
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
			// The answers that did arrive are not lost.
			this.printAnswers();
			if (this.problem !== undefined) tellError(this.problem);
			if (!(error instanceof TimedOut)) throw error;
			tell(`gave up: ${countOf(this.asked.size, 'call')} without an answer`);
			return timedOut;
		}
		if (this.failures > 0) tell(`${this.failures} of ${countOf(this.callCount, 'call')} failed`);
		if (this.problem !== undefined)
			throw new SystemError(`${this.problem}; ${countOf(this.callCount, 'call')} before it sent`);
		return this.failures === 0 ? done : failed;
	}

	private work(): void {
		const {channel, settings} = this;
		let deadline = new Deadline(settings.timeoutMs);
		for (;;) {
			if (this.takeAnswers()) deadline = new Deadline(settings.timeoutMs);
			this.ask();
			const holds = this.holdsAnswers();
			// Before anything is sent: a server woken by a process that sleeps next runs at once, on the same processor.
			if (!holds) this.printAnswers();
			channel.write();
			if (this.isDone) {
				if (settings.notify) channel.confirm(deadline);
				return;
			}
			if (channel.hasEnded) this.explainEnd();
			if (holds && !channel.isSending && channel.isReadable(mostHeldMs)) {
				channel.read();
				continue;
			}
			this.printAnswers();
			const wantsInput = !this.hasAll && this.at === this.lines.length && this.asked.size < settings.inFlight;
			// While no answer is due, the process that writes the calls has unlimited time.
			const isIdle = this.asked.size === 0 && !channel.isSending;
			if (channel.wait(isIdle ? -1 : deadline.waitMs(), wantsInput ? stdin : -1)) this.readLines();
			channel.read();
			if (isIdle) deadline = new Deadline(settings.timeoutMs);
		}
	}

	/**
	 * Whether the answers may be held for a moment, to be printed together with the next ones: while there are calls left
	 * to be sent, no process waits for these to make another.
	 */
	private holdsAnswers(): boolean {
		return this.outputLength > 0 && this.at < this.lines.length && performance.now() - this.printedAt < mostHeldMs;
	}

	private get isDone(): boolean {
		return this.hasAll && this.at === this.lines.length && this.asked.size === 0 && !this.channel.isSending;
	}

	private explainEnd(): never {
		const open = this.asked.size;
		const when = open === 0 ? 'before all calls were sent' : `with ${countOf(open, 'call')} unanswered`;
		const {shown, endReason} = this.channel;
		throw new SystemError(
			endReason ? `${shown}: ${endReason}; ended ${when}` : `${shown} closed the connection ${when}`,
		);
	}

	private readLines(): void {
		const count = readInputNow(this.piece, 0);
		if (count < 0) return;
		this.hasAll = count === 0;
		this.lines = this.hasAll ? this.input.end() : this.input.push(this.piece.subarray(0, count));
		this.at = 0;
		if (this.input.problem !== undefined) this.hasAll = true;
	}

	/** Sends the calls that have been read, as far as the limit allows. */
	private ask(): void {
		const {settings, lines, asked} = this;
		const requests: Buffer[] = [];
		while (this.at < lines.length && asked.size < settings.inFlight) {
			const usualEnd = settings.passesLines ? this.expectUsual() : this.at;
			if (usualEnd > this.at) {
				// The lines are overwritten by the next ones.
				requests.push(Buffer.from(lines.subarray(this.at, usualEnd)));
				this.at = usualEnd;
				continue;
			}
			const end = lines.indexOf(newline, this.at);
			this.lineCount++;
			const request = end > this.at ? this.requestOf(lines.toString('utf8', this.at, end)) : '';
			if (request instanceof NoCall) {
				this.giveUp(request.reason);
				break;
			}
			if (request !== '') requests.push(Buffer.from(request));
			this.at = end + 1;
		}
		const {problem} = this.input;
		if (problem !== undefined && this.at === this.lines.length && this.problem === undefined) {
			this.lineCount++;
			this.giveUp(problem);
		}
		if (requests.length > 0) this.channel.send(Buffer.concat(requests));
	}

	/** Where the next lines end that can be sent as they are. Their calls count as asked. */
	private expectUsual(): number {
		const {asked, lines} = this;
		const found = this.found;
		const most = Math.min(mostAtOnce, this.settings.inFlight - asked.size);
		const count = native.usualRequests(lines, this.at, lines.length, mostRecordBytes, most, found);
		let end = this.at;
		for (let i = 0; i < count; i++) {
			// The line is refused with the reason.
			if (asked.has(found[2 * i] as number)) break;
			asked.add(found[2 * i] as number);
			end = found[2 * i + 1] as number;
			this.callCount++;
			this.lineCount++;
		}
		return end;
	}

	/** Calls that were sent are still waited for: their effects cannot be undone, and the user wants the result. */
	private giveUp(reason: string): void {
		this.problem = `line ${this.lineCount} of stdin ${reason}`;
		this.hasAll = true;
		this.lines = nothing;
		this.at = 0;
	}

	/** A line in the form that the server expects. */
	private requestOf(line: string): string | NoCall {
		if (line.trim() === '') return '';
		const number = this.callCount + 1;
		const value = parse(line) as Partial<Record<string, unknown>> | null | undefined;
		if (value === undefined) return new NoCall('is not JSON');
		if (this.settings.passesLines && isRequest(value)) return this.expect(value.id) ?? `${line}\n`;
		const members = kindOf(line) === 'object' ? membersOf(line) : undefined;
		const method = members?.get('method');
		if (!members || method === undefined || kindOf(method) !== 'string')
			return new NoCall('is not an object with a "method"');
		const params = members.get('params');
		if (params !== undefined && kindOf(params) !== 'array' && kindOf(params) !== 'object')
			return new NoCall('has "params" that are neither an array nor an object');
		const given = members.get('id');
		// The server could not say which call it refuses, and the answers to all others would be lost.
		if (given !== undefined && !idKinds.has(kindOf(given)))
			return new NoCall('has an "id" that is not a string, a number or null');
		const id = this.settings.notify ? undefined : (given ?? this.freeId(number));
		const sentId = this.dialect.hasIntegerIds && id !== undefined ? String(number) : id;
		let request: string;
		try {
			request = this.settings.encode({id: sentId, method: JSON.parse(method) as string, params});
		} catch (error) {
			if (error instanceof UsageError) return new NoCall(`cannot be sent: ${error.message}`);
			throw error;
		}
		if (id === undefined) {
			this.callCount++;
			return request;
		}
		const problem = this.expect(keyOf(id));
		if (problem) return problem;
		if (this.dialect.hasIntegerIds) this.givenIds.set(String(number), id);
		return request;
	}

	private expect(key: Key): NoCall | undefined {
		if (this.asked.has(key)) return new NoCall(`has the id ${key}, which is still in use`);
		this.asked.add(key);
		this.callCount++;
		return undefined;
	}

	/** The number of the call, unless the user has given that id to another call. */
	private freeId(number: number): string {
		let id = number;
		while (this.asked.has(id)) id += 1_000_000_000;
		return String(id);
	}

	/** Returns whether there were any. */
	private takeAnswers(): boolean {
		const {channel, settings} = this;
		const before = this.asked.size;
		for (;;) {
			if (settings.passesLines) channel.takeLines((bytes, mostBytes) => this.takeUsual(bytes, mostBytes));
			const bytes = channel.next();
			if (!bytes) return this.asked.size < before;
			this.takeUnusual(bytes);
		}
	}

	/** The lines at the beginning that can be printed as they arrived; returns where they end. */
	private takeUsual(bytes: Buffer, mostBytes: number): number {
		const {asked} = this;
		const found = this.found;
		const count = native.usualAnswers(bytes, 0, bytes.length, mostBytes, mostAtOnce, found);
		if (count === 0 || !isUtf8(bytes.subarray(0, found[2 * count - 1]))) return 0;
		let end = 0;
		for (let i = 0; i < count && asked.delete(found[2 * i] as number); i++) end = found[2 * i + 1] as number;
		this.answer(bytes.subarray(0, end));
		return end;
	}

	private takeUnusual(bytes: Buffer): void {
		const text = jsonText(bytes);
		if (text === undefined) throw new SystemError(`the answer of ${this.channel.shown} is not JSON`);
		for (const item of kindOf(text) === 'array' ? elementsOf(text) : [text])
			if (!this.takeItem(item)) tellVerbose(`ignored: ${compact(item)}`);
	}

	private takeItem(item: string): boolean {
		const response = kindOf(item) === 'object' ? this.dialect.read(membersOf(item)) : undefined;
		if (!response) return false;
		const {outcome} = response;
		const id = this.givenIdOf(response.id);
		if (id === notSent) return false;
		if (id === undefined || !this.asked.delete(keyOf(id))) {
			if ('error' in outcome && (response.id === undefined || response.id === 'null'))
				throw new SystemError(`${this.channel.shown} refused a call: ${outcome.error.message} (${outcome.error.code})`);
			return false;
		}
		if ('error' in outcome) this.failures++;
		this.answer(Buffer.from(`${compact(formatResponse(id, outcome))}\n`));
		return true;
	}

	/** The id that the call has on stdin, from the id that was sent. */
	private givenIdOf(sentId: string | undefined): string | undefined | typeof notSent {
		if (!this.dialect.hasIntegerIds || sentId === undefined || sentId === 'null') return sentId;
		const given = this.givenIds.get(sentId);
		this.givenIds.delete(sentId);
		return given ?? notSent;
	}

	private answer(bytes: Buffer): void {
		if (bytes.length > this.output.length - this.outputLength) this.printAnswers();
		if (bytes.length > this.output.length) print(bytes);
		else {
			this.output.set(bytes, this.outputLength);
			this.outputLength += bytes.length;
		}
	}

	private printAnswers(): void {
		this.printedAt = performance.now();
		const length = this.outputLength;
		this.outputLength = 0;
		if (length > 0) print(this.output.subarray(0, length));
	}
}

/** Whether the line can be sent to a JSON-RPC 2.0 server unchanged, and its answer be recognized by a number. */
function isRequest(value: Partial<Record<string, unknown>> | null): value is {id: number} {
	return (
		typeof value?.id === 'number' &&
		Number.isSafeInteger(value.id) &&
		value.jsonrpc === '2.0' &&
		typeof value.method === 'string' &&
		(value.params === undefined || (typeof value.params === 'object' && value.params !== null))
	);
}
