import {clusterOptions} from '../cluster.js';
import {UsageError} from '../errors.js';
import type {TextFormat} from '../formats/text-format.js';
import {everywhere} from '../options.js';
import {
	type Command,
	expandShorthand,
	type FoundVerb,
	findVerb,
	type Option,
	operandCount,
	operandSynopsis,
	optionName,
	type Verb,
} from '../verb.js';

/** A command line taken apart, the values still text. */
export interface Reading extends FoundVerb {
	readonly operands: readonly string[];
	/** By key; `true` for a flag, and for an option whose value was left out. */
	readonly options: ReadonlyMap<string, string | true | readonly string[]>;
	/** The command to run. */
	readonly command: readonly string[];
	/** All options of the verb, by key. */
	readonly declared: Readonly<Record<string, Option>>;
}

/** What a command line asks for. */
export type Line =
	| {readonly kind: 'verb'; readonly reading: Reading}
	| {readonly kind: 'help'; readonly topic: FoundVerb | undefined}
	| {readonly kind: 'version'};

export const optionsOf = (verb: Verb): Readonly<Record<string, Option>> => ({
	...verb.options,
	...(verb.cluster ? clusterOptions : {}),
	...everywhere,
});

/** Those that help and completion offer. */
export const offeredOptionsOf = (verb: Verb): [key: string, option: Option][] =>
	Object.entries(optionsOf(verb)).filter(([, option]) => !option.isHidden);

/** The key of the option that is written `--name`, `-n`, or as another of its spellings. */
export function keyOf(declared: Readonly<Record<string, Option>>, spelling: string): string | undefined {
	const name = spelling.startsWith('--') ? spelling.slice(2) : '';
	const key = name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
	if (Object.hasOwn(declared, key) && optionName(key) === name) return key;
	const letter = spelling.length === 2 ? spelling[1] : '';
	for (const [key, {short, also}] of Object.entries(declared))
		if ((short && short === letter) || also?.includes(spelling)) return key;
	return undefined;
}

/**
 * Reads a command line with the data of the verbs.
 *
 * @throws UsageError, and nothing else.
 */
export function readLine(command: Command, words: readonly string[]): Line {
	const place = verbPlace(words, (word) => findVerb(command, word) !== undefined);
	const found = place < 0 ? undefined : findVerb(command, words[place] as string);
	if (!found) return readWithoutVerb(command, words);
	const before = words.slice(0, place);
	const lexerOf = (own: readonly string[]) => new Lexer(found, expandShorthand(command, [found.name, ...own]));
	if (before.length > 0 && !lexerOf(before).areOptions()) throw unclearOrder(command, found);
	return lexerOf([...before, ...words.slice(place + 1)]).read();
}

/** Where the verb stands: first, or behind options; -1 where there is none. */
export function verbPlace(words: readonly string[], isVerb: (word: string) => boolean): number {
	if (!words[0]?.startsWith('-')) return words[0] !== undefined && isVerb(words[0]) ? 0 : -1;
	const place = words.findIndex((word) => word === '--' || isCommon(word) || isVerb(word));
	return words[place] === '--' || isCommon(words[place] ?? '') ? -1 : place;
}

/** `help` and `version` are verbs of every command. */
const isCommon = (word: string): boolean => word === 'help' || word === 'version';

/** The verb may be a value of the option before it, or a word before it an operand. */
function unclearOrder(command: Command, {name, verb}: FoundVerb): UsageError {
	const order = `${command.name} ${name} [OPTIONS] ${operandSynopsis(verb)}`.trim();
	const error = new UsageError(`the words before '${name}' are not all options with their values; write: ${order}`);
	error.verb = name;
	return error;
}

/** `help VERB`, `--help`, `version`, `--version`, or a mistake. */
function readWithoutVerb(command: Command, words: readonly string[]): Line {
	const dashes = words.indexOf('--');
	const ownWords = dashes < 0 ? words : words.slice(0, dashes);
	const bareWords = ownWords.filter((word) => !word.startsWith('-'));
	if (bareWords[0] === 'help') {
		const topic = bareWords[1];
		return {kind: 'help', topic: topic === undefined ? undefined : needVerb(command, topic)};
	}
	if (ownWords.some(isHelp))
		return {kind: 'help', topic: bareWords[0] === undefined ? undefined : findVerb(command, bareWords[0])};
	if (ownWords.some(isVersion)) return {kind: 'version'};
	if (bareWords[0] === 'version') {
		if (bareWords[1] === undefined) return {kind: 'version'};
		throw new UsageError(`'${bareWords[1]}' is one operand too many (expected: none)`);
	}
	const [first] = words;
	if (first === undefined) throw new UsageError(`a verb is missing: ${Object.keys(command.verbs).join(', ')}`);
	if (first.startsWith('-'))
		throw new UsageError(`a verb is expected before '${first}': ${command.name} VERB [OPERANDS] [OPTIONS]`);
	throw unknownVerb(command, first);
}

