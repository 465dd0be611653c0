/** Input that is not a message. */
export class Broken {
	constructor(
		readonly reason: string,
		/** The start of the next message cannot be found, or is not worth waiting for. */
		readonly isFatal: boolean,
	) {}
}

/** The meaning of a byte outside of strings. */
const classes = [
	' \n\r\t',
	'0',
	'123456789',
	'-',
	'+',
	'.',
	'e',
	'E',
	...'truflasn',
	'"',
	'{',
	'[',
	'}',
	']',
	',',
	':',
];
const classOf = new Uint8Array(256).fill(classes.length);
for (const [number, bytes] of classes.entries()) for (const byte of Buffer.from(bytes)) classOf[byte] = number;

/** The item that was read last, which decides what may follow. */
const states = [
	...['value', 'first element', 'first name', 'name', 'colon', 'after'],
	...['minus', 'zero', 'integer', 'point', 'fraction', 'exponent', 'exponent sign', 'exponent digits'],
	...['t', 'tr', 'tru', 'f', 'fa', 'fal', 'fals', 'n', 'nu', 'nul'],
] as const;
type State = (typeof states)[number];
const stateOf = (name: State): number => states.indexOf(name);
const [value, firstElement, firstName, name, colon, after] = [0, 1, 2, 3, 4, 5];

/** In place of a state: more is to be done. */
const beginsString = 32;
const opens = 33;
const closes = 34;
const separates = 35;
const isWrong = 36;

const width = 32;
const table = new Uint8Array(states.length * width).fill(isWrong);

/** With one of these bytes the state changes to another, or something is done. */
function on(from: State, bytes: string, to: State | number): void {
	const next = typeof to === 'number' ? to : stateOf(to);
	for (const byte of Buffer.from(bytes)) table[stateOf(from) * width + (classOf[byte] as number)] = next;
}

for (const state of ['value', 'first element', 'first name', 'name', 'colon', 'after'] as const) on(state, ' ', state);
for (const state of ['value', 'first element'] as const) {
	on(state, '"', beginsString);
	on(state, '{[', opens);
	on(state, '-', 'minus');
	on(state, '0', 'zero');
	on(state, '1', 'integer');
	for (const letter of ['t', 'f', 'n'] as const) on(state, letter, letter);
}
on('first element', ']', closes);
on('first name', '}', closes);
for (const state of ['first name', 'name'] as const) on(state, '"', beginsString);
on('colon', ':', 'value');
on('minus', '0', 'zero');
on('minus', '1', 'integer');
on('integer', '01', 'integer');
for (const state of ['zero', 'integer'] as const) on(state, '.', 'point');
for (const state of ['point', 'fraction'] as const) on(state, '01', 'fraction');
for (const state of ['zero', 'integer', 'fraction'] as const) on(state, 'eE', 'exponent');
on('exponent', '+-', 'exponent sign');
for (const state of ['exponent', 'exponent sign', 'exponent digits'] as const) on(state, '01', 'exponent digits');
for (const state of ['after', 'zero', 'integer', 'fraction', 'exponent digits'] as const) {
	on(state, ' ', 'after');
	on(state, ',', separates);
	on(state, '}]', closes);
}
for (const word of ['true', 'false', 'null'])
	for (let i = 1; i < word.length; i++)
		on(word.slice(0, i) as State, word.charAt(i), i + 1 < word.length ? (word.slice(0, i + 1) as State) : 'after');

const quote = 34;
const backslash = 92;
const letterU = 117;
const firstPrintable = 32;
const openingBrace = 123;
/** From an opening bracket to its closing one, in ASCII. */
const partner = 2;
const escapes = new Uint8Array(256);
for (const byte of Buffer.from('"\\/bfnrtu')) escapes[byte] = 1;
const hexDigits = new Uint8Array(256);
for (const byte of Buffer.from('0123456789abcdefABCDEF')) hexDigits[byte] = 1;

export const isSpace = (byte: number): boolean => classOf[byte] === 0;
/** Whether an array or an object begins with it. */
export const isOpening = (byte: number): boolean => byte === openingBrace || byte === openingBrace - width;

const noJson = new Broken('it is not JSON', false);

/**
 * Finds the end of an array or an object, in however many pieces it arrives, looking at each byte once: it is JSON up
 * to there, or the first byte that breaks JSON is found. Only UTF-8 remains to be checked.
 */
export class JsonScan {
	/** The present state. */
	at = 0;
	private state = value;
	private depth = 0;
	private isInString = false;
	/** In a string: the last byte was a backslash. */
	private isEscaped = false;
	/** In a string: number of hexadecimal digits still expected. */
	private digits = 0;
	private readonly openBrackets: Uint8Array;

	/** `mostDepth`: how many arrays and objects may be open at once. */
	constructor(private readonly mostDepth: number) {
		this.openBrackets = new Uint8Array(mostDepth);
	}

	/** Another value begins. */
	begin(): void {
		this.state = value;
		this.depth = 0;
		this.isInString = false;
		this.isEscaped = false;
		this.digits = 0;
	}

	/** Continues until the value is complete, or is found to be invalid. */
	goOn(bytes: Uint8Array, from: number, limit: number): 'more' | 'complete' | Broken {
		// Fields would be read and written for every byte.
		let state = this.state;
		let at = from;
		let answer: 'more' | 'complete' | Broken = 'more';
		scanning: for (; at < limit; at++) {
			if (this.isInString) {
				at = this.skipString(bytes, at, limit);
				if (at < 0) {
					at = -1 - at;
					answer = noJson;
					break;
				}
				if (this.isInString) break;
				state = state === firstName || state === name ? colon : after;
				if (at === limit) break;
			}
			const byte = bytes[at] as number;
			const next = table[state * width + (classOf[byte] as number)] as number;
			if (next < width) {
				state = next;
				continue;
			}
			switch (next) {
				case beginsString:
					this.isInString = true;
					break;
				case opens:
					if (this.depth === this.mostDepth) {
						answer = new Broken(`nested deeper than ${this.mostDepth}`, true);
						break scanning;
					}
					this.openBrackets[this.depth++] = byte;
					state = byte === openingBrace ? firstName : firstElement;
					break;
				case closes:
					if (this.depth === 0 || (this.openBrackets[--this.depth] as number) + partner !== byte) {
						answer = noJson;
						break scanning;
					}
					state = after;
					if (this.depth > 0) break;
					at++;
					answer = 'complete';
					break scanning;
				case separates:
					if (this.depth === 0) {
						answer = noJson;
						break scanning;
					}
					state = this.openBrackets[this.depth - 1] === openingBrace ? name : value;
					break;
				default:
					answer = noJson;
					break scanning;
			}
		}
		this.at = at;
		this.state = state;
		return answer;
	}

	/** To behind the closing quote, or to the limit; -1 minus the position of a byte that no string may contain. */
	private skipString(bytes: Uint8Array, from: number, limit: number): number {
		for (let at = from; at < limit; at++) {
			const byte = bytes[at] as number;
			if (byte < firstPrintable) return -1 - at;
			if (this.isEscaped) {
				this.isEscaped = false;
				if (escapes[byte] === 0) return -1 - at;
				if (byte === letterU) this.digits = 4;
			} else if (this.digits > 0) {
				if (hexDigits[byte] === 0) return -1 - at;
				this.digits--;
			} else if (byte === backslash) {
				this.isEscaped = true;
			} else if (byte === quote) {
				this.isInString = false;
				return at + 1;
			}
		}
		return limit;
	}
}
