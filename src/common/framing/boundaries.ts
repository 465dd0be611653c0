import {type Framing, separatorOf} from './framing.js';

/** The length before each record in the framing `length`. */
export const headerBytes = 4;

/** How records are found in a buffer of bytes, without being taken apart. */
export interface Boundaries {
	/** Where the last record ends that is whole within the range; `start` when none is. */
	lastEnd(bytes: Buffer, start: number, end: number): number;
	/** Where the first record ends, which may be beyond the range; -1 when that cannot be told yet. */
	firstEnd(bytes: Buffer, start: number, end: number): number;
	count(bytes: Buffer, start: number, end: number): number;
}

const separated = (separator: number): Boundaries => ({
	lastEnd: (bytes, start, end) => start + bytes.subarray(start, end).lastIndexOf(separator) + 1,
	firstEnd: (bytes, start, end) => {
		const at = bytes.subarray(start, end).indexOf(separator);
		return at < 0 ? -1 : start + at + 1;
	},
	count: (bytes, start, end) => {
		let count = 0;
		const range = bytes.subarray(start, end);
		for (let at = range.indexOf(separator); at >= 0; at = range.indexOf(separator, at + 1)) count++;
		return count;
	},
});

const prefixed: Boundaries = {
	lastEnd(bytes, start, end) {
		let at = start;
		for (let next = this.firstEnd(bytes, at, end); next >= 0 && next <= end; next = this.firstEnd(bytes, at, end))
			at = next;
		return at;
	},
	firstEnd: (bytes, start, end) => (end - start < headerBytes ? -1 : start + headerBytes + bytes.readUInt32BE(start)),
	count(bytes, start, end) {
		let count = 0;
		for (let at = start; at < end; at = this.firstEnd(bytes, at, end)) count++;
		return count;
	},
};

/** For the framings that have records at all: `lines` and `json`, `null`, `length`. */
export function boundariesOf(framing: Framing): Boundaries {
	const separator = separatorOf(framing);
	return separator === undefined ? prefixed : separated(separator);
}
