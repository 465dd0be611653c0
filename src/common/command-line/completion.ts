import {done} from '../exit.js';
import {choice} from '../formats/text-format.js';
import {print} from '../output.js';
import {one, type Verb, verb} from '../verb.js';

/**
 * Scripts that ask the command itself for candidates, so that they know the objects that exist now. zsh and fish quote what
 * they insert. bash does not, and it cuts words at `@`, `:` and `=`, so it gets quoted candidates. Of the word that is being typed
 * zsh and fish pass on only what changes the candidates, and choose among them by their own rules. Instead of candidates the answer
 * can be `\tfiles` or `\tcommand`: the shell finds those itself.
 */
const scripts: Record<'bash' | 'zsh' | 'fish', (command: string, name: string) => string> = {
	bash: (command, name) => `${name}() {
	mapfile -t COMPREPLY < <(${command} --complete-line "\${COMP_LINE:0:COMP_POINT}" "$2" 2>/dev/null)
	case \${COMPREPLY-} in
	$'\\tfiles') COMPREPLY=(); compopt -o default ;;
	$'\\tcommand') mapfile -t COMPREPLY < <(compgen -c -- "$2") ;;
	esac
}
complete -o bashdefault -F ${name} ${command}
`,
	// Read by compinit from a folder of fpath it is the function itself, otherwise it was read by `source`.
	zsh: (command, name) => `#compdef ${command}
${name}() {
	local typed="\${(M)PREFIX#-}"
	case $PREFIX in
	--*=* | *,*) typed="\${(Q)PREFIX}" ;;
	*/*) typed=/ ;;
	esac
	local -a candidates
	candidates=("\${(@f)$(${command} --complete "\${(@Q)words[1,CURRENT-1]}" "$typed" 2>/dev/null)}")
	case $candidates[1] in
	'') return 1 ;;
	$'\\tfiles') compset -P '--*='; _files ;;
	$'\\tcommand') _command_names -e ;;
	*) compadd -- "\${candidates[@]}" ;;
	esac
}
if [[ $funcstack[1] == _${command} ]]; then ${name}; else compdef ${name} ${command}; fi
`,
	fish: (command, name) => `function _${name}
	set -l token (commandline -ct)
	set -l typed (string match -r -- '^--[^=]*=.*|.*,.*|^-|/' $token; or echo)
	set -l found (${command} --complete (commandline -cop) $typed 2>/dev/null)
	switch "$found[1]"
		case ''
		case \\tfiles
			set -l option (string match -r -- '^--[^=]*=' $token)
			for path in (__fish_complete_path (string replace -r -- '^--[^=]*=' '' $token))
				echo "$option"$path
			end
		case \\tcommand
			__fish_complete_command
		case '*'
			printf '%s\\n' $found
	end
end
complete -c ${command} -f -a '(_${name})'
`,
};

/** The same verb in all six. */
export const completion = (command: string): Verb =>
	verb({
		summary: 'Print a completion script for a shell',
		operands: {shell: one(choice('SHELL', 'bash', 'zsh', 'fish'))},
		examples: [{purpose: 'turn on completion in the current bash', line: `source <(${command} completion bash)`}],
		run({shell}) {
			print(scripts[shell](command, `_${command.replace('-', '_')}`));
			return done;
		},
	});
