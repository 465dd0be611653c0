import {distance} from 'fastest-levenshtein';
import type {UsageError} from '../errors.js';

/** Completes the message of an error by what may have been meant. */
export function addHint(error: UsageError): void {
	if (!error.meant) return;
	const {word, candidates, otherwise = ''} = error.meant;
	error.message += didYouMean(word, candidates) || otherwise;
	error.meant = undefined;
}

/** `; did you mean 'recv'?`, or nothing where no candidate is near. */
function didYouMean(word: string, candidates: readonly string[]): string {
	const [nearest] = candidates
		.map((candidate) => ({candidate, steps: stepsBetween(word.toLowerCase(), candidate.toLowerCase())}))
		.filter(
			({candidate, steps}) => steps <= Math.max(1, Math.floor(candidate.length / 2)) || candidate.startsWith(word),
		)
		.sort((a, b) => a.steps - b.steps || a.candidate.length - b.candidate.length);
	return nearest ? `; did you mean '${nearest.candidate}'?` : '';
}

/** The same letters in another order are one slip of the hand, not two. An abbreviation is nearer than any slip. */
function stepsBetween(word: string, candidate: string): number {
	if (word !== '' && candidate.startsWith(word)) return 0;
	const letters = (text: string) => [...text].sort().join('');
	return letters(word) === letters(candidate) ? Math.min(1, distance(word, candidate)) : distance(word, candidate);
}
