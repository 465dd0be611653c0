import type {TextFormat, WordsBefore} from '../formats/text-format.js';
import {type Command, expandShorthand, findVerb, type Option, operandCount, optionName, type Verb} from '../verb.js';
import {keyOf, offeredOptionsOf, optionsOf, verbPlace} from './command-line.js';
import {quotedForBash, typedWords} from './shell-words.js';

/** What a shell offers: words, or where there is none what it finds itself. */
export interface Candidates {
	readonly words: readonly string[];
	readonly otherwise?: 'files' | 'command' | undefined;
}

const nothing: Candidates = {words: []};

/** What could stand where the last of these words is being typed; the first is the command. */
export async function candidates(command: Command, words: readonly string[]): Promise<Candidates> {
	const current = words.at(-1) ?? '';
	const found = await candidatesBehind(
		command,
		expandShorthand(command, verbFirst(command, words.slice(1, -1))),
		current,
	);
	return {...found, words: found.words.filter((word) => word.startsWith(current))};
}

/**
 * What bash can put in the place of `text`, the end of a line up to the cursor. What was typed before it of the same word
 * stays: bash begins anew behind a quote and behind `@`, `:` and `=`.
 */
export async function candidatesForLine(command: Command, line: string, text: string): Promise<Candidates> {
	const typed = typedWords(line);
	const current = typed.at(-1);
	if (!current?.raw.endsWith(text)) return nothing;
	const kept = typedWords(current.raw.slice(0, current.raw.length - text.length)).at(-1);
	const before = kept?.text ?? '';
	const {words, otherwise} = await candidates(
		command,
		typed.map((word) => word.text),
	);
	const quoted = words.map((word) => quotedForBash(word.slice(before.length), kept?.quote ?? ''));
	return {words: quoted.filter((word) => word !== undefined), otherwise};
}

/** The verb may stand behind options. */
function verbFirst(command: Command, words: readonly string[]): readonly string[] {
	const place = verbPlace(words, (word) => findVerb(command, word) !== undefined);
	return place > 0 ? [words[place] as string, ...words.slice(0, place), ...words.slice(place + 1)] : words;
}

const noVerb = {operands: {}, options: {}} as unknown as Verb;

/** Only what every verb takes stands before it. */
async function candidatesForVerb(command: Command, before: readonly string[], current: string): Promise<Candidates> {
	if (before.length === 0 && current.startsWith('-')) return {words: ['--help', '--version']};
	const place = placeBehind(noVerb, before);
	if (place.option) return offered(command, place.option.value, place, current);
	const [word, ...more] = place.operands;
	if ((word !== undefined && word !== 'help') || more.length > 0) return nothing;
	if (current.startsWith('-')) return {words: [...optionsLeft(noVerb, place), '--version']};
	return {words: Object.keys(command.verbs)};
}

async function candidatesBehind(command: Command, before: readonly string[], current: string): Promise<Candidates> {
	const [first, ...words] = before;
	const found = first === undefined ? undefined : findVerb(command, first);
	if (!found) return candidatesForVerb(command, before, current);
	const {verb} = found;
	const place = placeBehind(verb, words);
	if (place.command) return {words: [], otherwise: place.command.length > 0 ? 'files' : 'command'};
	const offer = (format: TextFormat<unknown> | undefined, text: string) => offered(command, format, place, text);
	if (place.option) return offer(place.option.value, current);
	if (!place.hasDashes && current.startsWith('-')) {
		const [, start = '', spelling = '', text = ''] = /^((--[^=]+)=)(.*)$/s.exec(current) ?? [];
		if (spelling === '') return {words: optionsLeft(verb, place)};
		const options = optionsOf(verb);
		const {words: values, otherwise} = await offer(options[keyOf(options, spelling) ?? '']?.value, text);
		return {words: values.map((value) => start + value), otherwise};
	}
	const operands = Object.values(verb.operands);
	const last = operands.at(-1);
	const repeats = last?.how === 'many' || last?.how === 'any';
	const operand = operands[place.operands.length] ?? (repeats ? last : undefined);
	if (operand) {
		const {words: values, otherwise} = await offer(operand.format, current);
		return {words: values.filter((value) => !repeats || !place.operands.includes(value)), otherwise};
	}
	if (verb.takesCommand === true) return {words: [], otherwise: 'command'};
	return {words: place.hasDashes ? [] : optionsLeft(verb, place)};
}

/** Where the word behind others stands. */
interface Place extends WordsBefore {
	/** It is the value of this option. */
	readonly option?: Option | undefined;
	/** It belongs to the command to run, of which these words are there. */
	readonly command?: readonly string[];
	readonly hasDashes: boolean;
}

/** Reads what a person has typed so far: mistakes in it do not matter. */
function placeBehind(verb: Verb, words: readonly string[]): Place {
	const declared = optionsOf(verb);
	const operands: string[] = [];
	const options = new Set<string>();
	let hasDashes = false;
	let option: Option | undefined;
	/** Whether the next word is its value. */
	const take = (name: string): Option | undefined => {
		const key = keyOf(declared, name);
		if (key === undefined) return undefined;
		options.add(key);
		return declared[key];
	};
	const takesNext = (found: Option | undefined) => (found?.value && !found.optionalValue ? found : undefined);
	for (const [i, word] of words.entries()) {
		if (option) option = undefined;
		else if (word === '--' && !hasDashes) {
			if (verb.takesCommand) return {operands, options, hasDashes, command: words.slice(i + 1)};
			hasDashes = true;
		} else if (hasDashes || !/^-[^0-9.]/.test(word)) {
			if (verb.takesCommand === true && operands.length === operandCount(verb).most)
				return {operands, options, hasDashes, command: words.slice(i)};
			operands.push(word);
		} else if (word.startsWith('--')) {
			const found = take(word.split('=', 1)[0] as string);
			if (!word.includes('=')) option = takesNext(found);
		} else
			for (const [at, letter] of [...word.slice(1)].entries()) {
				const found = take(`-${letter}`);
				if (at === word.length - 2) option = takesNext(found);
				if (!found || found.value) break;
			}
	}
	return {operands, options, hasDashes, option};
}

/** Those that can still be given. */
const optionsLeft = (verb: Verb, {options}: Place): string[] => [
	...offeredOptionsOf(verb)
		.filter(([key, {many}]) => many || !options.has(key))
		.map(([key]) => `--${optionName(key)}`),
	'--help',
];

async function offered(
	command: Command,
	format: TextFormat<unknown> | undefined,
	place: Place,
	text: string,
): Promise<Candidates> {
	if (!format) return nothing;
	const {words = [], isList, completes} = format;
	if (isList) {
		const start = text.slice(0, text.lastIndexOf(',') + 1);
		const given = start.split(',');
		return {words: words.filter((word) => !given.includes(word)).map((word) => start + word)};
	}
	const found = [
		...((await format.candidates?.(place)) ?? []),
		...(completes?.startsWith('objects') ? (command.names?.() ?? []) : []),
	];
	const isPath = completes === 'files' || (completes === 'objects and paths' && text.includes('/'));
	return {
		words: [...words, ...found.filter((name) => canBeTyped(name) && (place.hasDashes || !name.startsWith('-')))],
		otherwise: isPath ? 'files' : undefined,
	};
}

/** No command takes a name with control characters, and none that is not UTF-8. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const canBeTyped = (name: string): boolean => !/[\u0000-\u001f\u007f\ufffd\udc80-\udcff]/u.test(name);