const isHelp = (word: string): boolean => word === '--help' || word === '-h';
const isVersion = (word: string): boolean => word === '--version' || word === '-V';

function needVerb(command: Command, word: string): FoundVerb {
	const found = findVerb(command, word);
	if (!found) throw unknownVerb(command, word);
	return found;
}

/** With the verb that was probably meant, or with all of them. */
function unknownVerb(command: Command, word: string): UsageError {
	const error = new UsageError(`unknown verb '${word}'`);
	const verbs = Object.entries(command.verbs);
	error.meant = {
		word,
		of: 'verbs',
		candidates: [...verbs.flatMap(([name, {aliases = []}]) => [name, ...aliases]), 'help', 'version'],
		otherwise: ` (verbs: ${verbs.map(([name]) => name).join(', ')})`,
	};
	return error;
}

const looksLikeNegativeNumber = (word: string): boolean => /^-(?:[0-9]|\.[0-9]|inf(?:inity)?$)/i.test(word);

/** Reads the words behind a verb once. A mistake counts only when no word asks for help or the version. */
class Lexer {
	private readonly declared: Readonly<Record<string, Option>>;
	private readonly mostOperands: number;
	private readonly operands: string[] = [];
	private readonly options = new Map<string, string | true | string[]>();
	private command: readonly string[] = [];
	private at = 1;
	private asksForHelp = false;
	private asksForVersion = false;
	private mistake: UsageError | undefined;
	/** Reported only without another mistake: after an unknown option the next word may not be a value. */
	private missingValue: UsageError | undefined;

	constructor(
		private readonly found: FoundVerb,
		private readonly words: readonly string[],
	) {
		this.declared = optionsOf(found.verb);
		this.mostOperands = operandCount(found.verb).most;
	}

	/** Whether the words are options with their values and nothing else, or a mistake that can be reported. */
	areOptions(): boolean {
		this.readWords();
		const {operands, command, missingValue} = this;
		if (this.mistake || this.asksForHelp || this.asksForVersion) return true;
		return operands.length === 0 && command.length === 0 && missingValue === undefined;
	}

	read(): Line {
		const {found, operands, options} = this;
		this.readWords();
		if (this.asksForHelp) return {kind: 'help', topic: found};
		if (this.asksForVersion) return {kind: 'version'};
		const mistake = this.mistake ?? this.missingValue;
		if (mistake) throw mistake;
		return {kind: 'verb', reading: {...found, operands, options, command: this.command, declared: this.declared}};
	}

	private readWords(): void {
		while (this.at < this.words.length) this.readWord(this.words[this.at++] as string);
	}

	private readWord(word: string): void {
		if (word === '--') {
			const rest = this.takeRest();
			if (this.found.verb.takesCommand) this.command = rest;
			else this.operands.push(...rest);
		} else if (this.isOperand(word)) {
			if (this.found.verb.takesCommand === true && this.operands.length === this.mostOperands)
				this.command = [word, ...this.takeRest()];
			else this.operands.push(word);
		} else if (isHelp(word)) this.asksForHelp = true;
		else if (isVersion(word)) this.asksForVersion = true;
		else if (word.startsWith('--')) this.readLongOption(word);
		else this.readLetters(word);
	}

	private takeRest(): readonly string[] {
		const rest = this.words.slice(this.at);
		this.at = this.words.length;
		return rest;
	}

	/** A dash and a digit is a number below zero where no option is a digit, and `-inf` where none is an `i`. */
	private isOperand(word: string): boolean {
		if (word === '-' || !word.startsWith('-')) return true;
		if (/^-[0-9.]$/.test(word)) return keyOf(this.declared, word) === undefined;
		if (!looksLikeNegativeNumber(word)) return false;
		const letters = /^-i/i.test(word) ? /^-i$/i : /^-[0-9]$/;
		return !Object.values(this.declared).some(({short, also = []}) =>
			[`-${short}`, ...also].some((spelling) => letters.test(spelling)),
		);
	}

