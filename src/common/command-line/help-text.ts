import {columnsOf, stdout} from '../output.js';
import {readBuiltText} from '../runtime.js';
import type {About, FoundVerb} from '../verb.js';

/** The help of a command, or of one of its verbs, as the build has laid it out for a terminal as wide as ours. */
export function helpText(command: About, topic: FoundVerb | undefined): string {
	const columns = columnsOf(stdout) >= 100 ? 100 : 80;
	return readBuiltText(`help/${columns}/${topic ? `${command.name}_${topic.name}` : command.name}`);
}
