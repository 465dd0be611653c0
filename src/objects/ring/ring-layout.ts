import {countOf, hasCode, quoted, SystemError} from '../../common/errors.js';
import {formatSize} from '../../common/formats/size.js';
import {F_UNLCK, F_WRLCK, native} from '../../native/index.js';
import type {SharedMemory} from '../segment/shared-memory.js';

/*
 * How a ring lies in its segment: documented for other programs in ipc-shm(1), RING LAYOUT, and used in native/ring.c.
 * All numbers have the byte order of the machine; both kinds of machine that we support are little-endian.
 */
const magic = Buffer.from('ipc-ring', 'latin1');
const layoutVersion = 1;
const versionAt = 8;
const slotsAt = 12;
export const capacityAt = 16;
const dataAt = 24;
const tailAt = 64;
const claimAt = 128;
const headAt = 192;
const slotTableAt = 4096;
const slotBytes = 64;
const slotCount = 64;
const mostSlots = 1024;
const headerBytes = slotTableAt + slotCount * slotBytes;
const lockOfSenders = 0;
const lockOfSlot = 64;
const leastBytes = headerBytes + 4096;

/** The default size. */
export const defaultRingBytes = 1024 ** 2;

/** The status of a ring; the keys are those of --json. */
export interface RingStatus {
	/** Bytes for records; each record takes four more. */
	capacity: number;
	/** Bytes that are not free. */
	used: number;
	/** Records that no receiver has taken; null when there are too many to count. */
	records: number | null;
	/** Receivers that are at work now. */
	receivers: number;
}

/** Records are counted up to this many bytes. */
const mostCounted = 64 * 1024 ** 2;

/** A caller that must not wait still waits this long for a process that is making the ring at this moment. */
const momentMs = 50;

/**
 * Makes a ring of a segment that is still empty; an existing ring stays unchanged. False when another process was at it
 * for longer than `timeoutMs` (negative: without limit).
 *
 * @throws SystemError when the segment has other contents, or is too small.
 */
export function prepareRing(segment: SharedMemory, timeoutMs = -1): boolean {
	const {descriptor, shownName} = segment;
	const isRing = () => segment.readBytes(0, magic.length).equals(magic);
	const tried = `cannot use ${quoted(shownName)} as a ring`;
	if (isRing()) {
		checkVersion(segment, tried);
		return true;
	}
	const {size} = segment;
	if (size < leastBytes)
		throw new SystemError(`${tried}: it has ${countOf(size, 'byte')}, a ring needs at least ${leastBytes}`);
	segment.checkRoom(size, tried);
	// The first store must be ours: senders and receivers start at the same time.
	try {
		native.ofdSetlkw(descriptor, F_WRLCK, lockOfSenders, 1, timeoutMs === 0 ? momentMs : timeoutMs);
	} catch (error) {
		if (hasCode(error, 'ETIMEDOUT')) return false;
		throw error;
	}
	try {
		if (isRing()) {
			checkVersion(segment, tried);
			return true;
		}
		if (!native.hasOnlyZeros(descriptor))
			throw new SystemError(
				`${tried}: it has other contents (make one with: ipc-shm send NAME --create, or ipc-shm create NAME --size ${formatSize(defaultRingBytes)})`,
			);
		segment.reserve(size, tried);
		const header = Buffer.alloc(headerBytes);
		header.writeUInt32LE(layoutVersion, versionAt);
		header.writeUInt32LE(slotCount, slotsAt);
		header.writeBigUInt64LE(BigInt(Math.floor((size - headerBytes) / 8) * 8), capacityAt);
		header.writeBigUInt64LE(BigInt(headerBytes), dataAt);
		segment.writeBytes(0, header);
		// The store that makes it a ring comes last.
		segment.writeBytes(0, magic);
		return true;
	} finally {
		native.ofdSetlk(descriptor, F_UNLCK, lockOfSenders, 1);
	}
}

function checkVersion(segment: SharedMemory, tried: string): void {
	const found = segment.readBytes(versionAt, 4).readUInt32LE();
	if (found !== layoutVersion)
		throw new SystemError(`${tried}: its layout is version ${found}, this is version ${layoutVersion}`);
}

/** Looks at a ring without disturbing its users; null for a segment that is not a ring. */
export function readRingStatus(segment: SharedMemory): RingStatus | null {
	const header = segment.readBytes(0, headerBytes);
	if (header.length < headerBytes || !header.subarray(0, magic.length).equals(magic)) return null;
	if (header.readUInt32LE(versionAt) !== layoutVersion) return null;
	const word = (at: number) => Number(header.readBigUInt64LE(at));
	const [capacity, data, tail, claim, head] = [capacityAt, dataAt, tailAt, claimAt, headAt].map(word) as [
		number,
		number,
		number,
		number,
		number,
	];
	const slots = Math.min(header.readUInt32LE(slotsAt), mostSlots);
	let receivers = 0;
	for (let slot = 0; slot < slots; slot++)
		if (native.ofdGetlk(segment.descriptor, F_WRLCK, lockOfSlot + slot, 1)) receivers++;
	const used = Math.max(0, tail - head);
	return {capacity, used, records: countRecords(segment, {capacity, data, claim, tail, used}), receivers};
}

/** The records may be taken and overwritten meanwhile: then the result makes no sense and is not reported. */
function countRecords(
	segment: SharedMemory,
	{capacity, data, claim, tail, used}: {capacity: number; data: number; claim: number; tail: number; used: number},
): number | null {
	const length = tail - claim;
	// More than is used: receivers have gone on between one word and the next.
	if (capacity === 0 || length < 0 || length > Math.min(capacity, used, mostCounted)) return null;
	const start = claim % capacity;
	const first = segment.readBytes(data + start, Math.min(length, capacity - start));
	const bytes = first.length < length ? Buffer.concat([first, segment.readBytes(data, length - first.length)]) : first;
	let records = 0;
	let at = 0;
	for (; at + 4 <= bytes.length; records++) at += 4 + Math.ceil(bytes.readUInt32LE(at) / 4) * 4;
	return at === length ? records : null;
}
