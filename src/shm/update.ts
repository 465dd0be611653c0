import {closeSync, fstatSync, readSync, writeSync} from 'node:fs';
import {attempt, quoted, SystemError, UsageError} from '../common/errors.js';
import {endedWith, type Outcome} from '../common/exit.js';
import type {ClusterAddress} from '../common/formats/cluster-address.js';
import {tellError, tellVerbose} from '../common/output.js';
import {describeEnd} from '../common/process/child-end.js';
import {startCommand} from '../common/process/run-command.js';
import {Shutdown} from '../common/process/shutdown.js';
import {copyBytes, explainMove} from '../common/transfer.js';
import {one, verb} from '../common/verb.js';
import {AT_FDCWD, native, O_RDONLY} from '../native/index.js';
import {clusterSegments, segmentName} from '../objects/segment/segments.js';
import {SharedMemory} from '../objects/segment/shared-memory.js';
import {checkLock, lockOptions, underLock} from './lock.js';
import {checkMayShrink, forceShrink} from './shrink.js';

export const update = verb({
	summary: 'Replace the contents with the output of a filter',
	operands: {name: one(segmentName)},
	options: {
		force: forceShrink,
		keepSize: {help: 'keep the size and fill up with NUL bytes, for mapped segments'},
		lock: {...lockOptions.lock, help: 'also hold a unit of semaphore SEM; the segment is always locked'},
		timeout: {...lockOptions.timeout, help: 'give up waiting for the lock after DURATION (status 124)'},
		timeoutStatus: lockOptions.timeoutStatus,
		nonblock: {...lockOptions.nonblock, help: 'exit with status 3 if the segment is locked'},
	},
	cluster: true,
	takesCommand: true,
	examples: [
		{purpose: 'sort the lines in a segment', line: 'ipc-shm update list -- sort -u'},
		{purpose: 'change a setting', line: "ipc-shm update config -- jq '.level += 1'"},
	],
	needsNode: true,
	run({name}, options, command) {
		if (options.force && options.keepSize) throw new UsageError('--force and --keep-size cannot be combined');
		if (name.kind === 'cluster') {
			checkLock(name, options);
			return replaceOnCluster(name, command, options.keepSize);
		}
		const segment = SharedMemory.open(name);
		const semaphore = options.lock === true ? undefined : options.lock;
		const work = () => replace(segment, command, options);
		const inner = () => underLock(segment, 'exclusive', {...options, lock: true}, work);
		const outcome = semaphore ? underLock(segment, 'exclusive', options, inner) : inner();
		return Promise.resolve(outcome).finally(() => segment.close());
	},
});

interface SizeWishes {
	keepSize: boolean;
	force: boolean;
}

/** Where the segment was changed meanwhile, the filter is run again with what it has now. */
async function replaceOnCluster(name: ClusterAddress, command: readonly string[], keepSize: boolean): Promise<Outcome> {
	using segment = clusterSegments.objects.open(name);
	for (;;) {
		const {bytes, revision} = segment.readAll();
		const input = memoryOf(bytes);
		const output = native.memfdCreate('ipc-shm-update');
		try {
			const status = await filter(command, input, output, quoted(name.shown));
			if (status !== 0) return endedWith(status);
			const found = contentsOf(output);
			if (keepSize && found.length > bytes.length)
				throw new SystemError(
					`cannot update ${quoted(name.shown)}: the output has ${found.length} bytes and the segment has ${bytes.length} (--keep-size); ${quoted(name.shown)} is unchanged`,
				);
			const padding = Buffer.alloc(keepSize ? bytes.length - found.length : 0);
			if (segment.replaceAll(Buffer.concat([found, padding]), revision)) return endedWith(0);
			tellVerbose(`${quoted(name.shown)} was changed meanwhile: running the filter again`);
		} finally {
			closeSync(output);
			closeSync(input);
		}
	}
}

/** A descriptor with these bytes, to be read from its beginning. */
function memoryOf(bytes: Buffer): number {
	const memory = native.memfdCreate('ipc-shm-update');
	try {
		for (let at = 0; at < bytes.length; ) at += writeSync(memory, bytes, at, bytes.length - at, at);
		return memory;
	} catch (error) {
		closeSync(memory);
		throw error;
	}
}

function contentsOf(descriptor: number): Buffer {
	const bytes = Buffer.alloc(fstatSync(descriptor).size);
	for (let at = 0; at < bytes.length; ) {
		const count = readSync(descriptor, bytes, at, bytes.length - at, at);
		if (count === 0) return bytes.subarray(0, at);
		at += count;
	}
	return bytes;
}

/** Runs the filter to its end; its failure has been told. */
async function filter(command: readonly string[], input: number, output: number, shown: string): Promise<number> {
	using shutdown = new Shutdown();
	const running = await startCommand(command, {stdin: input, stdout: output});
	shutdown.passOnTo(running);
	const {status, signal, problem} = await running.ended;
	shutdown.finish();
	const unchanged = `${shown} is unchanged`;
	if (problem !== null) tellError(`${problem}; ${unchanged}`);
	else if (status !== 0) tellError(`${quoted(command[0] as string)} ${describeEnd({status, signal})}: ${unchanged}`);
	return status;
}

/** Changes nothing before the filter has succeeded and its whole output is complete. */
async function replace(segment: SharedMemory, command: readonly string[], wishes: SizeWishes): Promise<Outcome> {
	const output = native.memfdCreate('ipc-shm-update');
	// An open file description of its own: the filter reads from its beginning, and does not share our lock.
	const input = attempt(`cannot update ${quoted(segment.shownName)}`, () =>
		native.openat(AT_FDCWD, `/proc/self/fd/${segment.descriptor}`, O_RDONLY, 0, -1),
	);
	try {
		const status = await filter(command, input, output, quoted(segment.shownName));
		if (status === 0) writeBack(segment, output, wishes);
		return endedWith(status);
	} finally {
		closeSync(output);
		closeSync(input);
	}
}

function writeBack(segment: SharedMemory, output: number, {keepSize, force}: SizeWishes): void {
	segment.checkIsThere('update');
	const tried = `cannot update ${quoted(segment.shownName)}`;
	const {size: bytes} = fstatSync(output);
	const before = segment.size;
	if (keepSize && bytes > before)
		throw new SystemError(
			`${tried}: the output has ${bytes} bytes and the segment has ${before} (--keep-size); ${quoted(segment.shownName)} is unchanged`,
		);
	if (bytes < before && !keepSize && !force)
		checkMayShrink(segment, '--keep-size fills up with NULs, --force shrinks it anyway');
	// With the memory reserved, nothing can fail half way.
	segment.reserve(bytes, tried);
	try {
		copyBytes({input: output, inputOffset: 0, output: segment.descriptor, outputOffset: 0, most: bytes});
	} catch (error) {
		throw explainMove(error, {to: quoted(segment.shownName), from: 'the output'});
	}
	if (keepSize) clear(segment, bytes, before);
	else if (bytes < before) segment.truncate(bytes);
	segment.checkIsThere('update');
}

function clear(segment: SharedMemory, from: number, to: number): void {
	const nothing = Buffer.alloc(Math.min(1024 ** 2, to - from));
	for (let at = from; at < to; at += nothing.length)
		segment.writeBytes(at, nothing.subarray(0, Math.min(nothing.length, to - at)));
}
