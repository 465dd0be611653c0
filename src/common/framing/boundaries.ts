import {native} from '../../native/index.js';
import {type Framing, FramingError, headerBytes, separatorOf} from './framing.js';

/** How records are found in a buffer of bytes; `RecordDecoder` cuts a stream into records. */
export interface Boundaries {
	/** How many bytes precede the contents of a record, and how many follow them. */
	readonly before: number;
	readonly behind: number;
	/** Where the last record ends that is complete within the range; `start` when there is none. */
	lastEnd(bytes: Buffer, start: number, end: number): number;
	/** Where the first record ends, which may be beyond the range; -1 when that is not known yet. */
	firstEnd(bytes: Buffer, start: number, end: number): number;
	/** Of the first `most` complete records: where the last of them ends, and how many there are. */
	take(bytes: Buffer, start: number, end: number, most: number): {end: number; count: number};
	/** The number of complete records. */
	count(bytes: Buffer, start: number, end: number): number;
}

/** By the separator as the native layer expects it. */
const cutBy = (separator: number): Pick<Boundaries, 'take' | 'count'> => ({
	take: (bytes, start, end, most) =>
		native.takeRecords(bytes, start, end, separator, Math.min(most, Number.MAX_SAFE_INTEGER)),
	count: (bytes, start, end) => native.takeRecords(bytes, start, end, separator, Number.MAX_SAFE_INTEGER).count,
});

/** For records that end with this byte. */
export const separatedBy = (separator: number): Boundaries => ({
	before: 0,
	behind: 1,
	...cutBy(separator),
	lastEnd: (bytes, start, end) => start + bytes.subarray(start, end).lastIndexOf(separator) + 1,
	firstEnd: (bytes, start, end) => {
		const at = bytes.subarray(start, end).indexOf(separator);
		return at < 0 ? -1 : start + at + 1;
	},
});

const prefixed: Boundaries = {
	before: headerBytes,
	behind: 0,
	...cutBy(-1),
	lastEnd(bytes, start, end) {
		return this.take(bytes, start, end, Number.POSITIVE_INFINITY).end;
	},
	firstEnd: (bytes, start, end) => (end - start < headerBytes ? -1 : start + headerBytes + bytes.readUInt32BE(start)),
};

/** For a separator as the native layer expects it: -1 is a length before each record. */
export const boundariesBy = (separator: number): Boundaries => (separator < 0 ? prefixed : separatedBy(separator));

/** For the framings that have records at all: `lines` and `json`, `null`, `length`. */
export const boundariesOf = (framing: Framing): Boundaries => boundariesBy(separatorOf(framing) ?? -1);

/** The bytes of the first record, for a separator as the native layer expects it; all of them where its end is not there. */
export function lengthOfFirst(bytes: Buffer, separator: number): number {
	const {before, behind, firstEnd} = boundariesBy(separator);
	const end = firstEnd(bytes, 0, bytes.length);
	return end < 0 ? bytes.length : end - before - behind;
}

/** Why these bytes, after the last record with its length before it, are not a record, in numbers. */
export function incompleteRecord({before, firstEnd}: Boundaries, rest: Buffer): FramingError {
	const wanted = firstEnd(rest, 0, rest.length);
	return new FramingError(
		wanted < 0
			? `it is incomplete: ${rest.length} of the ${before} bytes of its length arrived`
			: `it is incomplete: ${rest.length - before} of ${wanted - before} bytes arrived`,
	);
}
