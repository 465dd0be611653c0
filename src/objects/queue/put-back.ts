import {countOf, quoted, SystemError} from '../../common/errors.js';
import {tellError} from '../../common/output.js';
import {isKernelError} from '../../native/index.js';
import type {Message, Queue} from './queue.js';
import {type KeptMessage, RescuedMessages} from './rescued-messages.js';

/** How long a full queue may keep us from putting messages back. */
export const putBackTimeoutMs = 2000;

/**
 * Messages that were taken and not delivered go back, with their priorities, and true is answered. Those that find no
 * room in time, or that we may not send, are kept in files, and what became of them is reported.
 */
export function putBack(queue: Queue, messages: readonly Message[]): boolean {
	if (messages.length === 0) return true;
	if (queue.receipts) {
		queue.receipts.giveBack(receiptsOf(messages));
		return true;
	}
	if (reportRemoved(queue, messages.length)) return false;
	const rest: Message[] = [];
	let why = full;
	for (const message of messages) {
		try {
			const timeoutMs = rest.length > 0 ? 0 : putBackTimeoutMs;
			if (!queue.send(message.data, {priority: message.priority, timeoutMs})) rest.push(message);
		} catch (error) {
			why = reasonNotSent(error);
			rest.push(message);
		}
	}
	reportKept(queue, messages.length, why, rest);
	return rest.length === 0;
}

export const full = 'the queue is full';

/** Why a message could not be sent. A signal that ends the wait for room leaves the queue full. */
export function reasonNotSent(error: unknown): string {
	if (!(error instanceof SystemError) && !isKernelError(error)) throw error;
	return error instanceof SystemError ? error.message : full;
}

/** What is put into a queue that has been removed is gone with it. */
export function reportRemoved(queue: Queue, count: number): boolean {
	if (!queue.isRemoved) return false;
	tellError(`${countOf(count, 'message')} not delivered could not be put back: the queue has been removed`);
	return true;
}

/** Leaves messages in files for the next receiver, those too that lie in one already, and says so; or that they are lost. */
export function reportKept(
	queue: Queue,
	all: number,
	why: string,
	rest: readonly (Message & {kept?: KeptMessage | undefined})[],
): void {
	let [kept, lost, whyLost] = [0, 0, ''];
	for (const message of rest) {
		try {
			(message.kept ?? RescuedMessages.keep(queue.shownName, message)).release();
			kept++;
		} catch (error) {
			if (!(error instanceof SystemError)) throw error;
			lost++;
			whyLost = error.message;
		}
	}
	const notBack = (count: number) =>
		`${count} of ${countOf(all, 'message')} not delivered could not be put back: ${why}`;
	if (kept > 0) {
		const [where, what] = kept === 1 ? ['a file', 'it'] : ['files', 'them'];
		tellError(`${notBack(kept)}; kept in ${where}: the next recv of ${quoted(queue.shownName)} takes ${what} first`);
	}
	if (lost > 0) tellError(`${notBack(lost)}, and ${lost === 1 ? 'it is' : 'they are'} lost: ${whyLost}`);
}

/** What confirms these messages or gives them back, where their queue wants that. */
export const receiptsOf = (messages: readonly Message[]): string[] =>
	messages.map(({receipt}) => receipt).filter((receipt) => receipt !== undefined);
