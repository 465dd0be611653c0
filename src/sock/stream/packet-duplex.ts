import {closeSync, fstatSync} from 'node:fs';
import {countOf, hasCode, quoted, SystemError} from '../../common/errors.js';
import {type Framing, FramingError, parseJsonRecord, RecordDecoder} from '../../common/framing/framing.js';
import {readInputNow} from '../../common/input.js';
import {explainStdout, stdin, stdout, tell} from '../../common/output.js';
import {endIfBroken, isBroken, isReady, PollSet} from '../../common/waiting.js';
import {native, POLLIN, POLLOUT} from '../../native/index.js';
import type {LocalSocket, PeerCredentials} from '../../objects/socket/local-socket.js';
import {type Packet, PacketReader} from '../../objects/socket/packet-reader.js';
import {ConnectionError, type DuplexEnd, hasInput, openOutput} from './duplex.js';
import {PacketFormat} from './packet-format.js';

export interface PacketDuplexSettings {
	framing: Framing;
	timeoutMs: number;
	idleMs: number;
	/** Stop after this many packets. */
	most: number;
	/** Nothing is sent, and the end of stdin was known before. */
	receivesOnly?: boolean;
	/** A datagram socket that listens: it answers the sender that it received from first. */
	listens?: boolean;
	/** Whether a packet of this sender is taken; others are thrown away. */
	admits?: ((sender: PeerCredentials | undefined) => boolean) | undefined;
}

const inputBytes = 256 * 1024;
/** After this many packets in one direction it is the other's turn. */
const atOnce = 64;
/** The bytes that any writable descriptor accepts without blocking: PIPE_BUF. pipe(7) */
const sureRoom = 4096;

/**
 * Sends records of stdin as packets, and prints packets as records on stdout, both at once, until each direction has
 * ended. Blocks.
 */
export function runPacketDuplex(socket: LocalSocket, joining: PacketDuplexSettings): DuplexEnd {
	const output = openOutput();
	const blocks = output.blocks || fstatSync(output.descriptor).isSocket();
	try {
		return new PacketDuplex(socket, joining, {...output, blocks}).run();
	} finally {
		if (output.descriptor !== stdout) closeSync(output.descriptor);
	}
}

/**
 * Neither direction may block the other: two peers that both send much before they read would wait for each other. So
 * nothing blocks but one poll(2) for all.
 */
class PacketDuplex {
	private readonly decoder: RecordDecoder;
	private readonly reader: PacketReader;
	private readonly poll = new PollSet<'input' | 'socket' | 'output'>();
	private readonly format: PacketFormat;
	private readonly input = Buffer.allocUnsafe(inputBytes);
	private readonly shown: string;
	/** Records read from stdin; views of `input`, which is not read into again before they have been sent. */
	private records: Iterator<Buffer> | undefined;
	/** The record that waits for room. */
	private record: Buffer | undefined;
	private readsInput: boolean;
	/** `lost`: the peer has left before it had all. */
	private sending: 'open' | 'ended' | 'lost' = 'open';
	/** Records wait until there is a peer to send them to. */
	private canSend: boolean;
	private hears = true;
	/** A packet that stdout has not accepted as a whole. */
	private printing: {packet: Packet; bytes: Buffer; offset: number} | undefined;
	private sent = 0;
	private received = 0;

	constructor(
		private readonly socket: LocalSocket,
		private readonly joining: PacketDuplexSettings,
		private readonly output: ReturnType<typeof openOutput>,
	) {
		this.decoder = new RecordDecoder(joining.framing);
		this.reader = new PacketReader(socket, joining.admits);
		this.format = new PacketFormat(joining.framing);
		this.shown = quoted(socket.shownName);
		this.readsInput = !joining.receivesOnly;
		this.canSend = !joining.listens;
		if (joining.receivesOnly) this.endSending();
	}

	run(): DuplexEnd {
		try {
			return this.join();
		} finally {
			this.format.finish();
		}
	}

