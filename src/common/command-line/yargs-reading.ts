import yargs, {type Argv} from 'yargs';
import {UsageError} from '../errors.js';
import {columnsOf, print, printLine, stdout} from '../output.js';
import {
	type Command,
	expandShorthand,
	findVerb,
	operandCount,
	operandSynopsis,
	optionName,
	type Verb,
} from '../verb.js';
import {version} from '../version.js';
import {isNegativeNumber, optionsOf, type Reading} from './command-line.js';
import {didYouMean} from './did-you-mean.js';

/**
 * Whatever is not a plain command line: help, version, completion, letters run together, and mistakes with a hint.
 * Loaded only then, since yargs makes a start five times as long.
 */
export async function readWithYargs(command: Command, given: readonly string[]): Promise<Reading | undefined> {
	const words = expandShorthand(command, given);
	if (words[0] === completionRequest) {
		for (const word of await completions(command, words.slice(2))) printLine(word);
		return undefined;
	}
	const ownWords = untilDashes(words);
	const word = words.find((candidate) => !candidate.startsWith('-'));
	const found = word === undefined ? undefined : findVerb(command, word);
	const helpAt = found ? 0 : ownWords.indexOf('help');
	if (helpAt >= 0 && !found && word === 'help') {
		const topic = words[words.indexOf('help') + 1];
		print(await helpText(command, topic === undefined ? undefined : needVerb(command, topic)));
		return undefined;
	}
	const options = found?.verb.takesCommand
		? ownWordsOf(found.verb, words.slice(words.indexOf(found.name) + 1))
		: ownWords;
	if (options.includes('--help') || options.includes('-h')) {
		print(await helpText(command, found));
		return undefined;
	}
	if (options.includes('--version') || options.includes('-V')) {
		printLine(`${command.name} (ipc-tools) ${version}`);
		return undefined;
	}
	if (words.length === 0) throw new UsageError(`a verb is missing: ${Object.keys(command.verbs).join(', ')}`);
	if (words[0]?.startsWith('-')) throw new UsageError(`a verb is expected before '${words[0]}'`);
	const {name, verb} = needVerb(command, words[0] as string);
	try {
		return readVerb(name, verb, words.slice(1));
	} catch (error) {
		if (error instanceof UsageError) error.verb = name;
		throw error;
	}
}

const completionRequest = '--get-yargs-completions';

const untilDashes = (words: readonly string[]): readonly string[] =>
	words.includes('--') ? words.slice(0, words.indexOf('--')) : words;

function needVerb(command: Command, word: string): {name: string; verb: Verb} {
	const found = findVerb(command, word);
	if (found) return found;
	const words = Object.entries(command.verbs).flatMap(([name, {aliases = []}]) => [name, ...aliases]);
	const hint = didYouMean(word, words) || ` (verbs: ${Object.keys(command.verbs).join(', ')})`;
	throw new UsageError(`unknown verb '${word}'${hint}`);
}

/** The parser that the help and the reading share. */
function parser(): Argv {
	return yargs([]).locale('en').help(false).version(false).exitProcess(false).fail(false).parserConfiguration({
		'boolean-negation': false,
		'camel-case-expansion': false,
		'combine-arrays': false,
		'dot-notation': false,
		'greedy-arrays': false,
		'parse-numbers': false,
		'parse-positional-numbers': false,
		'populate--': true,
		'unknown-options-as-args': true,
	});
}

function readVerb(name: string, verb: Verb, words: readonly string[]): Reading {
	const own = ownWordsOf(verb, words);
	const rest = words.slice(own.length);
	const command = verb.takesCommand ? (rest[0] === '--' ? rest.slice(1) : rest) : [];
	const declared = optionsOf(verb);
	const reader = parser();
	const options = new Map<string, string | true | readonly string[]>();
	for (const [key, option] of Object.entries(declared)) {
		if (option.optionalValue) continue;
		const alias = option.short ? {alias: option.short} : {};
		const kind = option.value ? ({string: true} as const) : ({boolean: true} as const);
		reader.option(optionName(key), {...alias, ...kind, ...(option.value ? {requiresArg: true} : {})});
	}
	const ready = [...spreadLetters(verb, takeOptionalValues(verb, verb.takesCommand ? own : words, options))];
	const ownCount = untilDashes(ready).length;
	for (const word of ready.slice(0, ownCount)) checkWord(verb, word);
	// To yargs some numbers below zero are options.
	const numbers = new Map<string, string>();
	for (let i = 0; i < ownCount; i++) {
		const word = ready[i] as string;
		if (!isNegativeNumber(verb, word)) continue;
		const standIn = `number ${numbers.size} `;
		numbers.set(standIn, word);
		ready[i] = standIn;
	}
	const asGiven = (word: string) => numbers.get(word) ?? word;
	// A bare flag would swallow an operand that happens to be called `true`.
	for (let i = 0; i < ownCount; i++) ready[i] = sayTrue(verb, ready, i);
	let parsed: Record<string, unknown>;
	try {
		parsed = reader.parseSync(ready) as Record<string, unknown>;
	} catch (error) {
		const message = error instanceof Error ? error.message : String(error);
		const key = Object.keys(declared).find(
			(name) => message.endsWith(`: ${optionName(name)}`) || message.endsWith(`: ${declared[name]?.short}`),
		);
		throw new UsageError(
			key === undefined ? message : `--${optionName(key)} needs a value: ${declared[key]?.value?.placeholder}`,
		);
	}
	const positional = (parsed._ as (string | number)[]).map(String);
	const operands = [
		...positional.map(asGiven),
		...((parsed['--'] as (string | number)[] | undefined) ?? []).map(String),
	];
	for (const [key, option] of Object.entries(declared)) {
		const given = parsed[optionName(key)];
		// For yargs an option given twice is a list; here the last one counts.
		const value = Array.isArray(given) && !option.many ? given.at(-1) : given;
		if (value === undefined || value === false) continue;
		if (!option.value) options.set(key, true);
		else options.set(key, option.many ? [value].flat().map(String).map(asGiven) : asGiven(String(value)));
	}
	return {name, verb, operands, options, command};
}

