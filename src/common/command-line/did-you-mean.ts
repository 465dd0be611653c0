import {distance} from 'fastest-levenshtein';
import type {UsageError} from '../errors.js';

/** Completes the message of an error by what may have been meant. */
export function addHint(error: UsageError): void {
	if (!error.meant) return;
	const {word, candidates, synonym, otherwise = ''} = error.meant;
	const likely = synonym ?? nearest(word, candidates);
	error.message += likely === undefined ? otherwise : `; did you mean '${likely}'?`;
	error.meant = undefined;
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
