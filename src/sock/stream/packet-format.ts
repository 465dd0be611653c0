import {countOf} from '../../common/errors.js';
import {encodeRecord, type Framing, jsonRecord, separatorOf} from '../../common/framing/framing.js';
import type {Packet} from '../../objects/socket/packet-reader.js';
import {describePeer} from '../../objects/socket/peer.js';
import {LimitedNotices} from '../limited-notices.js';

/** What a record and its sender look like on stdout. @throws FramingError when the framing cannot carry the record */
export function formatPacket(framing: Framing, {data, sender}: Packet): Buffer {
	if (framing !== 'json') return encodeRecord(framing, data);
	return Buffer.from(`${JSON.stringify({...jsonRecord(data), ...sender})}\n`);
}

/**
 * The same for packets as they come from a socket, where any sender may put the byte into one that ends a record on stdout.
 * No record is lost by that: such a packet is printed as several records, with a message.
 */
export class PacketFormat {
	private readonly separator: number | undefined;
	private readonly notices = new LimitedNotices();

	constructor(private readonly framing: Framing) {
		this.separator = framing === 'json' ? undefined : separatorOf(framing);
	}

	format(packet: Packet): Buffer {
		const separator = this.separator;
		const {data, sender} = packet;
		if (separator === undefined || !data.includes(separator)) return formatPacket(this.framing, packet);
		const bytes = data.at(-1) === separator ? Buffer.from(data) : Buffer.concat([data, Buffer.of(separator)]);
		this.notices.tell(() => {
			const from = sender ? ` from ${describePeer(sender)}` : '';
			const [byte, unit] = separator === 0 ? ['NUL', 'record'] : ['newline', 'line'];
			const count = countOf(countByte(bytes, separator), unit);
			return `a packet${from} holds a ${byte} and was printed as ${count} (--json and --framing length keep it whole)`;
		});
		return bytes;
	}

	/** At the end: how many were printed so without a message. */
	finish(): void {
		this.notices.finish();
	}
}

function countByte(bytes: Buffer, byte: number): number {
	let count = 0;
	for (let at = bytes.indexOf(byte); at >= 0; at = bytes.indexOf(byte, at + 1)) count++;
	return count;
}
