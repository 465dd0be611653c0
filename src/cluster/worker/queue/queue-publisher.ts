import {createInbox, headers, type Msg, type MsgHdrs, nuid} from '@nats-io/transport-node';
import type {RefusalData} from '../../protocol.js';
import {isSubjectOf, messageId, type SendBatch, type Sent, streamOf, subjectOf} from '../../queue/format.js';
import {type Connection, requestTimeoutMs, sleep} from '../connection.js';
import {refusalOf, refuse} from '../errors.js';

/** Maximum number of messages under way at once. */
const windowLength = 1024;
const shortestPauseMs = 2;
const longestPauseMs = 50;
/** How long the room that the server has reported counts, less what was sent since. */
const roomIsKnownMs = 100;
const maximumMessages = 10_077;

/** `staged`: a leader that has lost its place had the id and has not stored the message. */
type Outcome = 'stored' | 'full' | 'lost' | 'staged';

interface Waiting {
	data: Uint8Array;
	number: number;
	renamed: number;
}

interface Answer {
	seq?: number;
	duplicate?: boolean;
	error?: {err_code?: number; description?: string};
}

/**
 * Sends messages to one queue, in order. Published by hand: the client's own way has a timer and a subject for each message, which takes
 * twice as long.
 */
export class QueuePublisher {
	private readonly id = nuid.next();
	private lastNumber = 0;
	private readonly inbox = createInbox();
	private isListening = false;
	private readonly expected = new Map<string, (outcome: Outcome) => void>();
	private room = 0;
	private roomKnownAt = Number.NEGATIVE_INFINITY;
	private refusal: RefusalData | undefined;

	constructor(
		private readonly connection: Connection,
		private readonly name: string,
	) {
		connection.onReconnect.add(() => {
			// Their answers have got lost.
			for (const [, settle] of this.expected) settle('lost');
		});
		connection.onDenied.add((error) => {
			if (error.operation !== 'publish' || !isSubjectOf(name, error.subject)) return;
			this.refusal ??= refusalOf(error);
			for (const [, settle] of this.expected) settle('full');
		});
	}

	/** Until all are stored, or there was no room, or no answer, for `timeoutMs` (negative: without limit). */
	async send({bytes, ends, priority}: SendBatch, timeoutMs: number): Promise<Sent> {
		const subject = subjectOf(this.name, priority);
		let waiting = Array.from(ends, (end, i) => ({
			data: bytes.subarray(i === 0 ? 0 : ends[i - 1], end),
			number: ++this.lastNumber,
			/** How often it needed another id. */
			renamed: 0,
		}));
		let sent = 0;
		let lastProgress = performance.now();
		let pauseMs = shortestPauseMs;
		// Whether the queue is still there is asked after an answer was lost.
		let hasLost = false;
		while (waiting.length > 0) {
			const window = waiting.slice(
				0,
				waiting.length > 1 || hasLost ? await this.windowFor(waiting.length, timeoutMs) : 1,
			);
			const outcomes = await this.publish(subject, window);
			const rest = window.filter((_, i) => outcomes[i] !== 'stored');
			sent += window.length - rest.length;
			this.room -= window.length;
			for (const [i, outcome] of outcomes.entries()) if (outcome === 'staged') (window[i] as Waiting).renamed++;
			hasLost = outcomes.some((outcome) => outcome === 'lost' || outcome === 'staged');
			waiting = [...rest, ...waiting.slice(window.length)];
			if (this.refusal) refuse(this.refusal.reason, this.refusal.text);
			if (rest.length === 0) {
				lastProgress = performance.now();
				pauseMs = shortestPauseMs;
				continue;
			}
			this.roomKnownAt = Number.NEGATIVE_INFINITY;
			const hasTime = timeoutMs < 0 || performance.now() - lastProgress < timeoutMs;
			if (!hasTime || this.connection.closing.signal.aborted) {
				const unknown = outcomes.filter((outcome) => outcome === 'lost' || outcome === 'staged').length;
				return {sent, unknown, problem: unknown > 0 ? 'lost' : 'full'};
			}
			await sleep(pauseMs, this.connection.closing.signal);
			pauseMs = Math.min(2 * pauseMs, longestPauseMs);
		}
		return {sent, unknown: 0, problem: ''};
	}

	/**
	 * How many can be sent at once: as there is room, since a message that finds none while the next one does would come behind it.
	 * One where the queue is full: the answer to it says whether it still is.
	 */
	private async windowFor(wanted: number, timeoutMs: number): Promise<number> {
		if (performance.now() - this.roomKnownAt > roomIsKnownMs || this.room < windowLength) {
			const {streams} = await this.connection.streams();
			const {config, state} = await this.connection.retry(() => streams.info(streamOf(this.name)), timeoutMs);
			this.room = config.max_msgs > 0 ? config.max_msgs - state.messages : Number.POSITIVE_INFINITY;
			this.roomKnownAt = performance.now();
		}
		return Math.max(1, Math.min(windowLength, wanted, this.room));
	}

	private async publish(subject: string, window: readonly Waiting[]): Promise<Outcome[]> {
		const client = await this.connection.client();
		if (!this.isListening) client.subscribe(`${this.inbox}.*`, {callback: (_, message) => this.take(message)});
		this.isListening = true;
		if (!this.connection.isConnected) await sleep(longestPauseMs, this.connection.closing.signal);
		const timer = setTimeout(() => {
			for (const [, settle] of this.expected) settle('lost');
		}, requestTimeoutMs);
		const outcomes = window.map(
			({data, number, renamed}) =>
				new Promise<Outcome>((resolve) => {
					const key = String(number);
					this.expected.set(key, (outcome) => {
						this.expected.delete(key);
						resolve(outcome);
					});
					const id = messageId(`${this.id}-${key}`, renamed);
					client.publish(subject, data, {headers: idHeaders(id), reply: `${this.inbox}.${key}`});
				}),
		);
		try {
			return await Promise.all(outcomes);
		} finally {
			clearTimeout(timer);
		}
	}

	private take(message: Msg): void {
		const settle = this.expected.get(message.subject.slice(this.inbox.length + 1));
		if (!settle) return;
		// No server has the stream now: its leader is being chosen.
		if (message.headers?.code === 503) settle('lost');
		else {
			const {error, seq = 0, duplicate = false} = message.json<Answer>();
			if (!error) settle(duplicate && seq === 0 ? 'staged' : 'stored');
			else if (error.err_code === maximumMessages) settle('full');
			else {
				this.refusal ??= {reason: 'other', text: error.description ?? 'the server refused the message'};
				settle('full');
			}
		}
	}
}

function idHeaders(id: string): MsgHdrs {
	const found = headers();
	found.set('Nats-Msg-Id', id);
	return found;
}
