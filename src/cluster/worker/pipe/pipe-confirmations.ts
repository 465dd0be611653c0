import {streamOf} from '../../pipe/format.js';
import {requestTimeoutMs, sleep} from '../connection.js';
import {Refused, refusalOf} from '../errors.js';
import {type Arrived, keyOf, type Receipt, readArrived} from './pipe-order.js';
import type {PipeStream} from './pipe-stream.js';

const retryMs = 250;

/** What confirming needs of a receiver. */
interface Receiver {
	/** Grows with each consumer that it makes. */
	readonly generation: number;
	readonly signal: AbortSignal;
	readonly inHand: Map<string, Arrived>;
	/** Called when a new consumer is made. */
	readonly onRestart: Set<() => void>;
	fail(error: unknown): void;
}

/** The confirmations of one receiver that are under way. */
export class PipeConfirmations {
	private readonly confirming = new Map<Arrived, Promise<void>>();

	constructor(
		private readonly stream: PipeStream,
		private readonly receiver: Receiver,
	) {}

	includes(arrived: Arrived): boolean {
		return this.confirming.has(arrived);
	}

	get areUnderWay(): boolean {
		return this.confirming.size > 0;
	}

	/** Waits until the server has heard all. */
	async done(): Promise<void> {
		await Promise.all(this.confirming.values());
	}

	/** These have been written: the server deletes them. Nothing waits for that but the end. */
	add(written: Iterable<Arrived>): void {
		for (const arrived of written) {
			if (this.confirming.has(arrived)) continue;
			const confirmed = this.confirmOne(arrived).catch((error) => this.receiver.fail(error));
			this.confirming.set(arrived, confirmed);
			void confirmed.then(() => this.confirming.delete(arrived));
		}
	}

	private async confirmOne(arrived: Arrived): Promise<void> {
		for (;;) {
			try {
				await this.confirmAt(arrived.receipt, arrived);
				for (let copy = arrived.copies[0]; copy; copy = arrived.copies[0]) {
					if (copy.sequence !== arrived.receipt.sequence) await this.confirmAt(copy, arrived);
					arrived.copies.shift();
				}
				this.receiver.inHand.delete(keyOf(arrived));
				return;
			} catch (error) {
				const reason = refusalOf(error)?.reason;
				if (reason !== 'timeout' && reason !== 'no-jetstream') throw error;
				if (this.receiver.signal.aborted) throw error;
				await sleep(retryMs, this.receiver.signal);
			}
		}
	}

	private async confirmAt(receipt: Receipt, arrived: Arrived): Promise<void> {
		const {sequence, subject, generation} = receipt;
		const isCurrent = generation === this.receiver.generation;
		// A server that has lost a message gives its number to another one.
		if (!(isCurrent && receipt === arrived.receipt) && !(await this.isStillAt(receipt, arrived))) return;
		// The consumer may have gone since: then the message itself is deleted.
		if (isCurrent) await this.acknowledge(subject);
		else await this.deleteMessage(sequence);
	}

	private async isStillAt(receipt: Receipt, arrived: Arrived): Promise<boolean> {
		const {streams} = await this.stream.connection.streams();
		try {
			const found = await streams.getMessage(streamOf(this.stream.name), {seq: receipt.sequence});
			return found !== null && keyOf(readArrived(receipt, found.header, found.data)) === keyOf(arrived);
		} catch (error) {
			if (refusalOf(error)?.reason === 'no-message') return false;
			throw error;
		}
	}

	private async acknowledge(subject: string): Promise<void> {
		const client = await this.stream.connection.client();
		let forget = (): void => {};
		const lost = new Promise<never>((_, reject) => {
			forget = () => reject(new Refused({reason: 'timeout', text: 'the consumer has been made anew'}));
			this.receiver.onRestart.add(forget);
		});
		const answer = client.request(subject, '+ACK', {timeout: requestTimeoutMs});
		// The one that is not waited for any more may still fail.
		answer.catch(() => undefined);
		lost.catch(() => undefined);
		try {
			await Promise.race([answer, lost]);
		} finally {
			this.receiver.onRestart.delete(forget);
		}
	}

	private async deleteMessage(sequence: number): Promise<void> {
		const {streams} = await this.stream.connection.streams();
		try {
			await streams.deleteMessage(streamOf(this.stream.name), sequence, false);
		} catch (error) {
			if (refusalOf(error)?.reason !== 'no-message') throw error;
		}
	}
}
