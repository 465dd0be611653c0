import {done} from '../exit.js';
import {choice} from '../formats/text-format.js';
import {print} from '../output.js';
import {one, type Verb, verb} from '../verb.js';

/**
 * Scripts that ask the command itself for candidates, so that they know the objects that exist now. zsh and fish quote what
 * they insert. bash does not, and it cuts words at `@`, `:` and `=`, so it gets quoted candidates.
 */
const scripts: Record<'bash' | 'zsh' | 'fish', (command: string) => string> = {
	bash: (command) => `_${command.replace('-', '_')}() {
	mapfile -t COMPREPLY < <(${command} --complete-line "\${COMP_LINE:0:COMP_POINT}" "$2" 2>/dev/null)
}
complete -o bashdefault -o default -F _${command.replace('-', '_')} ${command}
`,
	zsh: (command) => `#compdef ${command}
_${command.replace('-', '_')}() {
	local -a candidates
	candidates=("\${(@f)$(${command} --complete "\${(@Q)words[1,CURRENT-1]}" "\${(M)PREFIX#-}" 2>/dev/null)}")
	[[ -n "$candidates" ]] && compadd -- "\${candidates[@]}" || _files
}
compdef _${command.replace('-', '_')} ${command}
`,
	fish: (command) => `function __${command.replace('-', '_')}_complete
	set -l start (commandline -ct | string match -r '^-'; or echo)
	${command} --complete (commandline -cop) $start 2>/dev/null
end
complete -c ${command} -a '(__${command.replace('-', '_')}_complete)'
`,
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
