import {randomBytes} from 'node:crypto';
import {countOf, SystemError} from '../../common/errors.js';
import {formatSize} from '../../common/formats/size.js';
import type {Message} from './queue.js';

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
			`a queue whose messages have ${msgsize} bytes has no room for parts of records: it needs more than ${headerBytes}`,
			{reason: 'no-room-for-parts'},
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

/** What a Joiner keeps of records that are not whole; beyond that it gives up the one that has got no part for longest. */
export interface JoinLimits {
	records: number;
	/** Of their parts, headers and what it takes to keep them included. */
	bytes: number;
}

const joinLimits: JoinLimits = {records: 1024, bytes: 256 * 1024 ** 2};
/** What a part takes beside its bytes: many may have next to none. */
const bytesPerPart = 256;

interface OpenRecord {
	parts: Map<number, Message>;
	bytes: number;
}

/** Joins the parts that `split` made. */
export class Joiner {
	/** Those that are not whole, the one first that has got no part for longest. */
	private readonly open = new Map<string, OpenRecord>();
	private bytes = 0;
	/** Records that were given up, the oldest first: what still comes of them is of no use. */
	private readonly abandoned = new Set<string>();
	/** Of all records that were given up. */
	readonly dropped = {records: 0, parts: 0, bytes: 0};

	constructor(private readonly limits: JoinLimits = joinLimits) {}

	/** Which parts of incomplete records are missing, in words. */
	describeMissing(): string {
		return [...this.open.values()]
			.map(({parts}) => {
				const count = [...parts.values()][0]?.data.readUInt32BE(12) ?? 0;
				return `${parts.size} of ${countOf(count, 'part')} of a record arrived`;
			})
			.join(', ');
	}

	/** What was given up so far, in words. */
	describeDropped(): string {
		const {records, parts, bytes} = this.dropped;
		const {records: most, bytes: mostBytes} = this.limits;
		return `threw away ${countOf(parts, 'part')} (${formatSize(bytes)}) of ${countOf(records, 'record')} whose rest did not come: at most ${most} records and ${formatSize(mostBytes)} are kept until they are whole`;
	}

	/** The messages of incomplete records. */
	get pending(): Message[] {
		return [...this.open.values()].flatMap(({parts}) =>
			[...parts.entries()].sort(([a], [b]) => a - b).map(([, part]) => part),
		);
	}

	/** The record that this part completes, if it does. */
	add(part: Message): Joined | undefined {
		const {data, priority} = part;
		if (data.length < headerBytes)
			throw new SystemError(`a message of ${data.length} bytes is not a part of a record`, {reason: 'not-a-part'});
		const key = data.toString('hex', 0, 8);
		const [place, count] = [data.readUInt32BE(8), data.readUInt32BE(12)];
		if (count === 0 || place >= count)
			throw new SystemError('a message is not a part of a record', {reason: 'not-a-part'});
		if (this.abandoned.has(key)) {
			this.countDropped(1, data.length);
			return undefined;
		}
		// In any order: what had to be put back lies behind what came later.
		const record = this.open.get(key) ?? {parts: new Map<number, Message>(), bytes: 0};
		const twin = record.parts.get(place);
		// One that a killed receiver has put back may have come before.
		if (twin?.data.equals(data)) return undefined;
		if (twin) throw new SystemError('the parts of a record do not fit together: one place came twice');
		record.parts.set(place, part);
		record.bytes += data.length + bytesPerPart;
		this.bytes += data.length + bytesPerPart;
		// The youngest goes behind the others.
		this.open.delete(key);
		this.open.set(key, record);
		if (record.parts.size < count) {
			this.keepLimits();
			return undefined;
		}
		const inOrder = Array.from({length: count}, (_, i) => record.parts.get(i));
		// Parts that claim different counts belong to nothing that could ever be whole.
		if (!inOrder.every((one) => one !== undefined)) throw new SystemError(`the parts of a record do not fit together`);
		this.close(key, record);
		return {
			record: Buffer.concat(inOrder.map(({data: bytes}) => bytes.subarray(headerBytes))),
			priority,
			parts: inOrder,
		};
	}

	private keepLimits(): void {
		for (const [key, record] of this.open) {
			if (this.open.size <= this.limits.records && this.bytes <= this.limits.bytes) return;
			this.close(key, record);
			this.abandoned.add(key);
			this.dropped.records++;
			const {parts} = record;
			this.countDropped(parts.size, record.bytes - parts.size * bytesPerPart);
			for (const oldest of this.abandoned) {
				if (this.abandoned.size <= this.limits.records) break;
				this.abandoned.delete(oldest);
			}
		}
	}

	private close(key: string, {bytes}: OpenRecord): void {
		this.open.delete(key);
		this.bytes -= bytes;
	}

	private countDropped(parts: number, bytes: number): void {
		this.dropped.parts += parts;
		this.dropped.bytes += bytes;
	}
}
