/**
 * JSON handled as text: its parts as they were written, so that `12345678901234567890` and `1.0` are printed as they
 * were read, which no JavaScript number guarantees. All functions here expect text that JSON.parse has accepted.
 */

const quote = 34;
const comma = 44;
const colon = 58;
const backslash = 92;

const isSpace = (code: number): boolean => code === 32 || code === 10 || code === 13 || code === 9;
const opens = (code: number): boolean => code === 123 || code === 91;
const closes = (code: number): boolean => code === 125 || code === 93;

function skipSpace(text: string, from: number): number {
	let at = from;
	while (isSpace(text.charCodeAt(at))) at++;
	return at;
}

/** Where a string that begins here ends: behind its closing quote. */
function endOfString(text: string, from: number): number {
	let at = from + 1;
	for (let code = text.charCodeAt(at); code !== quote; code = text.charCodeAt(at)) at += code === backslash ? 2 : 1;
	return at + 1;
}

/** Where a value that begins here ends. */
function endOfValue(text: string, from: number): number {
	const first = text.charCodeAt(from);
	if (first === quote) return endOfString(text, from);
	if (!opens(first)) return endOfScalar(text, from);
	for (let at = from, depth = 0; ; at++) {
		const code = text.charCodeAt(at);
		if (code === quote) at = endOfString(text, at) - 1;
		else if (opens(code)) depth++;
		else if (closes(code) && --depth === 0) return at + 1;
	}
}

/** Where a number, true, false or null that begins here ends. */
function endOfScalar(text: string, from: number): number {
	let at = from;
	for (let code = text.charCodeAt(at); at < text.length && code !== comma && !closes(code) && !isSpace(code); )
		code = text.charCodeAt(++at);
	return at;
}

/** The members of an object, each value as its text. Of a name that occurs twice the last counts, as for JSON.parse. */
export function membersOf(object: string): Map<string, string> {
	const members = new Map<string, string>();
	let at = skipSpace(object, skipSpace(object, 0) + 1);
	while (object.charCodeAt(at) === quote) {
		const nameEnd = endOfString(object, at);
		const name = object.slice(at + 1, nameEnd - 1);
		const valueStart = skipSpace(object, skipSpace(object, nameEnd) + 1);
		const valueEnd = endOfValue(object, valueStart);
		const plainName = name.includes('\\') ? (JSON.parse(object.slice(at, nameEnd)) as string) : name;
		members.set(plainName, object.slice(valueStart, valueEnd));
		at = skipSpace(object, valueEnd);
		if (object.charCodeAt(at) === comma) at = skipSpace(object, at + 1);
	}
	return members;
}

/** The elements of an array, each as its text. */
export function elementsOf(array: string): string[] {
	const elements: string[] = [];
	let at = skipSpace(array, skipSpace(array, 0) + 1);
	while (!closes(array.charCodeAt(at))) {
		const end = endOfValue(array, at);
		elements.push(array.slice(at, end));
		at = skipSpace(array, end);
		if (array.charCodeAt(at) === comma) at = skipSpace(array, at + 1);
	}
	return elements;
}

/** The kind of a value, by its first character. */
export function kindOf(value: string): 'object' | 'array' | 'string' | 'number' | 'boolean' | 'null' {
	switch (value.trimStart().charAt(0)) {
		case '{':
			return 'object';
		case '[':
			return 'array';
		case '"':
			return 'string';
		case 't':
		case 'f':
			return 'boolean';
		case 'n':
			return 'null';
		default:
			return 'number';
	}
}

const isWide = /[\n\r\t ]/;

/** On one line, without spaces outside of strings. */
export function compact(value: string): string {
	return isWide.test(value) ? respace(value, () => '', '') : value;
}

/** For people: a line per member, indented by two. */
export function pretty(value: string): string {
	return respace(value, (depth) => `\n${'  '.repeat(depth)}`, ' ');
}

function respace(value: string, lineBreak: (depth: number) => string, afterColon: string): string {
	const parts: string[] = [];
	let depth = 0;
	for (let at = 0; at < value.length; ) {
		const code = value.charCodeAt(at);
		if (isSpace(code)) {
			at++;
		} else if (opens(code)) {
			const next = skipSpace(value, at + 1);
			if (closes(value.charCodeAt(next))) {
				parts.push(value.charAt(at), value.charAt(next));
				at = next + 1;
			} else {
				parts.push(value.charAt(at++), lineBreak(++depth));
			}
		} else if (closes(code)) {
			parts.push(lineBreak(--depth), value.charAt(at++));
		} else if (code === comma) {
			parts.push(',', lineBreak(depth));
			at++;
		} else if (code === colon) {
			parts.push(':', afterColon);
			at++;
		} else {
			const end = code === quote ? endOfString(value, at) : endOfScalar(value, at);
			parts.push(value.slice(at, end));
			at = end;
		}
	}
	return parts.join('');
}
