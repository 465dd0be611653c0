import {formatSize} from '../../common/formats/size.js';
import {Broken, isOpening, isSpace, JsonScan} from './json-scan.js';

/**
 * How the peer separates its messages, and so the framing of answers to it. A bare value is taken for a line without
 * its end.
 */
export type MessageFraming = 'lines' | 'null' | 'headers';

export interface SplitLimits {
	/** A longer message is refused, and so is one whose header announces a longer one. */
	mostBytes: number;
	/** Maximum nesting of arrays and objects. */
	mostDepth: number;
}

export const usualLimits: SplitLimits = {mostBytes: 16 * 1024 ** 2, mostDepth: 512};

const NUL = 0;
const newline = 10;

const smallCapacity = 65_536;
const headerLine = /^content-(length|type)\s*:/i;

/**
 * Cuts a stream of JSON messages, whatever the pieces in which it arrives: JSON values one after the other, with lines,
 * NULs or nothing in between, on one line or over many, or each behind `Content-Length` headers. Which of these it is
 * shows in the stream, message by message.
 *
 * Every byte is looked at once, however small the pieces. An array or an object in the output is JSON if it is UTF-8; a
 * body with a length, and a line that began as neither, may be anything.
 */
export class JsonSplitter {
	/** The framing of the last message. The end of a value may arrive after the value: then it is known from then on. */
	form: {framing: MessageFraming} = {framing: 'lines'};

	private bytes = Buffer.allocUnsafe(smallCapacity);
	/** Where the current message begins, how far it has been looked at, and where the bytes end. */
	private start = 0;
	private at = 0;
	private end = 0;
	private state: 'idle' | 'value' | 'line' | 'headers' | 'body' | 'skip' | 'over' = 'idle';

	private readonly scan: JsonScan;
	/** Behind a value: the byte that ends it has not arrived yet. */
	private awaitsEnd = false;
	private contentLength = -1;
	private isBodyScanned = false;

	constructor(private readonly limits: SplitLimits = usualLimits) {
		this.scan = new JsonScan(limits.mostDepth);
	}

	/** Whether a message has begun and is not complete. */
	get isAmidst(): boolean {
		return this.state !== 'idle' && this.state !== 'over';
	}

	/** Bytes that have come and have not been taken as messages. */
	get held(): number {
		return this.end - this.start;
	}

	/** Nothing more is wanted. */
	drop(): void {
		this.state = 'over';
		this.start = this.end;
		this.release();
	}

	/** Takes another piece; its bytes are copied. */
	push(piece: Uint8Array): void {
		if (this.state === 'over') return;
		const room = this.room(piece.length);
		room.set(piece);
		this.advance(piece.length);
	}

	/** Room for at least this many bytes; report how many were read with {@link advance}. */
	room(least: number): Buffer {
		const held = this.end - this.start;
		if (this.bytes.length - this.end < least) {
			const isLarge = held + least > this.bytes.length / 2;
			const capacity = isLarge ? Math.max(2 * this.bytes.length, held + least) : this.bytes.length;
			const target = isLarge ? Buffer.allocUnsafe(capacity) : this.bytes;
			this.bytes.copy(target, 0, this.start, this.end);
			this.bytes = target;
			this.at -= this.start;
			this.start = 0;
			this.end = held;
		}
		return this.bytes.subarray(this.end);
	}

	advance(count: number): void {
		this.end += count;
	}

	/**
	 * The next complete message, as a view that is valid until the next piece; undefined when there is none yet. After a
	 * {@link Broken} that is fatal no more messages follow.
	 */
	next(): Buffer | Broken | undefined {
		for (;;) {
			switch (this.state) {
				case 'idle':
					if (!this.beginMessage()) return undefined;
					break;
				case 'value': {
					const found = this.scanTo(this.end);
					if (found === 'more') return this.checkSize();
					if (found !== 'complete') return this.giveUp(found);
					if (this.at - this.start > this.limits.mostBytes) return this.checkSize();
					const message = this.take(this.at);
					this.awaitsEnd = true;
					// A peer that has used NULs will continue to use them.
					this.form = {framing: this.form.framing === 'null' ? 'null' : 'lines'};
					this.skipSpace();
					return message;
				}
				case 'line': {
					const line = this.takeLine();
					if (!(line instanceof Buffer)) return line;
					if (!headerLine.test(line.toString('latin1', 0, 20))) return line;
					const problem = this.readHeader(line);
					if (problem) return problem;
					break;
				}
				case 'headers': {
					const line = this.takeLine();
					if (!(line instanceof Buffer)) return line;
					const isLast = line.toString('latin1').trim() === '';
					const problem = isLast ? this.beginBody() : this.readHeader(line);
					if (problem) return problem;
					break;
				}
				case 'body': {
					const bodyEnd = this.start + this.contentLength;
					const problem = this.scanBody(Math.min(bodyEnd, this.end));
					if (problem) return problem;
					if (this.end < bodyEnd) return undefined;
					this.form = {framing: 'headers'};
					this.contentLength = -1;
					this.isBodyScanned = false;
					return this.take(bodyEnd);
				}
				case 'skip':
					if (!this.findLineEnd()) {
						this.start = this.at;
						this.release();
						return undefined;
					}
					this.take(this.at);
					break;
				case 'over':
					return undefined;
			}
		}
	}

