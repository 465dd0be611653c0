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

/** Datagrams and packets of any size: looked at first, and received once they have been delivered. recv(2), MSG_PEEK */
export class PacketReader {
	private buffer = Buffer.allocUnsafe(256 * 1024);

	constructor(private readonly socket: LocalSocket) {}

	/** Undefined when there is none now; 'end' when there will be no more. */
	look(): Packet | 'end' | undefined {
		for (;;) {
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
			const [pid, uid, gid] = credentials ?? [];
			const sender = pid === undefined || uid === undefined || gid === undefined ? undefined : {pid, uid, gid};
			return {data: this.buffer.subarray(0, count), sender, address: hasName(address) ? address : undefined};
		}
	}

	/** Receives the packet that was looked at. */
	take({data}: Packet): void {
		const {descriptors} = native.recvmsg(this.socket.descriptor, data, 0, data.length, 0);
		for (const descriptor of descriptors) closeSync(descriptor);
	}
}

/** A socket that was never bound has an address of two bytes: its family. */
const hasName = (address: Uint8Array | undefined): boolean => address !== undefined && address.length > 2;
