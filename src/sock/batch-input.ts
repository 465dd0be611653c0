import {isUtf8} from 'node:buffer';
import {SystemError} from '../common/errors.js';
import {formatSize} from '../common/size.js';

const newline = 10;

/** Cuts what comes on stdin into lines of text; decoding much at once is what makes it fast. */
export class BatchInput {
	private held: Buffer[] = [];
	private heldLength = 0;

	/** `mostBytes`: a line that is longer is refused. */
	constructor(private readonly mostBytes: number) {}

	/** Whole lines, each with its newline. The bytes may be written over afterwards. */
	push(bytes: Buffer): string {
		const end = bytes.lastIndexOf(newline) + 1;
		const text = end === 0 ? '' : this.decode(bytes.subarray(0, end));
		if (end < bytes.length) this.hold(Buffer.from(bytes.subarray(end)));
		return text;
	}

	/** The last line, if it has no newline. */
	end(): string {
		return this.heldLength === 0 ? '' : `${this.decode(Buffer.alloc(0))}\n`;
	}

	private hold(piece: Buffer): void {
		this.held.push(piece);
		this.heldLength += piece.length;
		if (this.heldLength > this.mostBytes)
			throw new SystemError(`a call on stdin is longer than ${formatSize(this.mostBytes)} (${this.mostBytes} bytes)`);
	}

	private decode(last: Buffer): string {
		const bytes = this.heldLength === 0 ? last : Buffer.concat([...this.held, last]);
		this.held = [];
		this.heldLength = 0;
		if (!isUtf8(bytes)) throw new SystemError('what comes on stdin is not valid UTF-8, as JSON has to be');
		return bytes.toString();
	}
}