	/** The rest when the stream has ended: a scalar without an end, or an incomplete message. */
	last(): Buffer | Broken | undefined {
		const state = this.state;
		if (state === 'idle' || state === 'skip' || state === 'over') return undefined;
		if (state === 'line') return this.take(this.end);
		return this.giveUp(new Broken('the message is incomplete', true));
	}

	/** The bytes that have come, while no message has begun: a view that is valid until the next piece. */
	get untouched(): Buffer {
		if (this.state === 'idle') this.skipSpace();
		return this.bytes.subarray(this.start, this.state === 'idle' ? this.end : this.start);
	}

	/** Whole lines at the beginning of {@link untouched} have been taken as messages. */
	tookLines(bytes: number): void {
		this.take(this.start + bytes);
		this.awaitsEnd = false;
		this.form = {framing: 'lines'};
	}

	/** Skips the bytes between messages and looks how the next one begins. */
	private beginMessage(): boolean {
		this.skipSpace();
		if (this.at === this.end) {
			this.release();
			return false;
		}
		this.start = this.at;
		this.awaitsEnd = false;
		this.state = isOpening(this.bytes[this.at] as number) ? 'value' : 'line';
		this.scan.begin();
		return true;
	}

	private skipSpace(): void {
		while (this.at < this.end) {
			const byte = this.bytes[this.at] as number;
			if (byte === newline || byte === NUL) {
				if (this.awaitsEnd) this.form.framing = byte === NUL ? 'null' : 'lines';
				this.awaitsEnd = false;
			} else if (!isSpace(byte)) {
				break;
			}
			this.at++;
		}
		this.start = this.at;
	}

	/** A view of the message that ends here; its bytes are released. */
	private take(messageEnd: number): Buffer {
		const message = this.bytes.subarray(this.start, messageEnd);
		this.start = messageEnd;
		this.at = messageEnd;
		this.state = 'idle';
		return message;
	}

	/** When the buffer is empty it starts afresh, and is small again. */
	private release(): void {
		if (this.start < this.end) return;
		this.start = 0;
		this.at = 0;
		this.end = 0;
		if (this.bytes.length > 16 * smallCapacity) this.bytes = Buffer.allocUnsafe(smallCapacity);
	}

	private giveUp(broken: Broken): Broken {
		this.state = broken.isFatal ? 'over' : 'skip';
		return broken;
	}

	/** A message that is not complete yet may be too long already. */
	private checkSize(): Broken | undefined {
		const {mostBytes} = this.limits;
		if (this.at - this.start <= mostBytes) return undefined;
		return this.giveUp(new Broken(`longer than ${formatSize(mostBytes)} (${mostBytes} bytes)`, true));
	}

	/** Continues to the byte that ends a line, or a record. */
	private findLineEnd(): boolean {
		for (; this.at < this.end; this.at++) {
			const byte = this.bytes[this.at];
			if (byte === newline || byte === NUL) return true;
		}
		return false;
	}

	private takeLine(): Buffer | Broken | undefined {
		if (!this.findLineEnd() || this.at - this.start > this.limits.mostBytes) return this.checkSize();
		this.form = {framing: this.bytes[this.at] === NUL ? 'null' : 'lines'};
		const line = this.take(this.at);
		this.at++;
		this.start = this.at;
		return line;
	}

	private readHeader(line: Buffer): Broken | undefined {
		const [, name, value] = /^([\w-]+)\s*:\s*(.*?)\s*$/.exec(line.toString('latin1')) ?? [];
		this.state = 'headers';
		if (name === undefined || value === undefined) return this.giveUp(new Broken('a header without a colon', true));
		if (name.toLowerCase() !== 'content-length') return undefined;
		if (!/^[0-9]+$/.test(value)) return this.giveUp(new Broken('a Content-Length that is not a number', true));
		const {mostBytes} = this.limits;
		if (this.contentLength >= 0 && this.contentLength !== Number(value))
			return this.giveUp(new Broken('two different Content-Lengths', true));
		this.contentLength = Number(value);
		if (this.contentLength <= mostBytes) return undefined;
		const claim = `a Content-Length of ${value}, more than ${formatSize(mostBytes)} (${mostBytes} bytes)`;
		return this.giveUp(new Broken(claim, true));
	}

	private beginBody(): Broken | undefined {
		if (this.contentLength < 0) return this.giveUp(new Broken('headers without Content-Length', true));
		this.state = 'body';
		this.start = this.at;
		this.scan.begin();
		return undefined;
	}

	private scanTo(limit: number): 'more' | 'complete' | Broken {
		const found = this.scan.goOn(this.bytes, this.at, limit);
		this.at = this.scan.at;
		return found;
	}

	/** Only the nesting depth matters here: whatever else is invalid, the end of the message is known. */
	private scanBody(limit: number): Broken | undefined {
		if (this.isBodyScanned) return undefined;
		const found = this.scanTo(limit);
		if (found instanceof Broken && found.isFatal) return this.giveUp(found);
		this.isBodyScanned = found !== 'more';
		return undefined;
	}
}
