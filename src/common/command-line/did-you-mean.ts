import {distance} from 'fastest-levenshtein';
import type {UsageError} from '../errors.js';

/** Completes the message of an error by what may have been meant. */
export function addHint(error: UsageError): void {
	if (!error.meant) return;
	const {word, candidates, of, otherwise = ''} = error.meant;
	const likely = of === 'verbs' ? verbFor(word, candidates) : nearest(word, candidates);
	error.message += likely === undefined ? otherwise : `; did you mean '${likely}'?`;
	error.meant = undefined;
}

/** What other programs call the same. */
const synonyms: Readonly<Record<string, string>> = {
	acquire: 'wait',
	client: 'connect',
	delete: 'remove',
	exec: 'run',
	forward: 'relay',
	get: 'recv',
	incr: 'add',
	info: 'stat',
	kill: 'send',
	lock: 'wait',
	monitor: 'watch',
	new: 'create',
	pop: 'recv',
	proxy: 'relay',
	publish: 'send',
	push: 'send',
	put: 'send',
	read: 'recv',
	receive: 'recv',
	server: 'listen',
	show: 'stat',
	subscribe: 'recv',
	trap: 'on',
	unlink: 'remove',
	unlock: 'post',
	write: 'send',
};

/** A slip must not lead to the loss of anything. A user who typed a synonym wants what it does. */
const destroys: ReadonlySet<string> = new Set(['gc', 'purge', 'reap', 'remove', 'rm']);

function verbFor(word: string, verbs: readonly string[]): string | undefined {
	const synonym = Object.hasOwn(synonyms, word) ? synonyms[word] : undefined;
	if (synonym !== undefined && verbs.includes(synonym)) return synonym;
	return nearest(
		word,
		verbs.filter((verb) => !destroys.has(verb)),
	);
}

/** A word that is wrong in more than a third of its letters is another word, and no slip. */
const mostWrong = 1 / 3;

function nearest(word: string, candidates: readonly string[]): string | undefined {
	const [found] = candidates
		.map((candidate) => ({candidate, steps: stepsBetween(word.toLowerCase(), candidate.toLowerCase())}))
		.filter(({steps}) => steps <= word.length * mostWrong)
		.sort((a, b) => a.steps - b.steps || a.candidate.length - b.candidate.length);
	return found?.candidate;
}

/** The same letters in another order are one slip of the hand, not two. An abbreviation is nearer than any slip. */
function stepsBetween(word: string, candidate: string): number {
	if (word !== '' && candidate.startsWith(word)) return 0;
	const letters = (text: string) => [...text].sort().join('');
	return letters(word) === letters(candidate) ? Math.min(1, distance(word, candidate)) : distance(word, candidate);
}
