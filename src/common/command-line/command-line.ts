import {UsageError} from '../errors.js';
import {everywhere} from '../options.js';
import {
	type Command,
	expandShorthand,
	findVerb,
	type Option,
	operandCount,
	operandSynopsis,
	optionName,
	type Verb,
} from '../verb.js';

/** A command line taken apart, the values still text. */
export interface Reading {
	readonly name: string;
	readonly verb: Verb;
	readonly operands: readonly string[];
	/** By key; `true` for a flag. */
	readonly options: ReadonlyMap<string, string | true | readonly string[]>;
	/** The command to run. */
	readonly command: readonly string[];
}

/** A number below zero, where no option is a digit, or `-inf`, where none is an `i`. */
export const isNegativeNumber = (verb: Verb, word: string): boolean => {
	const letters = /^-(?:[0-9]|\.[0-9])/.test(word) ? /[0-9]/ : /^-inf(?:inity)?$/i.test(word) ? /i/ : undefined;
	return (
		letters !== undefined &&
		!Object.values(optionsOf(verb)).some(({short}) => short !== undefined && letters.test(short))
	);
};

export const optionsOf = (verb: Verb): Readonly<Record<string, Option>> => ({...verb.options, ...everywhere});

/**
 * Reads a plain command line straight from the verbs' data: a known verb, whole option names or single letters, a
 * value behind its option. Anything else (help, a mistake, letters run together) answers undefined and is left to
 * yargs (yargs-reading.ts), which costs a start several times as much. A test holds the two together.
 */
export function readPlainLine(command: Command, given: readonly string[]): Reading | undefined {
	const words = expandShorthand(command, given);
	const found = words[0] === undefined ? undefined : findVerb(command, words[0]);
	if (!found) return undefined;
	const {name, verb} = found;
	const declared = optionsOf(verb);
	const bySwitch = new Map<string, string>();
	for (const key of Object.keys(declared)) {
		bySwitch.set(`--${optionName(key)}`, key);
		const short = declared[key]?.short;
		if (short) bySwitch.set(`-${short}`, key);
	}
	const {least, most} = operandCount(verb);
	const operands: string[] = [];
	const options = new Map<string, string | true | string[]>();
	let commandWords: readonly string[] = [];

	for (let i = 1; i < words.length; i++) {
		const word = words[i] as string;
		if (word === '--') {
			const rest = words.slice(i + 1);
			if (verb.takesCommand) commandWords = rest;
			else operands.push(...rest);
			break;
		}
		if (word === '-' || !word.startsWith('-') || isNegativeNumber(verb, word)) {
			if (verb.takesCommand === true && operands.length === most) {
				commandWords = words.slice(i);
				break;
			}
			operands.push(word);
			continue;
		}
		const equals = word.startsWith('--') ? word.indexOf('=') : -1;
		const key = bySwitch.get(equals < 0 ? word : word.slice(0, equals));
		const option = key === undefined ? undefined : declared[key];
		if (key === undefined || !option) return undefined;
		if (!option.value) {
			if (equals >= 0) return undefined;
			options.set(key, true);
			continue;
		}
		if (option.optionalValue && equals < 0) {
			options.set(key, true);
			continue;
		}
		let value: string | undefined = word.slice(equals + 1);
		if (equals < 0) {
			value = words[++i];
			// A negative number is a value; a letter that happens to be a digit is left to yargs.
			const isWord = value !== undefined && (!/^-./.test(value) || (/^-[0-9]/.test(value) && !bySwitch.has(value)));
			if (value === undefined || !isWord) return undefined;
		}
		if (value === '') return undefined;
		if (option.many) options.set(key, [...((options.get(key) as string[] | undefined) ?? []), value]);
		else options.set(key, value);
	}
	if (operands.length < least || operands.length > most) return undefined;
	return {name, verb, operands, options, command: commandWords};
}

export interface Values {
	operands: Record<string, unknown>;
	options: Record<string, unknown>;
}

/** Turns the words of a reading into values, or refuses with the name of the option or operand. */
export function valuesOf({verb, operands: words, options: given, command}: Reading): Values {
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
	for (const [key, option] of Object.entries(optionsOf(verb))) {
		const text = given.get(key);
		const parse = (word: string) => {
			try {
				return option.value?.parse(word);
			} catch (error) {
				if (error instanceof UsageError) error.message = `--${optionName(key)}: ${error.message}`;
				throw error;
			}
		};
		if (!option.value) options[key] = text === true;
		else if (option.many) options[key] = (Array.isArray(text) ? text : []).map(parse);
		else if (option.optionalValue && text === true) options[key] = true;
		else options[key] = typeof text === 'string' ? parse(text) : undefined;
	}
	return {operands, options};
}
