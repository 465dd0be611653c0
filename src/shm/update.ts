import {closeSync, fstatSync} from 'node:fs';
import {attempt, quoted, SystemError, UsageError} from '../common/errors.js';
import {endedWith, type Outcome} from '../common/exit.js';
import {tellError} from '../common/output.js';
import {describeEnd} from '../common/process/child-end.js';
import {startCommand} from '../common/process/run-command.js';
import {Shutdown} from '../common/process/shutdown.js';
import {copyBytes, explainMove} from '../common/transfer.js';
import {one, verb} from '../common/verb.js';
import {AT_FDCWD, native, O_RDONLY} from '../native/index.js';
import {segmentName} from '../objects/segment/segment-name.js';
import {SharedMemory} from '../objects/segment/shared-memory.js';
import {lockOptions, underLock} from './lock.js';
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
	takesCommand: true,
	examples: [
		{purpose: 'sort the lines in a segment', line: 'ipc-shm update list -- sort -u'},
		{purpose: 'change a setting', line: "ipc-shm update config -- jq '.level += 1'"},
	],
	needsNode: true,
	run({name}, options, command) {
		if (options.force && options.keepSize) throw new UsageError('--force and --keep-size cannot be combined');
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

/** Changes nothing before the filter has succeeded and its whole output is complete. */
async function replace(segment: SharedMemory, command: readonly string[], wishes: SizeWishes): Promise<Outcome> {
	const output = native.memfdCreate('ipc-shm-update');
	// An open file description of its own: the filter reads from its beginning, and does not share our lock.
	const input = attempt(`cannot update ${quoted(segment.shownName)}`, () =>
		native.openat(AT_FDCWD, `/proc/self/fd/${segment.descriptor}`, O_RDONLY, 0, -1),
	);
	try {
		using shutdown = new Shutdown();
		const running = await startCommand(command, {stdin: input, stdout: output});
		shutdown.passOnTo(running);
		const {status, signal, problem} = await running.ended;
		shutdown.finish();
		const unchanged = `${quoted(segment.shownName)} is unchanged`;
		if (problem !== null) tellError(`${problem}; ${unchanged}`);
		else if (status !== 0) tellError(`${quoted(command[0] as string)} ${describeEnd({status, signal})}: ${unchanged}`);
		else writeBack(segment, output, wishes);
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
