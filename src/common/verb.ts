import type {Remedies} from './errors.js';
import type {Outcome} from './exit.js';
import type {TextFormat} from './formats/text-format.js';

/**
 * A verb as data: what it takes, in the order the help shows it, and what it does with it. Everything that reads a
 * command line, prints help, completes words or checks the manual reads this same data.
 */
export interface Option {
	readonly short?: string;
	/** How its value is written; an option without is a flag. */
	readonly value?: TextFormat<unknown>;
	/** It may be given several times; the value is a list. */
	readonly many?: true;
	/** The value may be left out, and stands only behind a `=`: `--lock`, `--lock=NAME`. Without, it is `true`. */
	readonly optionalValue?: true;
	/** Other spellings that are understood and not shown: `--all`, `-p`. */
	readonly also?: readonly string[];
	/** It works only with a name on a cluster, or only with names that are not. */
	readonly only?: 'cluster' | 'local';
	/** Accepted, and neither offered nor described: what the verb does anyway. */
	readonly isHidden?: true;
	readonly help: string;
}

export interface Operand {
	readonly format: TextFormat<unknown>;
	/** `one` is required, `optional` is not; `many` is one or more, `any` is none or more. */
	readonly how: 'one' | 'optional' | 'many' | 'any';
}

export type Options = Readonly<Record<string, Option>>;
export type Operands = Readonly<Record<string, Operand>>;

type Parsed<Format> = Format extends TextFormat<infer Value> ? Value : never;

type OptionValue<Item> = Item extends {readonly value: infer Format}
	? Item extends {readonly many: true}
		? Parsed<Format>[]
		: Item extends {readonly optionalValue: true}
			? Parsed<Format> | true | undefined
			: Parsed<Format> | undefined
	: boolean;

type OperandValue<Item> = Item extends {readonly how: infer How; readonly format: infer Format}
	? How extends 'one'
		? Parsed<Format>
		: How extends 'optional'
			? Parsed<Format> | undefined
			: Parsed<Format>[]
	: never;

export type OptionValues<Items extends Options> = {readonly [Key in keyof Items]: OptionValue<Items[Key]>};
export type OperandValues<Items extends Operands> = {readonly [Key in keyof Items]: OperandValue<Items[Key]>};

export interface Example {
	/** The purpose in one phrase. */
	readonly purpose: string;
	/** A whole command that can be pasted. */
	readonly line: string;
}

export interface Verb {
	readonly summary: string;
	readonly aliases?: readonly string[];
	readonly operands: Operands;
	readonly options: Options;
	/**
	 * A command to run follows: after `--`, or from the first operand on that the others leave over. Where it is optional
	 * only `--` begins it.
	 */
	readonly takesCommand: boolean | 'optional';
	/** A first word that is short for others, as `-9` is to kill(1): its long form, undefined for any other word. */
	shorthand?(word: string): readonly string[] | undefined;
	readonly examples: readonly Example[];
	/**
	 * It uses what only Node has, always or with these words: see src/engine. Asked before anything is opened or read.
	 */
	readonly needsNode?: boolean | ((operands: never, options: never, command: readonly string[]) => boolean);
	/** It also works on objects on a cluster: see src/cluster. `input`: what it reads names them, and the verb loads what it needs. */
	readonly cluster?: boolean | 'input';
	/** What it waits for, if it has to, for a person who wonders: `a reader of 'x'`. */
	waitsFor?(operands: never, options: never): string | undefined;
	run(operands: never, options: never, command: readonly string[]): Outcome | Promise<Outcome>;
}

/** A command without its verbs. */
export interface About {
	readonly name: string;
	readonly summary: string;
	readonly examples: readonly Example[];
	/** What to do about errors of its objects, which know no command. */
	readonly remedies?: Remedies;
	/** The names of the objects that exist, for completion. */
	names?(): string[];
	/** Loads what its verbs need for objects on a cluster. */
	loadCluster?(): Promise<unknown>;
}

export interface Command extends About {
	/** In help order. */
	readonly verbs: Readonly<Record<string, Verb>>;
}

/** Declares a verb; the types of its operands and options reach `run` by inference. */
// biome-ignore lint/complexity/noBannedTypes: no operands, no options is what it says
export function verb<const Names extends Operands = {}, const Flags extends Options = {}>(declaration: {
	summary: string;
	aliases?: readonly string[];
	operands?: Names;
	options?: Flags;
	takesCommand?: boolean | 'optional';
	shorthand?(word: string): readonly string[] | undefined;
	examples?: readonly Example[];
	cluster?: boolean | 'input';
	waitsFor?(operands: OperandValues<Names>, options: OptionValues<Flags>): string | undefined;
	needsNode?:
		| boolean
		| ((operands: OperandValues<Names>, options: OptionValues<Flags>, command: readonly string[]) => boolean);
	run(
		operands: OperandValues<Names>,
		options: OptionValues<Flags>,
		command: readonly string[],
	): Outcome | Promise<Outcome>;
}): Verb {
	return {
		takesCommand: false,
		examples: [],
		...declaration,
		operands: declaration.operands ?? {},
		options: declaration.options ?? {},
	} as Verb;
}

export const one = <Value>(format: TextFormat<Value>) => ({format, how: 'one'}) as const;
export const optional = <Value>(format: TextFormat<Value>) => ({format, how: 'optional'}) as const;
export const many = <Value>(format: TextFormat<Value>) => ({format, how: 'many'}) as const;
export const any = <Value>(format: TextFormat<Value>) => ({format, how: 'any'}) as const;

/** `timeoutStatus` in the code is `--timeout-status` on the command line. */
export const optionName = (key: string): string => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** `NAME`, `[NAME]`, `NAME...`, `[NAME...]`, and what follows a `--`: a verb's operands as a synopsis shows them. */
export function operandSynopsis({operands, takesCommand}: Verb): string {
	const parts = Object.values(operands).map(({format: {placeholder}, how}) => {
		if (how === 'one') return placeholder;
		if (how === 'optional') return `[${placeholder}]`;
		return how === 'many' ? `${placeholder}...` : `[${placeholder}...]`;
	});
	if (takesCommand) parts.push(takesCommand === 'optional' ? '[-- CMD [ARG...]]' : '-- CMD [ARG...]');
	return parts.join(' ');
}

/** How many operands a verb takes, at least and at most. */
export function operandCount({operands}: Verb): {least: number; most: number} {
	const kinds = Object.values(operands).map(({how}) => how);
	return {
		least: kinds.filter((how) => how === 'one' || how === 'many').length,
		most: kinds.some((how) => how === 'many' || how === 'any') ? Number.POSITIVE_INFINITY : kinds.length,
	};
}

export interface FoundVerb {
	/** As it is declared, also where an alias was given. */
	readonly name: string;
	readonly verb: Verb;
}

export function findVerb(command: Command, word: string): FoundVerb | undefined {
	if (Object.hasOwn(command.verbs, word)) return {name: word, verb: command.verbs[word] as Verb};
	for (const [name, verb] of Object.entries(command.verbs)) if (verb.aliases?.includes(word)) return {name, verb};
	return undefined;
}

/** The words with a first one that is short for others written out. */
export function expandShorthand(command: Command, words: readonly string[]): readonly string[] {
	const [verbWord, first] = words;
	if (verbWord === undefined || first === undefined) return words;
	const meant = findVerb(command, verbWord)?.verb.shorthand?.(first);
	return meant ? [verbWord, ...meant, ...words.slice(2)] : words;
}
