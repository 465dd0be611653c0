import {hasCode, quoted, SystemError} from '../common/errors.js';
import {EndBySignal} from '../common/exit.js';
import {
	encodeRecord,
	type Framing,
	FramingError,
	jsonRecord,
	parseJsonRecord,
	RecordDecoder,
} from '../common/framing.js';
import {readInputNow} from '../common/input.js';
import {print, stdin, stdout} from '../common/output.js';
import {SIGPIPE} from '../common/signals.js';
import {native, POLLERR, POLLHUP, POLLIN} from '../native/index.js';
import {ConnectionError, type JoinEnd} from './joint.js';
import type {LocalSocket} from './local-socket.js';
import {type Packet, PacketReader} from './packet-reader.js';

export interface PacketJoining {
	framing: Framing;
	timeoutMs: number;
	idleMs: number;
	/** So many packets are enough. */
	most: number;
	/** Nothing is sent, and the end of stdin was known before. */
	receivesOnly?: boolean;
	/** A datagram socket that listens: it answers whom it has heard first. */
	listens?: boolean;
}

const inputBytes = 256 * 1024;

/** What a packet looks like on stdout. */
export function formatPacket(framing: Framing, {data, sender}: Packet): Buffer {
	if (framing !== 'json') return encodeRecord(framing, data);
	return Buffer.from(`${JSON.stringify({...jsonRecord(data), ...sender})}\n`);
}

/** Records of stdin as packets, and packets as records on stdout, both at once. Blocks. */
export function joinPackets(socket: LocalSocket, joining: PacketJoining): JoinEnd {
	const {framing, idleMs, timeoutMs} = joining;
	const decoder = new RecordDecoder(framing);
	const reader = new PacketReader(socket);
	const input = Buffer.allocUnsafe(inputBytes);
	const shown = quoted(socket.shownName);
	let reads = !joining.receivesOnly;
	let received = 0;
	// Records that wait until there is somebody to send them to.
	let canSend = !joining.listens;
	let quietSince = performance.now();

	const sendRecords = (records: Iterable<Buffer>) => {
		for (const record of records) {
			if (framing === 'json' && record.length === 0) continue;
			sendPacket(socket, framing === 'json' ? parseJsonRecord(record).data : record, timeoutMs);
		}
	};
	const endInput = () => {
		reads = false;
		sendRecords(decoder.end());
		if (socket.type === 'seqpacket') socket.endOutput();
	};
	const moved = () => {
		quietSince = performance.now();
	};
	if (joining.receivesOnly && socket.type === 'seqpacket') socket.endOutput();

	try {
		for (;;) {
			// A datagram socket is told of no end: without an answer to wait for there is nothing more to do.
			if (
				!reads &&
				socket.type === 'dgram' &&
				!joining.listens &&
				idleMs < 0 &&
				timeoutMs < 0 &&
				joining.most === Number.POSITIVE_INFINITY
			)
				return 'ended';
			const limitMs = !reads && idleMs >= 0 ? (timeoutMs < 0 ? idleMs : Math.min(idleMs, timeoutMs)) : timeoutMs;
			const leftMs = limitMs < 0 ? -1 : Math.max(0, Math.ceil(limitMs - (performance.now() - quietSince)));
			const triples = Int32Array.of(
				reads && canSend ? stdin : -1,
				POLLIN,
				0,
				socket.descriptor,
				POLLIN,
				0,
				stdout,
				0,
				0,
			);
			if (native.poll(triples, leftMs) === 0) return !reads && limitMs === idleMs ? 'idle' : 'quiet';
			if ((triples[8] as number) & (POLLERR | POLLHUP)) throw new EndBySignal(SIGPIPE);
			if (triples[5] !== 0) {
				const packet = reader.look();
				if (packet === 'end') return 'ended';
				if (packet) {
					print(formatPacket(framing, packet));
					if (joining.listens && !canSend) canSend = answer(socket, packet);
					reader.take(packet);
					moved();
					if (++received >= joining.most) return 'ended';
				}
			}
			if (triples[2] !== 0) {
				const count = readInputNow(input, 0);
				if (count === 0) endInput();
				else if (count > 0) sendRecords(decoder.push(input.subarray(0, count)));
				moved();
			}
		}
	} catch (error) {
		if (error instanceof FramingError) throw new SystemError(`stdin cannot be sent to ${shown}: ${error.message}`);
		if (hasCode(error, 'EPIPE', 'ECONNRESET', 'ECONNREFUSED', 'ENOTCONN'))
			throw new ConnectionError(`cannot send to ${shown}: the other side has left`);
		if (error instanceof OutOfPatience) return 'quiet';
		throw error;
	}
}

/** From now on the socket hears and answers this sender alone; false when it has no address to answer to. connect(2) */
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

class OutOfPatience extends Error {}

/** One record as one packet. */
export function sendPacket(socket: LocalSocket, record: Uint8Array, timeoutMs: number): void {
	try {
		if (!socket.send(record, {timeoutMs})) throw new OutOfPatience();
	} catch (error) {
		if (!hasCode(error, 'EMSGSIZE')) throw error;
		throw new SystemError(
			`cannot send to ${quoted(socket.shownName)}: a record of ${record.length} bytes is more than a packet may have (see: sysctl net.core.wmem_max)`,
		);
	}
}
