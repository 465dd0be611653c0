import {closeSync} from 'node:fs';
import {hasCode, quoted, SystemError} from '../../common/errors.js';
import {EndBySignal} from '../../common/exit.js';
import {formatSize} from '../../common/formats/size.js';
import {type Framing, FramingError, mostRecordBytes, RecordDecoder, separatorOf} from '../../common/framing/framing.js';
import {print, stdout, tellError} from '../../common/output.js';
import {SIGPIPE} from '../../common/process/signals.js';
import type {Progress} from '../../common/terminal/progress.js';
import {MSG_PEEK, native, POLLERR, POLLHUP, POLLIN} from '../../native/index.js';
import type {LocalSocket, PeerCredentials} from '../../objects/socket/local-socket.js';
import {PacketReader} from '../../objects/socket/packet-reader.js';
import {describePeer} from '../../objects/socket/peer.js';
import type {AccessList} from '../access.js';
import {LimitedNotices} from '../limited-notices.js';
import {SharedBudget} from '../shared-budget.js';
import {formatPacket, PacketFormat} from '../stream/packet-format.js';

const lookBytes = 256 * 1024;
/** poll(2) takes 1024 at a time: us, stdout, and these. The others wait in the listener's queue. */
const mostClients = 1000;
/** What unfinished records of all clients may have in memory together: two of the longest. */
const mostUnfinished = 2 * mostRecordBytes;
/** After so many, signals and the reader of stdout have their turn. */
const datagramsAtOnce = 1000;

export interface RecordReceiving {
	framing: Framing;
	/** So many records are enough. */
	most: number;
	/** One client is enough, with all it sends. */
	onlyOneClient: boolean;
	/** How long to wait for something, each time; negative: for ever. */
	timeoutMs: number;
	access: AccessList;
	progress: Progress | undefined;
}

/**
 * Records that clients send, to stdout, whole, however many send at once.
 *
 * They are looked at first and taken from the socket once they have been written. What we leave behind when we end the
 * kernel reports to its sender (ECONNRESET): nothing is lost in silence.
 */
export class RecordReceiver {
	received = 0;
	private readonly clients = new Set<Client>();
	private readonly format: PacketFormat;
	private readonly notices = new LimitedNotices(tellError);
	private readonly unfinished = new SharedBudget<Client>(mostUnfinished, (client) => this.giveWay(client));
	private left = 0;
	private accepts = true;
	private quietSince = performance.now();

	constructor(
		private readonly listener: LocalSocket,
		private readonly receiving: RecordReceiving,
	) {
		this.format = new PacketFormat(receiving.framing);
	}

	/** False when nothing came for too long. Blocks. */
	run(): boolean {
		const {type, descriptor} = this.listener;
		const datagrams = type === 'dgram' ? this.datagramReader() : undefined;
		try {
			while (!this.isComplete) {
				const clients = [...this.clients];
				const canAccept = this.accepts && clients.length < mostClients;
				const triples = Int32Array.from([
					...[stdout, 0, 0],
					...[canAccept ? descriptor : -1, POLLIN, 0],
					...clients.flatMap((client) => [client.descriptor, POLLIN, 0]),
				]);
				const leftMs = this.leftMs;
				const quietSince = this.quietSince;
				if (native.poll(triples, leftMs) === 0) return false;
				if ((triples[2] as number) & (POLLERR | POLLHUP)) throw new EndBySignal(SIGPIPE);
				for (const [i, client] of clients.entries())
					if (triples[6 + 3 * i + 2] !== 0 && !this.isComplete && this.clients.has(client)) this.hear(client);
				if (triples[5] !== 0 && !this.isComplete) {
					if (datagrams) this.takeDatagrams(datagrams);
					else this.accept();
				}
				// Clients and datagrams that are turned away do not put the timeout off.
				if (leftMs === 0 && quietSince === this.quietSince) return false;
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

	private get leftMs(): number {
		const {timeoutMs} = this.receiving;
		return timeoutMs < 0 ? -1 : Math.max(0, Math.ceil(this.quietSince + timeoutMs - performance.now()));
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
		this.quietSince = performance.now();
		const {framing} = this.receiving;
		this.clients.add(
			connection.type === 'stream' ? new StreamClient(connection, framing) : new PacketClient(connection, this.format),
		);
		if (!this.receiving.onlyOneClient) return;
		// Nobody else is to wait for a turn that does not come.
		this.accepts = false;
		this.listener.close();
	}

	private hear(client: Client): void {
		this.quietSince = performance.now();
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
			// One that sends nonsense is no reason to let the others down.
			this.notices.tell(`${describePeer(client.peer)} was cut off: ${error.message}`);
			if (this.receiving.onlyOneClient) throw new SystemError(`${quoted(this.listener.shownName)} did not get all`);
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
			`${describePeer(client.peer)} was cut off: the unfinished records of all clients are more than ${most} together`,
		);
		this.drop(client);
	}

	private takeDatagrams(reader: PacketReader): void {
		for (let turn = 0; turn < datagramsAtOnce && !this.isComplete; turn++) {
			const packet = reader.look();
			if (packet === undefined || packet === 'end') return;
			this.quietSince = performance.now();
			print(this.format.format(packet));
			this.count(1);
			reader.take(packet);
		}
	}
}

interface Client {
	readonly descriptor: number;
	readonly peer: PeerCredentials;
	/** Bytes of a record that is not complete, which are held in memory. */
	readonly pending: number;
	/** Prints what has come, so many records at most; answers how many, or that there will be no more. */
	hear(most: number): number | 'end';
	/** What the end completes. */
	finish(): number;
	close(): void;
}

class StreamClient implements Client {
	readonly descriptor: number;
	readonly peer: PeerCredentials;
	private readonly buffer = Buffer.allocUnsafe(lookBytes);
	private readonly decoder: RecordDecoder;
	/** Where records go out as they came in, told apart by this. */
	private readonly separator: number | undefined;

	constructor(
		private readonly socket: LocalSocket,
		private readonly framing: Framing,
	) {
		this.descriptor = socket.descriptor;
		this.peer = socket.peer;
		this.separator = framing === 'json' ? undefined : separatorOf(framing);
		// What JSON objects hold travels as lines.
		this.decoder = new RecordDecoder(framing === 'json' ? 'lines' : framing);
	}

	get pending(): number {
		return this.decoder.pending;
	}

	hear(most: number): number | 'end' {
		const seen = this.look();
		if (seen === undefined) return 0;
		if (seen.length === 0) return 'end';
		if (this.separator !== undefined) return this.hearSeparated(seen, most, this.separator);
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
			// A bad record does not take the good ones before it along.
			if (framed.length > 0) print(Buffer.concat(framed));
		}
		// What is unfinished is kept here: a record may be longer than the kernel holds.
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

	/** Bytes pass as they are, and only the ends of records are looked for. */
	private hearSeparated(seen: Buffer, most: number, separator: number): number {
		let count = 0;
		let end = 0;
		for (let at = seen.indexOf(separator); at >= 0 && count < most; at = seen.indexOf(separator, end)) {
			end = at + 1;
			count++;
		}
		if (count > 0) {
			const held = this.decoder.pending > 0 ? seen.indexOf(separator) + 1 : 0;
			// The end of one that has begun before.
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
			// It has gone, and did not want an answer that we never give.
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
			// It has gone, and did not want an answer that we never give.
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