	private join(): DuplexEnd {
		const {idleMs, timeoutMs, most} = this.joining;
		let quietSince = performance.now();
		for (;;) {
			const hasSent = this.send();
			const hasReceived = this.receive();
			if (this.received >= most) return 'ended';
			if (!this.hears && this.sending === 'lost') throw this.leftEarly();
			if (!this.hears && this.sending === 'ended') return 'ended';
			if (this.waitsForNothing()) return 'ended';
			const hasMoved = hasSent || hasReceived;
			if (hasMoved) quietSince = performance.now();
			const mayEnd = this.sending !== 'open' && idleMs >= 0;
			const limitMs = mayEnd ? (timeoutMs < 0 ? idleMs : Math.min(idleMs, timeoutMs)) : timeoutMs;
			const leftMs = limitMs < 0 ? -1 : Math.max(0, Math.ceil(limitMs - (performance.now() - quietSince)));
			// However much arrives in one direction, stdin and signals have their turn.
			const ready = this.wait(hasMoved ? 0 : leftMs);
			if (ready === 'quiet' && !hasMoved) {
				if (mayEnd && limitMs === idleMs) return 'idle';
				if (this.record && this.sent > 0) tell(`gave up on ${this.shown}: ${countOf(this.sent, 'record')} sent`);
				return 'quiet';
			}
			if (ready === 'left') {
				if (this.record || hasInput()) throw this.leftEarly();
				return 'ended';
			}
			if (ready === 'input') {
				this.readInput();
				quietSince = performance.now();
			}
		}
	}

	/** A datagram socket is told of no end: without an answer to wait for there is nothing more to do. */
	private waitsForNothing(): boolean {
		const {idleMs, listens, most, timeoutMs} = this.joining;
		if (this.socket.type !== 'dgram' || this.sending === 'open' || listens) return false;
		return idleMs < 0 && timeoutMs < 0 && most === Number.POSITIVE_INFINITY;
	}

	private wait(leftMs: number): 'quiet' | 'left' | 'input' | 'ready' {
		const wantsInput = this.readsInput && this.canSend && !this.records;
		const wantsPacket = this.hears && !this.printing;
		const wantsRoom = this.record !== undefined && this.canSend;
		// While the peer ends only when we do, that it has left altogether shows here alone.
		const isWatched = wantsPacket || wantsRoom || (!this.hears && this.sending === 'open');
		const {socket, output} = this;
		const events = (wantsPacket ? POLLIN : 0) | (wantsRoom ? POLLOUT : 0);
		this.poll.watch('input', wantsInput ? stdin : -1, POLLIN);
		this.poll.watch('socket', isWatched ? socket.descriptor : -1, events);
		this.poll.watch('output', this.hears || this.printing ? output.descriptor : -1, this.printing ? POLLOUT : 0);
		if (!this.poll.wait(leftMs)) return 'quiet';
		endIfBroken(this.poll.eventsOf('output'));
		if (this.poll.eventsOf('input') !== 0) return 'input';
		return events === 0 && isBroken(this.poll.eventsOf('socket')) ? 'left' : 'ready';
	}

	private readInput(): void {
		const count = readInputNow(this.input, 0);
		if (count < 0) return;
		if (count === 0) this.readsInput = false;
		const records = count === 0 ? this.decoder.end() : this.decoder.push(this.input.subarray(0, count));
		this.records = records[Symbol.iterator]();
	}

	/** Sends some of the waiting records; returns whether any were sent. */
	private send(): boolean {
		if (!this.canSend || this.sending !== 'open') return false;
		for (let count = 0; count < atOnce; count++) {
			if (!this.nextRecord()) {
				if (!this.readsInput) this.endSending();
				return count > 0;
			}
			try {
				if (!this.sendNow(this.record as Buffer)) return count > 0;
			} catch (error) {
				if (!hasCode(error, 'EPIPE', 'ECONNRESET', 'ECONNREFUSED', 'ENOTCONN')) throw error;
				// The data that the peer had sent before is still to be read.
				this.sending = 'lost';
				return true;
			}
			this.record = undefined;
			this.sent++;
		}
		return true;
	}