/** The words without those options whose value may be left out: yargs would take the next word for it. */
function* takeOptionalValues(
	verb: Verb,
	words: readonly string[],
	options: Map<string, string | true | readonly string[]>,
): Iterable<string> {
	for (let i = 0; i < words.length; i++) {
		const word = words[i] as string;
		if (word === '--') {
			yield* words.slice(i);
			return;
		}
		const key = word.startsWith('--') ? keyOf(verb, word) : undefined;
		const option = key === undefined ? undefined : optionsOf(verb)[key];
		if (key === undefined || !option?.optionalValue) {
			yield word;
			continue;
		}
		const equals = word.indexOf('=');
		if (equals === word.length - 1) throw new UsageError(`${word} needs a value: ${option.value?.placeholder}`);
		options.set(key, equals < 0 ? true : word.slice(equals + 1));
	}
}

function sayTrue(verb: Verb, words: readonly string[], at: number): string {
	const word = words[at] as string;
	const before = at > 0 ? keyOf(verb, words[at - 1] as string) : undefined;
	const isValue = before !== undefined && optionsOf(verb)[before]?.value && !(words[at - 1] as string).includes('=');
	const key = isValue || !word.startsWith('-') ? undefined : keyOf(verb, word);
	return key !== undefined && !optionsOf(verb)[key]?.value ? `--${optionName(key)}=true` : word;
}

/** The key of the option that a word names, by its whole name or its letter. */
function keyOf(verb: Verb, word: string): string | undefined {
	const name = word.split('=', 1)[0];
	return Object.entries(optionsOf(verb)).find(
		([key, {short}]) => name === `--${optionName(key)}` || (short !== undefined && word === `-${short}`),
	)?.[0];
}

/** The words that belong to the verb itself: up to `--`, or up to the command that begins where its operands end. */
function ownWordsOf(verb: Verb, words: readonly string[]): readonly string[] {
	if (!verb.takesCommand) return untilDashes(words);
	const {most} = operandCount(verb);
	let operands = 0;
	for (let i = 0; i < words.length; i++) {
		const word = words[i] as string;
		if (word === '--') return words.slice(0, i);
		if (word !== '-' && word.startsWith('-') && !isNegativeNumber(verb, word)) {
			const key = keyOf(verb, word) ?? keyOf(verb, `-${word.at(-1)}`);
			const option = key === undefined ? undefined : optionsOf(verb)[key];
			const takesValue = option?.value !== undefined && !option.optionalValue;
			const isSeparate = word.startsWith('--') ? !word.includes('=') : word.length === 2;
			if (takesValue && isSeparate) i++;
		} else if (operands++ === most && verb.takesCommand === true) {
			return words.slice(0, i);
		}
	}
	return words;
}

/** `-qt5` is `-q -t 5`, as getopt(3) has it. */
function* spreadLetters(verb: Verb, given: Iterable<string>): Iterable<string> {
	const words = [...given];
	for (let w = 0; w < words.length; w++) {
		const word = words[w] as string;
		if (word === '--') {
			yield* words.slice(w);
			return;
		}
		const before = w > 0 ? keyOf(verb, words[w - 1] as string) : undefined;
		const takesWord = before !== undefined && optionsOf(verb)[before]?.value && !(words[w - 1] as string).includes('=');
		if (!/^-[^-]./s.test(word) || (takesWord && /^-[0-9]/.test(word)) || isNegativeNumber(verb, word)) {
			yield word;
			continue;
		}
		for (let i = 1; i < word.length; i++) {
			const letter = `-${word[i]}`;
			const key = keyOf(verb, letter);
			if (key === undefined) throw new UsageError(`unknown option '${letter}' in '${word}'`);
			yield letter;
			if (optionsOf(verb)[key]?.value === undefined) continue;
			if (i + 1 < word.length) yield word.slice(word[i + 1] === '=' ? i + 2 : i + 1);
			break;
		}
	}
}

