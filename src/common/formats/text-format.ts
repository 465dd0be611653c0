import {UsageError} from '../errors.js';

/** How a value is written on a command line. Parsing opens nothing and asks the kernel nothing. */
export interface TextFormat<Value> {
	/** What stands for it in the help: DURATION, NAME. */
	placeholder: string;
	/** Throws a UsageError with the reason. */
	parse(text: string): Value;
	/** What completion offers. */
	words?: readonly string[];
	/** It is a list of these words, separated by commas. */
	isList?: true;
	/** What completion offers beside words: the objects of the command that exist, with paths to others, or files. */
	completes?: 'objects' | 'objects and paths' | 'files';
	/** Words that depend on what was typed before. Nothing is offered where it takes long to find out. */
	candidates?(before: WordsBefore): readonly string[] | Promise<readonly string[]>;
}

/** What stands before a word that is being completed. */
export interface WordsBefore {
	readonly operands: readonly string[];
	/** By key: timeoutStatus. */
	readonly options: ReadonlySet<string>;
}

/** `'5 parsecs' is not a duration: unknown unit 'parsecs'` */
export function refuse(text: string, what: string, why: string): never {
	throw new UsageError(`'${text}' is not ${what}: ${why}`);
}

/** One of a few words. */
export const choice = <Word extends string>(placeholder: string, ...words: Word[]): TextFormat<Word> => ({
	placeholder,
	words,
	parse(text) {
		const word = words.find((candidate) => candidate === text);
		if (word === undefined) throw new UsageError(`'${text}' is not one of ${words.join(', ')}`);
		return word;
	},
});

/** A whole number from `least` to `most`. */
export const wholeNumber = (least = 0, most = Number.MAX_SAFE_INTEGER): TextFormat<number> => ({
	placeholder: 'N',
	parse(text) {
		if (text === '') refuse(text, 'a number', 'it is empty');
		if (!/^[0-9]+$/.test(text)) refuse(text, 'a number', 'only digits are expected');
		const value = Number(text);
		if (value < least) refuse(text, 'a valid number', `the minimum is ${least}`);
		if (value > most) refuse(text, 'a valid number', `the maximum is ${most}`);
		return value;
	},
});

/** Any text. */
export const anyText = (placeholder: string): TextFormat<string> => ({placeholder, parse: (text) => text});

/** The path of a file or folder. */
export const filePath = (placeholder = 'FILE'): TextFormat<string> => ({...anyText(placeholder), completes: 'files'});
