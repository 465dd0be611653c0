import {countOf, quoted, SystemError} from '../../common/errors.js';
import type {ClusterAddress} from '../../common/formats/cluster-address.js';
import {type Boundaries, boundariesOf, incompleteRecord} from '../../common/framing/boundaries.js';
import {type Framing, FramingError, RecordDecoder, separatorOf} from '../../common/framing/framing.js';
import {readInput, readInputNow} from '../../common/input.js';
import {print, stdin} from '../../common/output.js';
import {growPipe} from '../../common/transfer.js';
import {sendAsLines} from '../../objects/fifo/json-lines.js';
import type {Missing, PipeSender, SendSettings} from '../../objects/fifo/pipe.js';
import {explainRecord} from '../../objects/fifo/record-sender.js';
import {type Channel, closeChannel, openChannel} from '../channel.js';
import {attemptOnCluster} from '../refusal.js';
import type {PipeMethods} from '../worker/pipe/pipe.js';
import {batchBytes, type ClusterPipeAttributes, type SendLimits} from './format.js';

/** Batches under way at once. */
const mostUnderWay = 4;
/** While others are under way, a batch waits until it has this many bytes. */
const wantedBytes = 256 * 1024;

/** A pipe on a cluster that is written to. */
export class ClusterSender implements PipeSender {
	readonly cleansUp = true;
	private readonly channel: Channel;
	private readonly limits: SendLimits;

	constructor(
		private readonly address: ClusterAddress,
		attributes: ClusterPipeAttributes,
	) {
		this.channel = openChannel(address);
		this.limits = this.attempt('open', () =>
			this.channel.call<PipeMethods, 'pipeOpenToSend'>('pipeOpenToSend', [address.name, attributes]),
		);
	}

	get shownName(): string {
		return this.address.shown;
	}

	private attempt<Result>(what: string, call: () => Result): Result {
		return attemptOnCluster(`cannot ${what} ${quoted(this.shownName)}`, call);
	}

	connect(timeoutMs: number): boolean {
		growPipe(stdin);
		return this.attempt('send to', () =>
			this.channel.call<PipeMethods, 'pipeFindReader'>('pipeFindReader', [this.address.name, timeoutMs]),
		);
	}

	sendBytes({isRecord, ...settings}: SendSettings & {isRecord: boolean}): {bytes: number; missing: Missing} {
		const batches = new Batches(this.channel, this.address, settings);
		if (isRecord) this.sendOne(batches);
		else this.sendStream(batches);
		batches.end();
		settings.progress?.add(0);
		return {bytes: batches.bytes, missing: batches.missing};
	}

	/** stdin, in messages of equal size. */
	private sendStream(batches: Batches): void {
		const {chunkBytes} = this.limits;
		let buffer = Buffer.allocUnsafeSlow(batchBytes);
		let filled = 0;
		for (let isOver = false; !isOver && !batches.missing; ) {
			const isReadable = batches.waitForInput(filled < wantedBytes && filled > 0);
			if (isReadable) {
				const count = readInputNow(buffer, filled);
				isOver = count === 0;
				filled += Math.max(0, count);
			}
			const isDue = isOver || filled === buffer.length || filled >= wantedBytes || batches.isIdle;
			if (filled === 0 || !isDue) continue;
			const ends = Array.from({length: Math.ceil(filled / chunkBytes)}, (_, i) =>
				Math.min(filled, (i + 1) * chunkBytes),
			);
			batches.send(buffer.subarray(0, filled), ends);
			// A large one has been handed over.
			if (buffer.buffer.byteLength === 0) buffer = Buffer.allocUnsafeSlow(batchBytes);
			filled = 0;
		}
	}

	/** All of stdin is one record. */
	private sendOne(batches: Batches): void {
		const {mostRecordBytes} = this.limits;
		const buffer = Buffer.allocUnsafeSlow(mostRecordBytes + 1);
		let filled = 0;
		for (let count = -1; count !== 0 && filled < buffer.length; filled += count) count = readInput(buffer, filled);
		if (filled > mostRecordBytes) throw this.tooLong('stdin', `more than ${mostRecordBytes}`);
		if (filled > 0) batches.send(buffer.subarray(0, filled), [filled]);
	}

	private tooLong(what: string, length: number | string): SystemError {
		return new SystemError(
			`cannot send to ${quoted(this.shownName)}: ${what} has ${length} bytes, and a message of this pipe takes ${this.limits.mostRecordBytes}`,
			{reason: 'message-too-long'},
		);
	}

	sendRecords({framing, ...settings}: SendSettings & {framing: Framing}): {records: number; missing: Missing} {
		const batches = new Batches(this.channel, this.address, settings);
		const boundaries = boundariesOf(framing);
		try {
			if (framing === 'json') this.sendJson(batches, boundaries);
			else this.sendFramed(batches, framing, boundaries);
			batches.end();
		} catch (error) {
			if (!(error instanceof FramingError)) throw error;
			batches.end();
			throw explainRecord(error, batches.records);
		}
		return {records: batches.records, missing: batches.missing};
	}

	private sendFramed(batches: Batches, framing: Framing, boundaries: Boundaries): void {
		// Room for a record of any length that can be sent.
		const buffer = Buffer.allocUnsafe(batchBytes + this.limits.mostRecordBytes);
		let filled = 0;
		while (!batches.missing) {
			const isReadable = batches.waitForInput(false);
			const count = isReadable ? readInputNow(buffer, filled) : -1;
			if (count < 0) continue;
			if (count === 0) break;
			filled += count;
			const end = this.sendComplete(batches, boundaries, buffer, filled);
			buffer.copyWithin(0, end, filled);
			filled -= end;
			if (filled > this.limits.mostRecordBytes)
				throw this.tooLong(`record ${batches.all + 1} of stdin`, `more than ${this.limits.mostRecordBytes}`);
		}
		if (filled === 0 || batches.missing) return;
		const separator = separatorOf(framing);
		const rest = buffer.subarray(0, filled);
		if (separator === undefined) throw incompleteRecord(boundaries, rest);
		const last = Buffer.concat([rest, Buffer.of(separator)]);
		this.sendComplete(batches, boundaries, last, last.length);
	}

