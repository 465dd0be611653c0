// What readelf, which comes with every C compiler, says about an executable or a library.
import {execFileSync} from 'node:child_process';

/** Whether it needs libraries of the system, and which protections it has. */
export function inspect(path) {
	const text = execFileSync('readelf', ['--file-header', '--program-headers', '--dynamic', '--wide', path], {
		encoding: 'utf8',
		env: {...process.env, LC_ALL: 'C'},
		stdio: ['ignore', 'pipe', 'ignore'],
	});
	return {
		machine: /^ *Machine: *(.*)$/m.exec(text)?.[1],
		isDynamic: /^ *INTERP /m.test(text),
		isPie: /^ *Type: *DYN/m.test(text),
		hasRelro: /^ *GNU_RELRO /m.test(text) && /\((?:FLAGS|FLAGS_1|BIND_NOW)\).*\b(?:BIND_NOW|NOW)\b/.test(text),
		hasExecutableStack: !/^ *GNU_STACK .* RW +0x/m.test(text),
	};
}
