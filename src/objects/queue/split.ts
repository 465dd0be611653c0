import {randomBytes} from 'node:crypto';
import {countOf, SystemError} from '../../common/errors.js';
import type {Message} from './message-queue.js';

/**
 * Records longer than a message. Each part begins with 16 bytes: a random number for the record (8), the part's place
 * (4) and the number of parts (4), both big-endian. The parts of one record have one priority, so the queue keeps their
 * order; parts of other senders may lie between them.
 */
export const headerBytes = 16;

/** The messages in which a record is sent; every record has at least one. */
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

/** A record that is whole again, and the messages in which it arrived. */
export interface Joined {
	record: Buffer;
	priority: number;
	parts: Message[];
}

/** Joins the parts that `split` made. */
export class Joiner {
	private readonly open = new Map<string, Map<number, Message>>();

	/** Which parts of incomplete records are missing, in words. */
	describeMissing(): string {
		return [...this.open.values()]
			.map((parts) => {
				const count = [...parts.values()][0]?.data.readUInt32BE(12) ?? 0;
				return `${parts.size} of ${countOf(count, 'part')} of a record arrived`;
			})
			.join(', ');
	}

	/** The messages of incomplete records. */
	get pending(): Message[] {
		return [...this.open.values()].flatMap((parts) =>
			[...parts.entries()].sort(([a], [b]) => a - b).map(([, part]) => part),
		);
	}

	/** The record that this part completes, if it does. */
	add(part: Message): Joined | undefined {
		const {data, priority} = part;
		if (data.length < headerBytes)
			throw new SystemError(`a message of ${data.length} bytes is not a part of a record (send it with --split)`);
		const key = data.toString('hex', 0, 8);
		const [place, count] = [data.readUInt32BE(8), data.readUInt32BE(12)];
		if (count === 0 || place >= count)
			throw new SystemError('a message is not a part of a record (send it with --split)');
		// In any order: a part that was returned to the queue lies behind later parts.
		const parts = this.open.get(key) ?? new Map<number, Message>();
		this.open.set(key, parts.set(place, part));
		if (parts.size < count) return undefined;
		const inOrder = Array.from({length: count}, (_, i) => parts.get(i));
		// Parts with different counts belong to no record that could ever be whole.
		if (!inOrder.every((one) => one !== undefined)) throw new SystemError(`the parts of a record do not fit together`);
		this.open.delete(key);
		return {
			record: Buffer.concat(inOrder.map(({data: bytes}) => bytes.subarray(headerBytes))),
			priority,
			parts: inOrder,
		};
	}
}
