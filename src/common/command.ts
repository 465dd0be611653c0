import {completion} from './command-line/completion.js';
import type {Command} from './verb.js';

/** A command: its verbs, and the one that all commands have. */
export const command = (declaration: Command): Command => ({
	...declaration,
	verbs: {...declaration.verbs, completion: completion(declaration.name)},
});
