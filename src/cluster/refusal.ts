import {SystemError} from '../common/errors.js';
import type {RefusalData} from './protocol.js';

/** The cluster refused, or did not answer. The caller adds what was tried. */
export class Refusal extends Error {
	readonly reason: string;

	constructor({reason, text}: RefusalData) {
		super(text);
		this.reason = reason;
	}
}

/** `cannot open 'nats://host/jobs': no such queue`; what is not a refusal is returned unchanged. */
export function explainRefusal(
	tried: string,
	error: unknown,
	meanings: Readonly<Record<string, string | {text: string; reason: string; subject?: string}>> = {},
): unknown {
	if (!(error instanceof Refusal)) return error;
	const meaning = meanings[error.reason] ?? error.message;
	const {text, ...details} = typeof meaning === 'string' ? {text: meaning} : meaning;
	return new SystemError(`${tried}: ${text}`, {...details, cause: error});
}

/** Calls, and explains a refusal. */
export function attemptOnCluster<Result>(
	tried: string,
	call: () => Result,
	meanings?: Parameters<typeof explainRefusal>[2],
): Result {
	try {
		return call();
	} catch (error) {
		throw explainRefusal(tried, error, meanings);
	}
}