function checkWord(verb: Verb, word: string): void {
	if (!word.startsWith('-') || word === '-' || /^-[0-9.]/.test(word) || isNegativeNumber(verb, word)) return;
	const key = keyOf(verb, word);
	if (key === undefined) {
		const names = Object.keys(optionsOf(verb)).map((name) => `--${optionName(name)}`);
		throw new UsageError(
			`unknown option '${word.split('=', 1)[0]}'${didYouMean(word, [...names, '--help', '--version'])}`,
		);
	}
	if (word.includes('=') && word.startsWith('--') && optionsOf(verb)[key]?.value === undefined)
		throw new UsageError(`--${optionName(key)} takes no value`);
}

async function helpText(command: Command, topic: {name: string; verb: Verb} | undefined): Promise<string> {
	const help = topic ? verbHelp(command, topic.name, topic.verb) : commandHelp(command);
	const text = await help.wrap(Math.min(columnsOf(stdout), 100)).getHelp();
	// A digit as an option's letter comes out as `--null, --0`.
	const digits = text.replace(/^ {6}(--[\w-]+), --([0-9])/gm, '  -$2, $1     ');
	return `${digits.trimEnd()}\n`;
}

const examplesText = (examples: Command['examples']): string =>
	`Examples:\n${examples.map(({purpose, line}) => `  # ${purpose}\n  ${line}`).join('\n')}`;

function commandHelp(command: Command): Argv {
	const help = parser()
		.scriptName('')
		.usage(`Usage: ${command.name} VERB [OPERANDS] [OPTIONS]\n\n${command.summary}`)
		.updateStrings({'Commands:': 'Verbs:'})
		.updateStrings({'aliases:': 'or'})
		.epilogue(
			`'${command.name} VERB --help' describes one verb. The manual page is ${command.name}(1).\n\n${examplesText(command.examples)}`,
		);
	for (const [name, verb] of Object.entries(command.verbs))
		help.command([`${name} ${operandSynopsis(verb)}`.trim(), ...(verb.aliases ?? [])], verb.summary);
	return help;
}

/** yargs shows no placeholders, so in the help the name of an option carries its own. */
function verbHelp(command: Command, name: string, verb: Verb): Argv {
	const help = parser()
		.scriptName('')
		.usage(
			`${`Usage: ${command.name} ${name} ${operandSynopsis(verb)} [OPTIONS]`
				.replace(/ (\[?-- .*) \[OPTIONS\]$/, ' [OPTIONS] $1')
				.replace('  ', ' ')}\n\n${verb.summary}`,
		);
	if (verb.aliases?.length) help.epilogue(`Also: ${command.name} ${verb.aliases.join(', ')}`);
	for (const [key, option] of Object.entries(optionsOf(verb))) {
		const {placeholder} = option.value ?? {};
		const shown = !option.value
			? optionName(key)
			: optionName(key) + (option.optionalValue ? `[=${placeholder}]` : ` ${placeholder}`);
		help.option(shown, {...(option.short ? {alias: option.short} : {}), describe: option.help});
	}
	if (verb.examples.length) help.epilogue(examplesText(verb.examples));
	return help;
}

async function completions(command: Command, words: readonly string[]): Promise<string[]> {
	const current = words.at(-1) ?? '';
	const found = words.length > 1 ? findVerb(command, words[0] as string) : undefined;
	const reader = parser().scriptName('');
	if (!found) {
		for (const [name, verb] of Object.entries(command.verbs)) reader.command(name, verb.summary);
	} else {
		const previous = words.length > 2 ? keyOf(found.verb, words.at(-2) as string) : undefined;
		const before = previous === undefined ? undefined : optionsOf(found.verb)[previous];
		const value = before?.optionalValue ? undefined : before?.value;
		if (value) return (value.words ?? []).filter((word) => word.startsWith(current));
		if (!current.startsWith('-')) {
			const [operand] = Object.values(found.verb.operands);
			const names = operand?.format.words ?? (operand ? (command.names?.() ?? []) : []);
			return names.filter((word) => word.startsWith(current));
		}
		for (const [key, option] of Object.entries(optionsOf(found.verb)))
			reader.option(optionName(key), {describe: option.help});
		reader.option('help', {describe: 'print this help'});
	}
	const candidates = await reader.getCompletion([current]);
	// zsh gets `word:description` from yargs; the scripts here want words.
	return candidates
		.map((candidate) => candidate.replace(/(?<!\\):.*$/s, ''))
		.filter((word) => word.startsWith(current));
}
