import {closeSync} from 'node:fs';
import {MSG_PEEK, MSG_TRUNC, native} from '../../native/index.js';
import type {LocalSocket, PeerCredentials} from './local-socket.js';

export interface Packet {
	/** A view: use it before the next packet is looked at. */
	data: Buffer;
	/** The sender, if the kernel tells. unix(7), SCM_CREDENTIALS */
	sender: PeerCredentials | undefined;
	/** The address for an answer: a struct sockaddr. */
	address: Uint8Array | undefined;
}

/** After this many discarded packets the caller continues: a timeout or a signal must not wait for a flood to end. */
const mostRefused = 64;

/** Datagrams and packets of any size: looked at first, and received once they have been delivered. recv(2), MSG_PEEK */
export class PacketReader {
	private buffer = Buffer.allocUnsafe(256 * 1024);

	/** A packet whose sender is not admitted is taken and thrown away, with the descriptors that came with it. */
	constructor(
		private readonly socket: LocalSocket,
		private readonly admits: (sender: PeerCredentials | undefined) => boolean = () => true,
	) {}

	/** Undefined when there is none now, or after many that were not admitted; 'end' when there will be no more. */
	look(): Packet | 'end' | undefined {
		for (let refused = 0; refused < mostRefused; ) {
			const {count, descriptors, credentials, address} = native.recvmsg(
				this.socket.descriptor,
				this.buffer,
				0,
				this.buffer.length,
				MSG_PEEK | MSG_TRUNC,
			);
			for (const descriptor of descriptors) closeSync(descriptor);
			if (count < 0) return undefined;
			if (count > this.buffer.length) {
				this.buffer = Buffer.allocUnsafe(count);
				continue;
			}
			// An empty packet carries its sender; the end does not.
			if (count === 0 && this.socket.type === 'seqpacket' && !credentials) return 'end';
			const sender = senderOf(credentials);
			const packet = {data: this.buffer.subarray(0, count), sender, address: hasName(address) ? address : undefined};
			if (this.admits(sender)) return packet;
			this.take(packet);
			refused++;
		}
		return undefined;
	}

	/** Receives the packet that was looked at. */
	take({data}: Packet): void {
		const {descriptors} = native.recvmsg(this.socket.descriptor, data, 0, data.length, 0);
		for (const descriptor of descriptors) closeSync(descriptor);
	}
}

/** A socket that was never bound has an address of two bytes: its family. */
const hasName = (address: Uint8Array | undefined): boolean => address !== undefined && address.length > 2;

/** What came beside a message, [pid, uid, gid]. unix(7), SCM_CREDENTIALS */
export function senderOf(credentials: readonly number[] | undefined): PeerCredentials | undefined {
	const [pid, uid, gid] = credentials ?? [];
	return pid === undefined || uid === undefined || gid === undefined ? undefined : {pid, uid, gid};
}
