// Reports English that a stranger stumbles over, with a better wording: `npm run lint:english [-- FILE…]`. It reads help texts, messages
// and comments in src/, and all of man/, README.md, CHANGELOG.md and .github/. Status 1 where it finds something.
import {existsSync, readdirSync, readFileSync, statSync} from 'node:fs';
import {dirname, join, relative} from 'node:path';
import {fileURLToPath} from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** What to look for, and what to write in its place. */
const rules = [
	[/\bso (many|much|long|often)\b(?! (that|as\b))/i, 'say the number: "stop after N messages", "after N seconds"'],
	[/\bwhoever\b/i, 'name the process: "the process that …"'],
	[/\b(one|those|he|anyone) who\b/i, 'name the process: "a process that …", "the clients that …"'],
	[/\b(some|any)(body|one)\b/i, 'name the process, the client or the user'],
	[/\bnobody\b/i, '"no process", "no reader", "no client"'],
	[/\b(is|are|was|were|be|been) said\b/i, '"is printed", "is reported", or an active verb: "prints …"'],
	[/\b(said|says|say) no\b/i, '"failed", "refused"'],
	[
		/\b(is|are|was|were|be) no (?!longer\b|more\b|less\b|fewer\b|later\b|larger\b|greater\b|earlier\b|one\b|other\b)/i,
		'"is not a …", "there is no …"',
	],
	[/\bno name for\b/i, '"invalid name"'],
	[/\bput out\b/i, '"disconnected"'],
	[/\b(many|two|more|both) hands\b|\bin the hands of\b/i, '"parallel", "workers", "held by"'],
	[/\bto the grave\b/i, '"is released when the process ends"'],
	[/\bfor ever\b/i, '"without a limit", "until it is stopped"'],
	[/\bused wrongly\b/i, '"usage error"'],
	[/\b(goes|go|went) on who\b/i, 'name the process'],
	[/\bkinship\b/i, '"who can use it"'],
];

/** Names and fixed expressions that the rules would take for more, and quoted words: a text may speak about a word. */
const allowed = [
	/\bthere (is|are|was|were|will be|may be|can be|would be) no\b/gi,
	/\b(user|group|user name) `?'?nobody'?`?/gi,
	/"(nobody|so many|somebody|who|the one|those|is no [\w ]+)"/gi,
];

/** The lines of a file that people read, the others empty. */
function proseOf(path, text) {
	if (!/\.(ts|c|h|mjs|cjs)$/.test(path)) return text.split('\n');
	let isInComment = false;
	return text.split('\n').map((line) => {
		const parts = [];
		let rest = line;
		while (rest !== '') {
			if (isInComment) {
				const end = rest.indexOf('*/');
				parts.push(end < 0 ? rest : rest.slice(0, end));
				rest = end < 0 ? '' : rest.slice(end + 2);
				isInComment = end < 0;
				continue;
			}
			// A string with a blank in it is a sentence, or part of one; a single word is a key.
			const found = /\/\/|\/\*|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`?/.exec(rest);
			if (!found) break;
			const [token] = found;
			rest = rest.slice(found.index + token.length);
			if (token === '//') {
				parts.push(rest);
				rest = '';
			} else if (token === '/*') isInComment = true;
			else if (token.includes(' ')) parts.push(token.replace(/\$\{[^}]*\}/g, 'X'));
		}
		return parts.join(' | ');
	});
}

function filesIn(path) {
	if (!statSync(path).isDirectory()) return [path];
	return readdirSync(path)
		.sort()
		.filter((name) => name !== 'node_modules')
		.flatMap((name) => filesIn(join(path, name)));
}

const given = process.argv.slice(2);
const places =
	given.length > 0 ? given : ['README.md', 'CHANGELOG.md', '.github', 'man', 'src'].map((place) => join(root, place));
let found = 0;
for (const path of places.filter((place) => existsSync(place)).flatMap(filesIn)) {
	const lines = proseOf(path, readFileSync(path, 'utf8'));
	for (const [at, line] of lines.entries()) {
		let text = line;
		for (const expression of allowed) text = text.replace(expression, '…');
		// A sentence goes on in the next line; what is found there is reported there.
		for (const [pattern, better] of rules) {
			const match = pattern.exec(text);
			if (!match) continue;
			found++;
			console.error(`${relative(process.cwd(), path)}:${at + 1}: "${match[0].trim()}": better ${better}`);
		}
	}
}
if (found > 0) {
	console.error(
		`${found} ${found === 1 ? 'place' : 'places'} in English that is hard to follow: see .github/CONTRIBUTING.md, "English"`,
	);
	process.exitCode = 1;
}
