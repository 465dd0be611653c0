import {isUtf8} from 'node:buffer';
import {formatSize} from '../../common/formats/size.js';
import {boundariesOf} from '../../common/framing/boundaries.js';

const lines = boundariesOf('lines');

const newline = Buffer.from('\n');
export const nothing = Buffer.alloc(0);

/** Cuts the bytes of stdin into lines of text, many at once. */
export class BatchInput {
	/** Why nothing more is to be read. */
	problem: string | undefined;
	private held: Buffer[] = [];
	private heldLength = 0;

	/** `mostBytes`: a line that is longer is refused. */
	constructor(private readonly mostBytes: number) {}

	/** Whole lines, each with its newline: a view of these bytes, where nothing was held. */
	push(bytes: Buffer): Buffer {
		const end = lines.lastEnd(bytes, 0, bytes.length);
		const text = end === 0 ? nothing : this.check(bytes.subarray(0, end));
		if (end < bytes.length && this.problem === undefined) this.hold(Buffer.from(bytes.subarray(end)));
		return text;
	}

	/** The last line, if it has no newline. */
	end(): Buffer {
		if (this.heldLength === 0) return nothing;
		const text = this.check(newline);
		return this.problem === undefined ? text : nothing;
	}

	private hold(piece: Buffer): void {
		this.held.push(piece);
		this.heldLength += piece.length;
		if (this.heldLength > this.mostBytes)
			this.problem = `is longer than ${formatSize(this.mostBytes)} (${this.mostBytes} bytes)`;
	}

	private check(last: Buffer): Buffer {
		const bytes = this.heldLength === 0 ? last : Buffer.concat([...this.held, last]);
		this.held = [];
		this.heldLength = 0;
		if (isUtf8(bytes)) return bytes;
		this.problem = 'is not valid UTF-8, as JSON must be';
		return validLines(bytes);
	}
}

/** The lines before the first that is not text. */
function validLines(bytes: Buffer): Buffer {
	let start = 0;
	for (;;) {
		const end = lines.firstEnd(bytes, start, bytes.length);
		if (end < 0 || !isUtf8(bytes.subarray(start, end))) return bytes.subarray(0, start);
		start = end;
	}
}
