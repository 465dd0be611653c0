import {FramingError, parseJsonRecord} from '../../common/framing/framing.js';

/**
 * Sends the contents of JSON objects, one a line, as lines. An invalid one does not prevent the valid ones before it from
 * being sent.
 */
export function sendAsLines(objects: Iterable<Buffer>, send: (lines: Buffer) => void): void {
	const good: Buffer[] = [];
	let failure: unknown;
	try {
		for (const object of objects) if (object.length > 0) good.push(asLine(parseJsonRecord(object).data));
	} catch (error) {
		failure = error;
	}
	const lines = Buffer.concat(good);
	if (lines.length > 0) send(lines);
	if (failure) throw failure;
}

function asLine(data: Buffer): Buffer {
	if (data.includes(10))
		throw new FramingError('it contains a newline, and the records of JSON objects are sent as lines');
	return Buffer.concat([data, Buffer.of(10)]);
}
