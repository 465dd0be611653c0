// The examples of the README and of the manual pages, as the lines that a reader pastes.
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {root} from '../run.js';

const read = (path: string): string => readFileSync(join(root, path), 'utf8');

/** The indented blocks of the README, and our column of its table "Instead of". */
export function readmeExamples(): string[] {
	const text = read('README.md');
	const blocks = [...text.matchAll(/(?:^ {4}.*\n)+/gm)]
		.map(([block]) => block.replace(/^ {4}/gm, '').replace(/^npm ci && (?=PATH)/, ''))
		// What installs is not for a machine that others use.
		.filter((block) => !/^(npm|tar) /.test(block));
	const rows = [...text.matchAll(/^\| `.*$/gm)].map(([row]) => row.split(/(?<!\\)\|/)[2]?.trim() ?? '');
	const cells = rows
		.filter((cell) => cell.startsWith('`ipc-') || cell.includes('| ipc-') || cell.includes('; ipc-'))
		.map((cell) => cell.slice(1, -1).replaceAll('\\|', '|'));
	return [...blocks, ...cells];
}

/** The displays in the section EXAMPLES of a page in mdoc(7). */
export function manualExamples(page: string): string[] {
	const section = /^\.Sh EXAMPLES\n([\s\S]*?)^\.Sh /m.exec(read(join('man', page)))?.[1] ?? '';
	const displays = section.matchAll(/^\.Bd -literal.*\n([\s\S]*?)^\.Ed$|^((?:\.Dl .*\n)+)/gm);
	return [...displays].map(([, literal, lines]) => unescaped(literal ?? (lines as string).replace(/^\.Dl /gm, '')));
}

const characters: Record<string, string> = {aq: "'", dq: '"', ha: '^', ti: '~', ga: '`'};

const unescaped = (text: string): string =>
	text.replace(/\\(?:\((..)|(.))/g, (_, name?: string, other?: string) => {
		if (name !== undefined) return characters[name] ?? `\\(${name}`;
		return other === '&' ? '' : other === 'e' ? '\\' : (other ?? '');
	});
