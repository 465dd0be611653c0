import {closeSync} from 'node:fs';
import {Deadline} from '../../common/deadline.js';
import {hasCode, quoted, SystemError} from '../../common/errors.js';
import {formatSize} from '../../common/formats/size.js';
import {type Boundaries, separatedBy} from '../../common/framing/boundaries.js';
import {type Framing, FramingError, mostRecordBytes, RecordDecoder, separatorOf} from '../../common/framing/framing.js';
import {print, stdout, tellError} from '../../common/output.js';
import type {Progress} from '../../common/terminal/progress.js';
import {endIfBroken, PollSet} from '../../common/waiting.js';
import {MSG_PEEK, native, POLLIN} from '../../native/index.js';
import type {LocalSocket, PeerCredentials} from '../../objects/socket/local-socket.js';
import {PacketReader} from '../../objects/socket/packet-reader.js';
import {describePeer} from '../../objects/socket/peer.js';
import type {AccessList} from '../access.js';
import {LimitedNotices} from '../limited-notices.js';
import {SharedBudget} from '../shared-budget.js';
import {formatPacket, PacketFormat} from '../stream/packet-format.js';

const lookBytes = 256 * 1024;
/** poll(2) is given 1024 at a time: the listener, stdout, and these. Other clients wait in the listener's queue. */
const mostClients = 1000;
/** What unfinished records of all clients may have in memory together: two of the longest. */
const mostUnfinished = 2 * mostRecordBytes;
/** After this many records, signals and the reader of stdout are checked. */
const datagramsAtOnce = 1000;

export interface RecordReceiving {
	framing: Framing;
	/** Stop after this many records. */
	most: number;
	/** Receive all records of one client, then stop. */
	onlyOneClient: boolean;
	/** How long to wait for data, each time; negative: without limit. */
	timeoutMs: number;
	access: AccessList;
	progress: Progress | undefined;
}

/**
 * Records that clients send, to stdout, each record whole, however many clients send at once.
 *
 * The records are looked at first and read from the socket once they have been written. The kernel reports records that
 * are unread when we end to their sender (ECONNRESET): no record is lost without a report.
 */
export class RecordReceiver {
	received = 0;
	private readonly clients = new Set<Client>();
	private readonly format: PacketFormat;
	private readonly notices = new LimitedNotices(tellError);
	private readonly unfinished = new SharedBudget<Client>(mostUnfinished, (client) => this.giveWay(client));
	private left = 0;
	private accepts = true;
	private deadline: Deadline;

	constructor(
		private readonly listener: LocalSocket,
		private readonly receiving: RecordReceiving,
	) {
		this.deadline = new Deadline(receiving.timeoutMs);
		this.format = new PacketFormat(receiving.framing);
	}

	/** False when there was nothing for too long. Blocks. */
	run(): boolean {
		const {type, descriptor} = this.listener;
		const datagrams = type === 'dgram' ? this.datagramReader() : undefined;
		try {
			while (!this.isComplete) {
				const clients = [...this.clients];
				const canAccept = this.accepts && clients.length < mostClients;
				const poll = new PollSet<Client | 'stdout' | 'listener'>();
				poll.watch('stdout', stdout);
				poll.watch('listener', canAccept ? descriptor : -1, POLLIN);
				for (const client of clients) poll.watch(client, client.descriptor, POLLIN);
				const {deadline} = this;
				const waitMs = deadline.waitMs();
				if (!poll.wait(waitMs)) return false;
				endIfBroken(poll.eventsOf('stdout'));
				for (const client of clients)
					if (poll.eventsOf(client) !== 0 && !this.isComplete && this.clients.has(client)) this.hear(client);
				if (poll.eventsOf('listener') !== 0 && !this.isComplete) {
					if (datagrams) this.takeDatagrams(datagrams);
					else this.accept();
				}
				// Clients and datagrams that are turned away do not put the timeout off.
				if (waitMs === 0 && deadline === this.deadline) return false;
			}
			return true;
		} finally {
			for (const client of this.clients) client.close();
			this.receiving.access.finish();
			this.format.finish();
			this.notices.finish();
		}
	}

