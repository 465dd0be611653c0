import {countOf, explain, hasCode, quoted, SystemError, UsageError} from '../common/errors.js';
import {done, type Outcome} from '../common/exit.js';
import type {ClusterAddress} from '../common/formats/cluster-address.js';
import {sizeAndBytes} from '../common/formats/size.js';
import {mostRecordBytes} from '../common/framing/framing.js';
import {inputBytesLeft, readInput} from '../common/input.js';
import {mode, progress as progressOption} from '../common/options.js';
import {expectInput, stdin} from '../common/output.js';
import type {Progress} from '../common/terminal/progress.js';
import {copyBytes, explainMove, growPipe, progressOf} from '../common/transfer.js';
import {one, verb} from '../common/verb.js';
import {isKernelError} from '../native/index.js';
import {clusterSegments, segmentName} from '../objects/segment/segments.js';
import {noRoom, SharedMemory} from '../objects/segment/shared-memory.js';
import {checkLock, lockOptions, underLock} from './lock.js';
import {offset} from './options.js';

export const write = verb({
	summary: 'Copy standard input to a segment',
	operands: {name: one(segmentName)},
	options: {
		offset,
		create: {help: 'create a missing segment, as large as the data'},
		mode,
		grow: {help: 'grow the segment if the data needs more room'},
		...lockOptions,
		progress: progressOption,
	},
	cluster: true,
	examples: [
		{purpose: 'create a segment with the contents of a file', line: 'ipc-shm write config --create <config.json'},
		{purpose: 'write four bytes at offset 16', line: "printf 'abcd' | ipc-shm write state --offset 16"},
	],
	run({name}, options) {
		checkLock(name, options);
		if (options.mode !== undefined && !options.create) throw new UsageError('--mode needs --create');
		expectInput();
		growPipe(stdin);
		const progress = progressOf(options.progress, 'bytes', stdin);
		const at = options.offset ?? 0;
		if (name.kind === 'cluster') return writeOnCluster(name, at, options, progress);
		using segment = options.create ? SharedMemory.tryOpen(name) : SharedMemory.open(name);
		if (segment) {
			return underLock(segment, 'exclusive', options, () => {
				store(segment, at, {grow: options.grow, isNew: false}, progress);
				return done;
			});
		}
		// No other process sees the segment before it is complete.
		const made = SharedMemory.make(name, {mode: options.mode}, (fresh) =>
			store(fresh, at, {grow: true, isNew: true}, progress),
		);
		if (!made) throw new SystemError(`cannot create ${quoted(nameOf(name))}: another process created it meanwhile`);
		made.close();
		return done;
	},
});

const nameOf = (name: {kind: string; name?: string}): string => name.name ?? '';

/** All of it in one step. */
function writeOnCluster(
	name: ClusterAddress,
	offset: number,
	{create, grow, mode: bits}: {create: boolean; grow: boolean; mode: number | undefined},
	progress: Progress | undefined,
): Outcome {
	const tried = `cannot write to ${quoted(name.shown)}`;
	if (bits !== undefined)
		throw new SystemError(`${tried}: a segment on a cluster has no mode; its server says who may use it`);
	const {objects} = clusterSegments;
	// Before stdin is read.
	using segment = create ? objects.tryOpen(name) : objects.open(name);
	const bytes = readAllInput(tried, progress);
	if (segment) {
		const {size, isStored} = segment.store(offset, bytes, grow);
		if (!isStored)
			throw new SystemError(
				offset > size
					? `${tried}: offset ${offset} is beyond the end of the segment, which has ${countOf(size, 'byte')} (see: --grow)`
					: `${tried}: there is room for ${countOf(size - offset, 'byte')} from offset ${offset} on, and stdin has ${bytes.length} (see: --grow)`,
			);
	} else if (!objects.make(name, Buffer.concat([Buffer.alloc(offset), bytes]))) {
		throw new SystemError(`cannot create ${quoted(name.shown)}: another process created it meanwhile`);
	}
	progress?.finish();
	return done;
}

/** Both threads hold it as a whole. */
function readAllInput(tried: string, progress: Progress | undefined): Buffer {
	const pieces: Buffer[] = [];
	let total = 0;
	for (;;) {
		const buffer = Buffer.allocUnsafe(pieceBytes);
		const count = readInput(buffer, 0);
		if (count === 0) return Buffer.concat(pieces);
		pieces.push(buffer.subarray(0, count));
		total += count;
		if (total > mostRecordBytes)
			throw new SystemError(`${tried}: stdin has more than ${sizeAndBytes(mostRecordBytes)}, the maximum on a cluster`);
		progress?.add(count);
	}
}

const pieceBytes = 1024 ** 2;

interface Storing {
	grow: boolean;
	/** No other process has it yet. */
	isNew: boolean;
}

/**
 * Stores all of stdin, from an offset on. More than there is room for is an error, and nothing beyond the end is
 * changed.
 */
function store(segment: SharedMemory, offset: number, {grow, isNew}: Storing, progress: Progress | undefined): void {
	const {size, shownName} = segment;
	const tried = `cannot ${isNew ? 'create' : 'write to'} ${quoted(shownName)}`;
	const room = grow ? Number.MAX_SAFE_INTEGER - offset : size - offset;
	if (room < 0)
		throw new SystemError(
			`${tried}: offset ${offset} is beyond the end of the segment, which has ${countOf(size, 'byte')} (see: --grow)`,
		);
	const expected = inputBytesLeft();
	// A gap before the data gets memory too, as all that grows here.
	if (grow && offset + (expected ?? 0) > size) segment.reserve(offset + (expected ?? 0), tried);
	const tooMuch = (more: string) =>
		new SystemError(
			`${tried}: there is room for ${countOf(room, 'byte')} from offset ${offset} on, and ${more} (see: --grow, ipc-shm resize)`,
		);
	// If the amount is known, nothing is written at all.
	if (expected !== undefined && expected > room) throw tooMuch(`stdin has ${expected}`);
	try {
		const copied = copyBytes({
			input: stdin,
			output: segment.descriptor,
			outputOffset: offset,
			most: room,
			staysWithin: !grow,
			progress,
		});
		if (!grow && copied === room && readInput(Buffer.alloc(1), 0) > 0)
			throw tooMuch(copied > 0 ? 'stdin has more; the first bytes were written' : 'stdin has more');
		if (!isNew) segment.checkIsThere('write to');
	} catch (error) {
		throw explainStoring(error);
	}
	progress?.finish();

	function explainStoring(error: unknown): unknown {
		if (!isKernelError(error) || error.side !== 'out') return explainMove(error, {to: quoted(shownName)});
		const copied = error.bytes ?? 0;
		if (grow && hasCode(error, 'ENOSPC', 'EFBIG')) {
			if (segment.size > size) segment.truncate(size);
			const why = hasCode(error, 'ENOSPC')
				? noRoom(offset + copied, offset + copied, 'more than ')
				: 'it would be larger than a file may be (RLIMIT_FSIZE; see: ulimit -f)';
			return new SystemError(`${tried}: ${why}${isNew ? '' : '; its size is restored'}`, {
				reason: 'no-room',
				cause: error,
			});
		}
		return explain(tried, error, {
			ENOSPC: {
				text: `its memory is not reserved, and there is no room: ${noRoom(size, segment.missing(size))}`,
				reason: 'no-room',
			},
			ENXIO: `another process shrank the segment after ${countOf(copied, 'byte')} to ${segment.size} (see: --grow)`,
		});
	}
}
