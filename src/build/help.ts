import yargs, {type Argv} from 'yargs';
import {clusterOptions} from '../common/cluster.js';
import {offeredOptionsOf} from '../common/command-line/command-line.js';
import {type Command, operandSynopsis, optionName, type Verb} from '../common/verb.js';

/** The help of a command, or of one of its verbs, laid out by yargs for this many columns. The build keeps it in dist/help. */
export async function helpText(command: Command, verb: string | undefined, columns: number): Promise<string> {
	const help = verb === undefined ? commandHelp(command) : verbHelp(command, verb, command.verbs[verb] as Verb);
	const text = await help.wrap(columns).getHelp();
	// A digit as an option's letter comes out as `--null, --0`.
	const digits = text.replace(/^ {6}(--[\w-]+), --([0-9])/gm, '  -$2, $1     ');
	return `${digits.trimEnd()}\n`;
}

const examplesText = (examples: Command['examples']): string =>
	`Examples:\n${examples.map(({purpose, line}) => `  # ${purpose}\n  ${line}`).join('\n')}`;

function commandHelp(command: Command): Argv {
	const help = layout()
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
	const help = layout()
		.scriptName('')
		.usage(
			`${`Usage: ${command.name} ${name} ${operandSynopsis(verb)} [OPTIONS]`
				.replace(/ (\[?-- .*) \[OPTIONS\]$/, ' [OPTIONS] $1')
				.replace('  ', ' ')}\n\n${verb.summary}`,
		);
	if (verb.aliases?.length) help.epilogue(`Also: ${command.name} ${verb.aliases.join(', ')}`);
	for (const [key, option] of offeredOptionsOf(verb)) {
		// Five lines that few readers look for.
		if (key in clusterOptions) continue;
		const {placeholder} = option.value ?? {};
		const shown = !option.value
			? optionName(key)
			: optionName(key) + (option.optionalValue ? `[=${placeholder}]` : ` ${placeholder}`);
		help.option(shown, {...(option.short ? {alias: option.short} : {}), describe: option.help});
	}
	if (verb.cluster) help.epilogue('A name may be on a NATS cluster (nats://HOST/NAME): see ipc-cluster(7).\n');
	if (verb.examples.length) help.epilogue(examplesText(verb.examples));
	return help;
}

const layout = (): Argv => yargs([]).locale('en').help(false).version(false).exitProcess(false);
