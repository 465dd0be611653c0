import type {MessageFraming} from './json-splitter.js';

/** A message in the form in which it is sent on a stream. */
export function encodeMessage(text: string, framing: MessageFraming): string {
	if (framing === 'headers') return `Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`;
	return framing === 'null' ? `${text}\0` : `${text}\n`;
}
