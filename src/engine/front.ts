import {command} from '../common/command.js';
import {verbPlace} from '../common/command-line/command-line.js';
import {typedWords} from '../common/command-line/shell-words.js';
import {main} from '../common/program.js';
import type {About, Verb} from '../common/verb.js';

/** A verb of which nothing but its names is needed: to be listed, completed, or guessed after a mistake. */
export const named = (aliases: readonly string[]): Verb => ({
	summary: '',
	aliases,
	operands: {},
	options: {},
	takesCommand: false,
	examples: [],
	run: () => {
		throw new Error('a verb is run by its own module');
	},
});

/** Does what a command line asks for that does not begin with the name of a verb: with an option, or with a mistake. */
export function start(
	about: About,
	verbs: Readonly<Record<string, Verb>>,
	modules: Readonly<Record<string, () => Promise<unknown>>>,
): void {
	const words = process.argv.slice(2);
	const module =
		modules[(isOfShell(words) ? verbBeingCompleted(words, modules) : verbBehindOptions(words, modules)) ?? ''];
	// It calls `main` itself.
	if (module) void module();
	else main(command({...about, verbs}));
}

const isOfShell = ([request]: readonly string[]): boolean => request?.startsWith('--complete') === true;

const verbBehindOptions = (words: readonly string[], modules: object): string | undefined =>
	words[verbPlace(words, (word) => Object.hasOwn(modules, word))];

/** The verb whose words a shell asks candidates for; undefined while the verb itself is being typed. */
function verbBeingCompleted([request, ...words]: readonly string[], modules: object): string | undefined {
	const typed =
		request === '--complete'
			? words
			: request === '--complete-line'
				? typedWords(words[0] ?? '').map(({text}) => text)
				: [];
	return verbBehindOptions(typed.slice(1, -1), modules);
}
