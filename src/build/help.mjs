// Writes the help of every command and verb, for narrow and for wide terminals: dist/help/COLUMNS/COMMAND[_VERB]. No command needs
// yargs, or its verbs, to print it.
import {mkdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';

const widths = [80, 100];

export async function writeHelp(root, {commands, helpText}) {
	const folder = join(root, 'dist', 'help');
	rmSync(folder, {recursive: true, force: true});
	for (const columns of widths) {
		mkdirSync(join(folder, String(columns)), {recursive: true});
		for (const {command} of commands)
			for (const verb of [undefined, ...Object.keys(command.verbs)])
				writeFileSync(
					join(folder, String(columns), verb === undefined ? command.name : `${command.name}_${verb}`),
					await helpText(command, verb, columns),
				);
		writeFileSync(join(folder, String(columns), 'ipc-tools'), listOfCommands(root, commands));
	}
}

/** What `ipc-tools` prints. */
function listOfCommands(root, commands) {
	const {version, description} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
	const rows = commands.map(({command: {name, summary}}) => `  ${name.padEnd(12)}${summary}\n`);
	return `Usage: ipc-tools COMMAND VERB [OPERANDS] [OPTIONS]

ipc-tools ${version}: ${description}

Commands:
${rows.join('')}
'ipc-tools sem VERB' is the same as 'ipc-sem VERB', and so for each command.
The manual page is ipc-tools(7).
`;
}