	/** The records that are complete, as many in a message as are usual: where the rest begins. */
	private sendComplete(batches: Batches, boundaries: Boundaries, buffer: Buffer, filled: number): number {
		const {chunkBytes, mostRecordBytes} = this.limits;
		const ends: number[] = [];
		const counts: number[] = [];
		let at = 0;
		for (;;) {
			let end = boundaries.lastEnd(buffer, at, Math.min(filled, at + chunkBytes));
			if (end === at) end = boundaries.firstEnd(buffer, at, filled);
			if (end - at > mostRecordBytes)
				throw this.tooLong(`record ${batches.all + counts.reduce((sum, n) => sum + n, 0) + 1} of stdin`, end - at);
			if (end <= at || end > filled) break;
			ends.push(end);
			counts.push(boundaries.count(buffer, at, end));
			at = end;
		}
		if (at > 0) batches.send(Buffer.from(buffer.subarray(0, at)), ends, counts);
		return at;
	}

	/** Each line of stdin is a JSON object; its contents are sent as a line. */
	private sendJson(batches: Batches, boundaries: Boundaries): void {
		const decoder = new RecordDecoder('json');
		const buffer = Buffer.allocUnsafeSlow(batchBytes);
		const send = (lines: Buffer) => {
			this.sendComplete(batches, boundaries, lines, lines.length);
		};
		while (!batches.missing) {
			const count = batches.waitForInput(false) ? readInputNow(buffer, 0) : -1;
			if (count < 0) continue;
			if (count === 0) break;
			sendAsLines(decoder.push(buffer.subarray(0, count)), send);
		}
		if (!batches.missing) sendAsLines(decoder.end(), send);
	}

	[Symbol.dispose](): void {
		this.channel.callAtEnd<PipeMethods, 'pipeLetGo'>('pipeLetGo', [this.address.name]);
		closeChannel(this.channel);
	}

	close(): void {
		this[Symbol.dispose]();
	}
}

interface Flying {
	call: number;
	/** Where each message ends, and how many records it has. */
	ends: readonly number[];
	counts: readonly number[];
	copy: Buffer | undefined;
}

/** Hands batches to the other thread, several at once, and keeps count of what is stored. */
class Batches {
	bytes = 0;
	records = 0;
	/** Records that were handed over, stored or not. */
	all = 0;
	missing: Missing;
	private readonly flying: Flying[] = [];

	constructor(
		private readonly channel: Channel,
		private readonly address: ClusterAddress,
		private readonly settings: SendSettings,
	) {}

	get isIdle(): boolean {
		return this.flying.length === 0;
	}

	/** Waits for stdin; with `orAnswer` until one that is under way is done too. Whether stdin has something. */
	waitForInput(orAnswer: boolean): boolean {
		for (;;) {
			this.settleAnswered();
			if (this.missing) return false;
			if (orAnswer && this.isIdle) return false;
			if (this.channel.waitBeside(stdin)) return true;
		}
	}

	send(bytes: Buffer, ends: readonly number[], counts: readonly number[] = []): void {
		while (this.flying.length >= mostUnderWay) this.settle();
		if (this.missing) return;
		const {copyTo, timeoutMs} = this.settings;
		const copy = copyTo >= 0 ? Buffer.from(bytes) : undefined;
		const isWhole = 2 * bytes.length >= bytes.buffer.byteLength;
		// Memory that is mostly unused is not worth handing over.
		const data = isWhole ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length) : new Uint8Array(bytes);
		const call = this.channel.begin<PipeMethods, 'pipeSend'>(
			'pipeSend',
			[this.address.name, data, Uint32Array.from(ends), timeoutMs],
			[data.buffer as ArrayBuffer],
		);
		this.flying.push({call, ends, counts, copy});
		this.all += counts.reduce((sum, count) => sum + count, 0);
	}

	private settleAnswered(): void {
		while (this.flying[0] && this.channel.hasAnswer(this.flying[0].call)) this.settle();
	}

	/** Waits for the oldest. */
	private settle(): void {
		const [{call, ends, counts, copy}] = this.flying.splice(0, 1) as [Flying];
		const {stored, problem} = this.attempt(() => this.channel.finish<PipeMethods, 'pipeSend'>(call));
		const bytes = stored === 0 ? 0 : (ends[stored - 1] as number);
		const records = counts.slice(0, stored).reduce((sum, count) => sum + count, 0);
		this.bytes += bytes;
		this.records += records;
		this.settings.progress?.add(counts.length > 0 ? records : bytes);
		if (copy) print(copy.subarray(0, bytes));
		if (problem !== '') this.missing ??= 'room';
	}

	/** Until all that was sent is stored, and that there is no more. */
	end(): void {
		while (this.flying.length > 0) this.settle();
		if (this.missing) return;
		const {problem} = this.attempt(() =>
			this.channel.call<PipeMethods, 'pipeEnd'>('pipeEnd', [this.address.name, this.settings.timeoutMs]),
		);
		if (problem !== '') this.missing = 'room';
	}

	private attempt<Result>(call: () => Result): Result {
		return attemptOnCluster(
			`cannot send to ${quoted(this.address.shown)} (${countOf(this.bytes, 'byte')} stored)`,
			call,
		);
	}
}
