import {fstatSync} from 'node:fs';
import {countOf, hasCode} from '../common/errors.js';
import {boundariesOf} from '../common/framing/boundaries.js';
import {explainStdout, printBytes, stdout, tellError} from '../common/output.js';
import {isReady} from '../common/waiting.js';
import {native, POLLOUT} from '../native/index.js';
import {
	mostLineBytes,
	type RawSignal,
	type ReceivedSignal,
	rawSignal,
	receivedSignal,
	writeLines,
} from '../objects/signals/received-signal.js';

/** After a signal told us to stop, we wait this long for a reader to make room. */
const roomMs = 200;
/** If there is room at all, there is room for this many bytes. */
const piece = 256;

/** Prints signals on stdout, one per line. Signals that were received and not printed are reported. */
export class SignalPrinter {
	/** Used again and again: many small buffers would pile up until the garbage collector runs. */
	private readonly lines: Buffer;
	private readonly unread: Unread | undefined;
	/** A caught signal that arrived while something was printed. */
	private stop: unknown;

	/** @param batch maximum number of signals printed at once */
	constructor(
		private readonly json: boolean,
		batch: number,
		/** The host for the mark of a signal. */
		private readonly hostOf: (mark: number) => string | undefined,
	) {
		this.lines = Buffer.allocUnsafe(batch * mostLineBytes);
		this.unread = fstatSync(stdout).isFIFO() ? new Unread() : undefined;
	}

	/** Writes the first `count` of a batch. */
	print(fields: Int32Array, count: number): void {
		if (this.json) {
			let text = '';
			for (let at = 0; at < count; at++) text += `${JSON.stringify(this.describe(rawSignal(fields, at)))}\n`;
			const bytes = Buffer.from(text);
			this.write(bytes, bytes.length);
			return;
		}
		this.write(this.lines, writeLines(this.lines, fields, count));
	}

	private describe(signal: RawSignal): ReceivedSignal {
		const host = this.hostOf(signal.mark);
		return host === undefined ? receivedSignal(signal) : {...receivedSignal(signal), host};
	}

	private write(bytes: Buffer, length: number): void {
		let done = 0;
		try {
			while (done < length) {
				try {
					done += this.stop ? printSoon(bytes, done, length, this.stop) : printBytes(bytes, done, length - done);
				} catch (error) {
					if (this.stop || !hasCode(error, 'EINTR')) throw error;
					// Signals that were received are still printed, if there is a reader.
					this.stop = error;
				}
			}
		} catch (error) {
			this.unread?.remember(bytes, done);
			const unread = hasCode(error, 'EPIPE') ? (this.unread?.count() ?? 0) : 0;
			const lost = unread + linesIn(bytes.subarray(done, length));
			if (lost > 0) tellError(`lost ${countOf(lost, 'signal')}: received, but stdout cannot be written`);
			throw explainStdout(error);
		}
		this.unread?.remember(bytes, length);
	}

	/** A signal that arrived while something was printed ends us now: throws it. */
	heedStop(): void {
		if (this.stop) throw this.stop;
	}

	/** The reader left while we waited: what it has not read is lost. */
	readerLeft(): void {
		const unread = this.unread?.count() ?? 0;
		if (unread > 0) tellError(`lost ${countOf(unread, 'signal')}: received, but the reader of stdout left`);
	}
}

/** Writes a piece of what is left, waiting a moment at most; then throws the signal that told us to stop. */
function printSoon(bytes: Buffer, from: number, to: number, stop: unknown): number {
	if (!isReady(stdout, POLLOUT, roomMs)) throw stop;
	return printBytes(bytes, from, Math.min(piece, to - from));
}

/** The bytes last written to a pipe. A pipe tells how many of them are unread, also after its reader has left. */
class Unread {
	private readonly ring: Buffer;
	private written = 0;

	constructor() {
		this.ring = Buffer.alloc(native.fcntlGetpipeSz(stdout));
	}

	remember(bytes: Buffer, length: number): void {
		this.written += length;
		const from = Math.max(0, length - this.ring.length);
		const start = (this.written - (length - from)) % this.ring.length;
		const copied = bytes.copy(this.ring, start, from, length);
		bytes.copy(this.ring, 0, from + copied, length);
	}

	/** Lines of which a part is unread. */
	count(): number {
		const {ring, written} = this;
		const left = Math.min(native.ioctlFionread(stdout), ring.length, written);
		const start = (written - left) % ring.length;
		const first = ring.subarray(start, start + left);
		return linesIn(first) + linesIn(ring.subarray(0, left - first.length));
	}
}

const linesIn = (bytes: Buffer): number => boundariesOf('lines').count(bytes, 0, bytes.length);
