/** How a word that is being typed in bash stands: what it means so far, and the quote that is open. */
export interface TypedWord {
	readonly raw: string;
	readonly text: string;
	readonly quote: Quote;
}

type Quote = '' | "'" | '"' | "$'";

/** The words of a line of bash up to the cursor; the last one is the one that the cursor stands in or begins. */
export function typedWords(line: string): TypedWord[] {
	const words: TypedWord[] = [];
	let raw = '';
	let text = '';
	let quote: Quote = '';
	for (let i = 0; i < line.length; i++) {
		const character = line[i] as string;
		if (quote === '' && /[ \t\n]/.test(character)) {
			if (raw !== '') words.push({raw, text, quote});
			raw = text = '';
			continue;
		}
		raw += character;
		if (quote === '' && (character === "'" || character === '"')) {
			if (character === "'" && text.endsWith('$') && raw.endsWith("$'")) {
				quote = "$'";
				text = text.slice(0, -1);
			} else quote = character;
		} else if (quote !== '' && character === quote.at(-1)) {
			quote = '';
		} else if (character === '\\' && quote !== "'") {
			const next = line[++i] ?? '';
			raw += next;
			text += quote === '"' && !/["\\$`]/.test(next) ? `\\${next}` : next;
		} else text += character;
	}
	return [...words, {raw, text, quote}];
}

/** What means this text in bash, typed behind an open quote or none. The quote stays open. */
export function quotedForBash(text: string, quote: Quote): string {
	switch (quote) {
		case '':
			return text.replace(/[^\w@%+=:,./\u0080-\uffff-]/g, '\\$&');
		case "'":
			return text.replaceAll("'", "'\\''");
		case "$'":
			return text.replace(/[\\']/g, '\\$&');
		case '"':
			// Here no backslash stops an exclamation mark from meaning an earlier command.
			return text.replace(/["\\$`]/g, '\\$&').replaceAll('!', '"\\!"');
	}
}
