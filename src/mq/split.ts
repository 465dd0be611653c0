import {randomBytes} from 'node:crypto';
import {SystemError} from '../common/errors.js';
import type {Message} from './message-queue.js';

/**
 * Records longer than a message. Each part begins with 16 bytes: a number drawn at random for the record (8), the part's
 * place (4) and how many parts there are (4), both big-endian. The parts of one record have one priority, so the
 * queue keeps their order, and those of other senders may come between.
 */
export const headerBytes = 16;

/** The messages that a record is sent as; every record has at least one. */
export function* split(record: Buffer, msgsize: number): Generator<Buffer> {
	const room = msgsize - headerBytes;
	if (room < 1)
		throw new SystemError(
			`a queue whose messages have ${msgsize} bytes has no room for --split: it needs more than ${headerBytes}`,
		);
	const count = Math.max(1, Math.ceil(record.length / room));
	const identity = randomBytes(8);
	for (let i = 0; i < count; i++) {
		const numbers = Buffer.alloc(8);
		numbers.writeUInt32BE(i);
		numbers.writeUInt32BE(count, 4);
		yield Buffer.concat([identity, numbers, record.subarray(i * room, (i + 1) * room)]);
	}
}

/** A record that is whole again, and the messages it came in. */
export interface Joined {
	record: Buffer;
	priority: number;
	parts: Message[];
}

/** Puts the parts together that `split` made. */
export class Joiner {
	private readonly open = new Map<string, Message[]>();

	/** The messages of records that are not whole yet. */
	get pending(): Message[] {
		return [...this.open.values()].flat();
	}

	/** The record that this part completes, if it does. */
	add(part: Message): Joined | undefined {
		const {data, priority} = part;
		if (data.length < headerBytes)
			throw new SystemError(`a message of ${data.length} bytes is no part of a record (send it with --split)`);
		const key = data.toString('hex', 0, 8);
		const [place, count] = [data.readUInt32BE(8), data.readUInt32BE(12)];
		const parts = this.open.get(key) ?? [];
		if (count === 0 || place >= count) throw new SystemError('a message is no part of a record (send it with --split)');
		if (place !== parts.length)
			throw new SystemError(
				`part ${parts.length + 1} of ${count} of a record is missing: part ${place + 1} came instead`,
			);
		parts.push(part);
		if (parts.length < count) {
			this.open.set(key, parts);
			return undefined;
		}
		this.open.delete(key);
		return {record: Buffer.concat(parts.map(({data: bytes}) => bytes.subarray(headerBytes))), priority, parts};
	}
}