	private datagramReader(): PacketReader {
		return new PacketReader(this.listener, (sender) => this.receiving.access.admitsSender(sender));
	}

	private get isComplete(): boolean {
		const {most, onlyOneClient} = this.receiving;
		return this.received >= most || (onlyOneClient && this.left > 0);
	}

	private get wanted(): number {
		return this.receiving.most - this.received;
	}

	private count(records: number): void {
		this.received += records;
		if (records > 0) this.receiving.progress?.add(records);
	}

	private accept(): void {
		const connection = this.listener.tryAccept();
		if (!connection) return;
		if (!this.receiving.access.admits(connection)) {
			connection.close();
			return;
		}
		this.deadline = new Deadline(this.receiving.timeoutMs);
		const {framing} = this.receiving;
		this.clients.add(
			connection.type === 'stream' ? new StreamClient(connection, framing) : new PacketClient(connection, this.format),
		);
		if (!this.receiving.onlyOneClient) return;
		// No other client must wait for a turn that never comes.
		this.accepts = false;
		this.listener.close();
	}

	private hear(client: Client): void {
		this.deadline = new Deadline(this.receiving.timeoutMs);
		try {
			const records = client.hear(this.wanted);
			if (records !== 'end') {
				this.count(records);
				this.unfinished.set(client, client.pending);
				return;
			}
			this.count(client.finish());
		} catch (error) {
			if (!(error instanceof FramingError)) throw error;
			// An invalid record of one client must not stop the others.
			this.notices.tell(`disconnected ${describePeer(client.peer)}: ${error.message}`);
			if (this.receiving.onlyOneClient)
				throw new SystemError(
					`cannot receive all records on ${quoted(this.listener.shownName)}: the client sent an invalid record`,
				);
		}
		this.drop(client);
	}

	private drop(client: Client): void {
		this.unfinished.set(client, 0);
		this.clients.delete(client);
		client.close();
		this.left++;
	}

	private giveWay(client: Client): void {
		const most = formatSize(mostUnfinished);
		this.notices.tell(
			`${describePeer(client.peer)} disconnected: the incomplete records of all clients are more than ${most} together`,
		);
		this.drop(client);
	}

	private takeDatagrams(reader: PacketReader): void {
		for (let turn = 0; turn < datagramsAtOnce && !this.isComplete; turn++) {
			const packet = reader.look();
			if (packet === undefined || packet === 'end') return;
			this.deadline = new Deadline(this.receiving.timeoutMs);
			print(this.format.format(packet));
			this.count(1);
			reader.take(packet);
		}
	}
}

interface Client {
	readonly descriptor: number;
	readonly peer: PeerCredentials;
	/** Bytes of an incomplete record, which are held in memory. */
	readonly pending: number;
	/** Prints the records that are there, at most this many; returns how many, or that there will be no more. */
	hear(most: number): number | 'end';
	/** Completes the last record at the end of the data. */
	finish(): number;
	close(): void;
}

class StreamClient implements Client {
	readonly descriptor: number;
	readonly peer: PeerCredentials;
	private readonly buffer = Buffer.allocUnsafe(lookBytes);
	private readonly decoder: RecordDecoder;
	/** If records are written in their own framing, and end with a separator. */
	private readonly boundaries: Boundaries | undefined;

	constructor(
		private readonly socket: LocalSocket,
		private readonly framing: Framing,
	) {
		this.descriptor = socket.descriptor;
		this.peer = socket.peer;
		const separator = framing === 'json' ? undefined : separatorOf(framing);
		this.boundaries = separator === undefined ? undefined : separatedBy(separator);
		// The contents of JSON objects are sent as lines.
		this.decoder = new RecordDecoder(framing === 'json' ? 'lines' : framing);
	}

	get pending(): number {
		return this.decoder.pending;
	}

