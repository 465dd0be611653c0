import {nuid} from '@nats-io/transport-node';
import {type SendBatch, type Sent, streamOf, subjectOf} from '../queue/format.js';
import {type Connection, requestTimeoutMs, sleep} from './connection.js';
import {refusalOf} from './errors.js';

/** Maximum number of messages under way at once. */
const windowLength = 512;
const shortestPauseMs = 2;
const longestPauseMs = 50;

/** Sends messages to one queue, in order. */
export class QueuePublisher {
	private readonly id = nuid.next();
	private lastNumber = 0;

	constructor(
		private readonly connection: Connection,
		private readonly name: string,
	) {}

	/** Until all are stored, or there was no room, or no answer, for `timeoutMs` (negative: without limit). */
	async send({bytes, ends, priority}: SendBatch, timeoutMs: number): Promise<Sent> {
		const subject = subjectOf(this.name, priority);
		let waiting = Array.from(ends, (end, i) => ({
			data: bytes.subarray(i === 0 ? 0 : ends[i - 1], end),
			id: `${this.id}-${++this.lastNumber}`,
		}));
		let sent = 0;
		let lastProgress = performance.now();
		let pauseMs = shortestPauseMs;
		while (waiting.length > 0) {
			const window = waiting.slice(0, waiting.length > 1 ? await this.windowFor(waiting.length, timeoutMs) : 1);
			const outcomes = await Promise.all(window.map(({data, id}) => this.publish(subject, data, id)));
			const rest = window.filter((_, i) => outcomes[i] !== 'stored');
			const stored = window.length - rest.length;
			sent += stored;
			waiting = [...rest, ...waiting.slice(window.length)];
			if (rest.length === 0) {
				lastProgress = performance.now();
				pauseMs = shortestPauseMs;
				continue;
			}
			const hasTime = timeoutMs < 0 || performance.now() - lastProgress < timeoutMs;
			if (!hasTime || this.connection.closing.signal.aborted) {
				const unknown = outcomes.filter((outcome) => outcome === 'lost').length;
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
		const streams = await this.connection.streams();
		const {config, state} = await this.connection.retry(() => streams.streams.info(streamOf(this.name)), timeoutMs);
		const room = config.max_msgs > 0 ? config.max_msgs - state.messages : windowLength;
		return Math.max(1, Math.min(windowLength, wanted, room));
	}

	private async publish(subject: string, data: Uint8Array, msgID: string): Promise<'stored' | 'full' | 'lost'> {
		try {
			const jetStream = await this.connection.jetStream();
			await jetStream.publish(subject, data, {msgID, timeout: requestTimeoutMs});
			return 'stored';
		} catch (error) {
			const reason = refusalOf(error)?.reason;
			if (reason === 'full') return 'full';
			if (reason === 'timeout') return 'lost';
			throw error;
		}
	}
}