	private nextRecord(): boolean {
		const isJson = this.joining.framing === 'json';
		try {
			while (!this.record && this.records) {
				const {done, value} = this.records.next();
				if (done) this.records = undefined;
				else if (!isJson) this.record = value;
				else if (value.length > 0) this.record = parseJsonRecord(value).data;
			}
		} catch (error) {
			if (error instanceof FramingError) throw new SystemError(`cannot send stdin to ${this.shown}: ${error.message}`);
			throw error;
		}
		return this.record !== undefined;
	}

	private sendNow(record: Buffer): boolean {
		try {
			return this.socket.send(record, {timeoutMs: 0});
		} catch (error) {
			if (!hasCode(error, 'EMSGSIZE')) throw error;
			throw new SystemError(
				`cannot send to ${this.shown}: a record of ${record.length} bytes is longer than a packet can be (see: sysctl net.core.wmem_max)`,
			);
		}
	}

	private endSending(): void {
		this.sending = 'ended';
		this.readsInput = false;
		if (this.socket.type === 'seqpacket') this.socket.endOutput();
	}

	/** Takes some of the packets that are there; returns whether there were any, or the end. */
	private receive(): boolean {
		let hasMoved = false;
		for (let count = 0; this.hears && count < atOnce; count++) {
			if (this.printing) {
				const {offset} = this.printing;
				const isPrinted = this.print();
				hasMoved ||= isPrinted || this.printing.offset > offset;
				if (!isPrinted) break;
				if (this.received >= this.joining.most) break;
			}
			const packet = this.look();
			if (!packet) break;
			if (packet === 'end') {
				this.hears = false;
				return true;
			}
			this.printing = {packet, bytes: this.format.format(packet), offset: 0};
		}
		// Datagrams have no end: the ones that are there were the last.
		if (!hasMoved && !this.printing && this.sending === 'lost' && this.socket.type === 'dgram') this.hears = false;
		return hasMoved;
	}

	private look(): Packet | 'end' | undefined {
		for (;;) {
			try {
				return this.reader.look();
			} catch (error) {
				if (!hasCode(error, 'ECONNRESET', 'ECONNREFUSED')) throw error;
				// The peer has left without reading all; the data it had sent before comes after this.
				this.sending = 'lost';
			}
		}
	}

	/** Writes as much of the packet as stdout accepts now; returns whether that was all of it. */
	private print(): boolean {
		const printing = this.printing as NonNullable<typeof this.printing>;
		const {bytes, packet} = printing;
		const {blocks, descriptor} = this.output;
		try {
			while (printing.offset < bytes.length) {
				if (blocks && !isReady(descriptor, POLLOUT, 0)) return false;
				const left = bytes.length - printing.offset;
				const written = native.write(descriptor, bytes, printing.offset, blocks ? Math.min(left, sureRoom) : left);
				if (written < 0) return false;
				printing.offset += written;
			}
		} catch (error) {
			throw explainStdout(error);
		}
		if (this.joining.listens && !this.canSend) this.canSend = answer(this.socket, packet);
		this.reader.take(packet);
		this.printing = undefined;
		this.received++;
		return true;
	}

	private leftEarly(): ConnectionError {
		return new ConnectionError(
			this.socket.type === 'dgram'
				? `cannot send to ${this.shown}: the peer has left`
				: `${this.shown} closed the connection before reading all data`,
		);
	}
}

/**
 * From now on the socket sends to and receives from this sender alone; false when it has no address to answer to.
 * connect(2)
 */
function answer(socket: LocalSocket, {address}: Packet): boolean {
	if (!address) return false;
	try {
		native.connect(socket.descriptor, address, -1);
		return true;
	} catch (error) {
		if (hasCode(error, 'ECONNREFUSED', 'ENOENT')) return false;
		throw error;
	}
}
