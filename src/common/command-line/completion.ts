import {done} from '../exit.js';
import {choice} from '../formats/text-format.js';
import {print} from '../output.js';
import {one, type Verb, verb} from '../verb.js';

/** Scripts that ask the command itself for candidates, so that they know the objects that exist now. */
const scripts: Record<'bash' | 'zsh' | 'fish', (command: string) => string> = {
	bash: (command) => `_${command.replace('-', '_')}() {
	local IFS=$'\\n'
	COMPREPLY=($(${command} --get-yargs-completions "\${COMP_WORDS[@]:0:COMP_CWORD+1}" 2>/dev/null))
}
complete -o bashdefault -o default -F _${command.replace('-', '_')} ${command}
`,
	zsh: (command) => `#compdef ${command}
_${command.replace('-', '_')}() {
	local -a candidates
	candidates=("\${(@f)$(${command} --get-yargs-completions "\${(@)words[1,CURRENT]}" 2>/dev/null)}")
	[[ -n "$candidates" ]] && compadd -- "\${candidates[@]}" || _files
}
compdef _${command.replace('-', '_')} ${command}
`,
	fish: (command) =>
		`complete -c ${command} -a '(${command} --get-yargs-completions (commandline -cop) (commandline -ct) 2>/dev/null)'\n`,
};

/** The same verb in all six. */
export const completion = (command: string): Verb =>
	verb({
		summary: 'Print a completion script for a shell',
		operands: {shell: one(choice('SHELL', 'bash', 'zsh', 'fish'))},
		examples: [{purpose: 'turn on completion in the current bash', line: `source <(${command} completion bash)`}],
		run({shell}) {
			print(scripts[shell](command));
			return done;
		},
	});
