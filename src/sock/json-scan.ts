/** Something that is no message. */
export class Broken {
	constructor(
		readonly reason: string,
		/** Where the next message begins cannot be told, or is not worth waiting for. */
		readonly isFatal: boolean,
	) {}
}

/** What a byte means outside of strings. */
const alien = 0;
const space = 1;
const scalar = 2;
const quote = 3;
const opening = 4;
const closing = 5;
const between = 6;
const meaning = new Uint8Array(256);
for (const [kind, bytes] of [
	[space, ' \n\r\t'],
	[scalar, '0123456789+-.eEtrufalsn'],
	[quote, '"'],
	[opening, '{['],
	[closing, '}]'],
	[between, ',:'],
] as const)
	for (const byte of Buffer.from(bytes)) meaning[byte] = kind;

const backslash = 92;
/** From an opening bracket to its closing one, in ASCII. */
const partner = 2;

const quoteByte = 34;
const firstPrintable = 32;

export const isSpace = (byte: number): boolean => meaning[byte] === space;
/** Whether an array or an object begins with it. */
export const isOpening = (byte: number): boolean => meaning[byte] === opening;

/**
 * Finds where a JSON value ends, in however many pieces it comes. It looks at brackets, strings and what may stand next to
 * one another, each byte once; whether all of it is JSON remains to be seen.
 */
export class JsonScan {
	/** How far it has come. */
	at = 0;
	private depth = 0;
	private isInString = false;
	private isEscaped = false;
	private mayBegin = true;
	private readonly openBrackets: Uint8Array;

	/** `mostDepth`: how many arrays and objects may be open at once. */
	constructor(private readonly mostDepth: number) {
		this.openBrackets = new Uint8Array(mostDepth);
	}

	/** Another value begins. */
	begin(): void {
		this.depth = 0;
		this.isInString = false;
		this.isEscaped = false;
		this.mayBegin = true;
	}

	/** Goes on until the value is complete; or says what cannot be right. */
	goOn(bytes: Uint8Array, from: number, limit: number): 'more' | 'complete' | Broken {
		// Fields would be read and written for every byte.
		const openBrackets = this.openBrackets;
		const mostDepth = this.mostDepth;
		let depth = this.depth;
		let isInString = this.isInString;
		let isEscaped = this.isEscaped;
		let mayBegin = this.mayBegin;
		let at = from;
		let answer: 'more' | 'complete' | Broken = 'more';
		for (; at < limit; at++) {
			const byte = bytes[at] as number;
			if (isInString) {
				if (byte < firstPrintable) {
					answer = new Broken('a control character in a string', false);
					break;
				}
				if (isEscaped) isEscaped = false;
				else if (byte === backslash) isEscaped = true;
				else if (byte === quoteByte) isInString = false;
				continue;
			}
			const kind = meaning[byte];
			if (kind === space) continue;
			if (kind === quote || kind === opening) {
				if (!mayBegin) {
					answer = new Broken('a value where none is expected', false);
					break;
				}
				mayBegin = false;
				if (kind === quote) {
					isInString = true;
					continue;
				}
				if (depth === mostDepth) {
					answer = new Broken(`nested deeper than ${mostDepth}`, true);
					break;
				}
				openBrackets[depth++] = byte;
				mayBegin = true;
			} else if (kind === between) {
				mayBegin = true;
			} else if (kind === closing) {
				if (depth === 0 || (openBrackets[--depth] as number) + partner !== byte) {
					answer = new Broken('a bracket that closes nothing', false);
					break;
				}
				mayBegin = false;
				if (depth === 0) {
					at++;
					answer = 'complete';
					break;
				}
			} else if (kind === alien) {
				answer = new Broken('a character that JSON does not have there', false);
				break;
			} else {
				mayBegin = false;
			}
		}
		this.at = at;
		this.depth = depth;
		this.isInString = isInString;
		this.isEscaped = isEscaped;
		this.mayBegin = mayBegin;
		return answer;
	}
}
