import {type Command, findVerb, type Option, optionName} from '../verb.js';
import {offeredOptionsOf, optionsOf} from './command-line.js';
import {quotedForBash, typedWords} from './shell-words.js';

/** What could stand where the last of these words is being typed; the first is the command. */
export function candidates(command: Command, words: readonly string[]): string[] {
	const current = words.at(-1) ?? '';
	return candidatesBehind(command, words.slice(1, -1), current).filter((word) => word.startsWith(current));
}

/**
 * What bash can put in the place of `text`, the end of a line up to the cursor. What was typed before it of the same word
 * stays: bash begins anew behind a quote and behind `@`, `:` and `=`.
 */
export function candidatesForLine(command: Command, line: string, text: string): string[] {
	const words = typedWords(line);
	const current = words.at(-1);
	if (!current?.raw.endsWith(text)) return [];
	const kept = typedWords(current.raw.slice(0, current.raw.length - text.length)).at(-1);
	const before = kept?.text ?? '';
	const texts = words.map((word) => word.text);
	return candidates(command, texts)
		.map((word) => quotedForBash(word.slice(before.length), kept?.quote ?? ''))
		.filter((word) => word !== undefined);
}

function candidatesBehind(command: Command, before: readonly string[], current: string): readonly string[] {
	const found = before[0] === undefined ? undefined : findVerb(command, before[0]);
	if (!found) return Object.keys(command.verbs);
	const {verb} = found;
	const dashes = before.includes('--');
	if (!dashes) {
		const previous = formatBehind(optionsOf(verb), before.at(-1) ?? '');
		if (previous) return previous.words ?? [];
		if (current.startsWith('-')) return [...offeredOptionsOf(verb).map(([key]) => `--${optionName(key)}`), '--help'];
	} else if (verb.takesCommand) return [];
	const [operand] = Object.values(verb.operands);
	const names = operand?.format.words ?? (operand ? (command.names?.() ?? []) : []);
	return names.filter((name) => canBeTyped(name) && (dashes || !name.startsWith('-')));
}

/** The format of the value that has to follow this word, if it is an option. */
const formatBehind = (options: Readonly<Record<string, Option>>, word: string): Option['value'] =>
	Object.entries(options).find(
		([key, {short, optionalValue}]) => !optionalValue && (word === `--${optionName(key)}` || word === `-${short}`),
	)?.[1].value;

/** No command takes a name with control characters, and none that is not UTF-8. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const canBeTyped = (name: string): boolean => !/[\u0000-\u001f\u007f\ufffd\udc80-\udcff]/u.test(name);