	hear(most: number): number | 'end' {
		const seen = this.look();
		if (seen === undefined) return 0;
		if (seen.length === 0) return 'end';
		if (this.boundaries) return this.hearSeparated(seen, most, this.boundaries);
		const before = this.decoder.pending;
		const framed: Buffer[] = [];
		let used = -before;
		try {
			for (const record of this.decoder.push(seen)) {
				framed.push(this.format(record));
				used += this.framedLength(record);
				if (framed.length >= most) break;
			}
		} finally {
			// An invalid record must not prevent the valid records before it from being printed.
			if (framed.length > 0) print(Buffer.concat(framed));
		}
		// Unfinished data is kept here: a record may be longer than the kernel's buffer.
		this.take(framed.length >= most ? used : seen.length);
		return framed.length;
	}

	finish(): number {
		let count = 0;
		for (const record of this.decoder.end()) {
			print(this.format(record));
			count++;
		}
		return count;
	}

	close(): void {
		this.socket.close();
	}

	/** Bytes are passed on unchanged, and only the ends of records are searched. */
	private hearSeparated(seen: Buffer, most: number, boundaries: Boundaries): number {
		const {end, count} = boundaries.take(seen, 0, seen.length, most);
		if (count > 0) {
			const held = this.decoder.pending > 0 ? boundaries.firstEnd(seen, 0, seen.length) : 0;
			// The end of a record that has begun before.
			for (const record of this.decoder.push(seen.subarray(0, held))) print(this.format(record));
			if (held < end) print(seen.subarray(held, end));
		}
		if (count >= most) {
			this.take(end);
			return count;
		}
		for (const _ of this.decoder.push(seen.subarray(end))) throw new Error('a record without an end');
		this.take(seen.length);
		return count;
	}

	private framedLength(record: Buffer): number {
		return record.length + (this.framing === 'length' ? 4 : this.framing === 'raw' ? 0 : 1);
	}

	private format(record: Buffer): Buffer {
		return formatPacket(this.framing, {data: record, sender: this.peer, address: undefined});
	}

	private look(): Buffer | undefined {
		try {
			const {count, descriptors} = native.recvmsg(this.descriptor, this.buffer, 0, this.buffer.length, MSG_PEEK);
			for (const descriptor of descriptors) closeSync(descriptor);
			return count < 0 ? undefined : this.buffer.subarray(0, count);
		} catch (error) {
			// The client has disconnected and does not expect an answer, which we never give.
			if (hasCode(error, 'ECONNRESET')) return this.buffer.subarray(0, 0);
			throw error;
		}
	}

	/** Bytes that were looked at are there: this does not wait. */
	private take(bytes: number): void {
		for (let left = bytes; left > 0; ) {
			const {count, descriptors} = native.recvmsg(this.descriptor, this.buffer, 0, left, 0);
			for (const descriptor of descriptors) closeSync(descriptor);
			if (count <= 0) return;
			left -= count;
		}
	}
}

class PacketClient implements Client {
	readonly pending = 0;
	readonly descriptor: number;
	readonly peer: PeerCredentials;
	private readonly reader: PacketReader;

	constructor(
		private readonly socket: LocalSocket,
		private readonly format: PacketFormat,
	) {
		this.descriptor = socket.descriptor;
		this.peer = socket.peer;
		this.reader = new PacketReader(socket);
	}

	hear(most: number): number | 'end' {
		for (let count = 0; ; count++) {
			const packet = count < most ? this.look() : undefined;
			if (packet === undefined) return count;
			if (packet === 'end') return count > 0 ? count : 'end';
			print(this.format.format({...packet, sender: packet.sender ?? this.peer}));
			this.reader.take(packet);
		}
	}

	private look(): ReturnType<PacketReader['look']> {
		try {
			return this.reader.look();
		} catch (error) {
			// The client has disconnected and does not expect an answer, which we never give.
			if (hasCode(error, 'ECONNRESET')) return 'end';
			throw error;
		}
	}

	finish(): number {
		return 0;
	}

	close(): void {
		this.socket.close();
	}
}