	/** `--name`, `--name value`, `--name=value` */
	private readLongOption(word: string): void {
		const equals = word.indexOf('=');
		const name = equals < 0 ? word : word.slice(0, equals);
		const key = keyOf(this.declared, name);
		const option = key === undefined ? undefined : this.declared[key];
		if (key === undefined || !option) {
			this.refuseOption(name);
		} else if (!option.value) {
			if (equals < 0) this.options.set(key, true);
			else this.refuse(`${name} takes no value`);
		} else if (option.optionalValue) {
			if (equals === word.length - 1) this.refuse(`${word} needs a value: ${option.value.placeholder}`);
			else this.set(key, equals < 0 ? true : word.slice(equals + 1));
		} else this.set(key, equals < 0 ? this.takeValue(key) : word.slice(equals + 1));
	}

	/** `-q`, `-t 5s`, `-t5s`, `-t=5s`, `-qt5s`: as getopt(3) has it. */
	private readLetters(word: string): void {
		for (let i = 1; i < word.length; i++) {
			const name = `-${word[i]}`;
			const key = keyOf(this.declared, name);
			const option = key === undefined ? undefined : this.declared[key];
			if (key === undefined || !option) {
				if (word.length === 2) this.refuseOption(name);
				else this.refuse(`unknown option '${name}' in '${word}'`);
				return;
			}
			if (option.value) {
				const isGlued = i + 1 < word.length;
				const glued = word.slice(word[i + 1] === '=' ? i + 2 : i + 1);
				this.set(key, isGlued ? glued : option.optionalValue ? true : this.takeValue(key));
				return;
			}
			this.options.set(key, true);
		}
	}

	/** The next word, unless it is an option: a value that looks like one is written `--name=-value`. */
	private takeValue(key: string): string | undefined {
		const next = this.words[this.at];
		const isValue = next !== undefined && (!/^-./s.test(next) || next === '--' || looksLikeNegativeNumber(next));
		if (isValue) this.at++;
		else
			this.missingValue ??= this.error(`--${optionName(key)} needs a value: ${this.declared[key]?.value?.placeholder}`);
		return isValue ? next : undefined;
	}

	private set(key: string, value: string | true | undefined): void {
		if (value === undefined) return;
		if (!this.declared[key]?.many || value === true) this.options.set(key, value);
		else this.options.set(key, [...((this.options.get(key) as string[] | undefined) ?? []), value]);
	}

	private refuseOption(name: string): void {
		if (isHelp(name) || isVersion(name)) {
			this.refuse(`${name} takes no value`);
			return;
		}
		const candidates = offeredOptionsOf(this.found.verb).map(([key]) => `--${optionName(key)}`);
		this.refuse(`unknown option '${name}'`, {word: name, candidates: [...candidates, '--help', '--version']});
	}

	/** The first mistake is the one that is told. */
	private refuse(message: string, meant?: UsageError['meant']): void {
		this.mistake ??= this.error(message, meant);
	}

	private error(message: string, meant?: UsageError['meant']): UsageError {
		const error = new UsageError(message);
		error.verb = this.found.name;
		error.meant = meant;
		return error;
	}
}

export interface Values {
	operands: Record<string, unknown>;
	options: Record<string, unknown>;
}

/** Turns the words of a reading into values, or refuses with the name of the option or operand. */
export function valuesOf({verb, operands: words, options: given, command, declared}: Reading): Values {
	const {least, most} = operandCount(verb);
	if (words.length < least) {
		const missing = Object.values(verb.operands)[words.length]?.format.placeholder ?? 'operand';
		throw new UsageError(`${missing} is missing`);
	}
	if (words.length > most)
		throw new UsageError(`'${words[most]}' is one operand too many (expected: ${operandSynopsis(verb) || 'none'})`);
	if (verb.takesCommand === true && command.length === 0) throw new UsageError('the command to run is missing');

	const operands: Record<string, unknown> = {};
	let next = 0;
	for (const [key, {format, how}] of Object.entries(verb.operands)) {
		if (how === 'many' || how === 'any') {
			operands[key] = words.slice(next).map((word) => format.parse(word));
			next = words.length;
		} else {
			const word = words[next++];
			operands[key] = word === undefined ? undefined : format.parse(word);
		}
	}
	const options: Record<string, unknown> = {};
	for (const [key, {value, many}] of Object.entries(declared)) {
		const text = given.get(key);
		if (text === undefined) options[key] = !value ? false : many ? [] : undefined;
		else options[key] = text === true || !value ? true : parsed(key, value, text);
	}
	return {operands, options};
}

function parsed(key: string, format: TextFormat<unknown>, text: string | readonly string[]): unknown {
	try {
		return typeof text === 'string' ? format.parse(text) : text.map((word) => format.parse(word));
	} catch (error) {
		if (error instanceof UsageError) error.message = `--${optionName(key)}: ${error.message}`;
		throw error;
	}
}
