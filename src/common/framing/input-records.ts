import {readInput} from '../input.js';
import {type Framing, mostRecordBytes, RecordDecoder} from './framing.js';

const readBytes = 256 * 1024;

/**
 * Passes the records of stdin on, one at a time, until one is not taken. Blocks. Whether all were taken.
 *
 * @throws FramingError for what is not a record.
 */
export function takeInputRecords(framing: Framing, take: (record: Buffer) => boolean): boolean {
	const decoder = new RecordDecoder(framing, mostRecordBytes);
	const buffer = Buffer.allocUnsafe(readBytes);
	for (let count = readInput(buffer, 0); count > 0; count = readInput(buffer, 0))
		for (const record of decoder.push(buffer.subarray(0, count))) if (!take(record)) return false;
	for (const record of decoder.end()) if (!take(record)) return false;
	return true;
}
