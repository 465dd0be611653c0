import {serverRefuses} from './call-runner.js';
import {
	type CallError,
	formatResponse,
	invalidRequest,
	type Refused,
	type Request,
	readRequests,
	withData,
} from './json-rpc.js';

/** Maximum number of calls in one message. */
const mostInBatch = 10_000;
/** What a call takes beside its parameters. */
const callBytes = 512;

const tooLong: CallError = {code: serverRefuses, message: 'The answers to the batch are too long in total'};

/** What a call holds in memory until it is done. */
export const heldBy = ({method, params}: Request): number => callBytes + method.length + (params?.length ?? 0);

export interface MessageSettings {
	/** Maximum length of all answers to a batch. */
	mostBytes: number;
	/** Executes a call; `undefined` is the answer to a notification. */
	perform(call: Request | Refused, respond: (response: string | undefined) => void): void;
	/** Sends the answer to the message; undefined where it had none. */
	answer(text: string | undefined): void;
	/** Adds to the bytes that are held in memory, or takes away from them. */
	hold(bytes: number): void;
}

/** Executes the calls of one message, a single call or a batch, and answers once all are done. */
export function executeMessage(bytes: Buffer, {mostBytes, perform, answer, hold}: MessageSettings): void {
	const {isBatch, calls} = readRequests(bytes);
	if (!isBatch) {
		perform(calls[0], answer);
		return;
	}
	if (calls.length > mostInBatch) {
		const error = withData(invalidRequest, `a batch of ${calls.length} calls, more than ${mostInBatch}`);
		answer(formatResponse('null', {error}));
		return;
	}
	let left = calls.length;
	let length = 0;
	const responses: (string | undefined)[] = [];
	for (const [i, call] of calls.entries())
		perform(call, (response) => {
			length += response?.length ?? 0;
			hold(response?.length ?? 0);
			const isTooLong = length > mostBytes && response !== undefined;
			responses[i] = isTooLong ? formatResponse(call.id ?? 'null', {error: tooLong}) : response;
			if (--left > 0) return;
			hold(-length);
			const given = responses.filter((text) => text !== undefined);
			answer(given.length > 0 ? `[${given.join(',')}]` : undefined);
		});
}
