import {fstatSync} from 'node:fs';
import {quoted, SystemError} from '../common/errors.js';
import {CannotSee, findMappers, identityKey} from '../common/process/proc.js';
import {describeProcesses, describeUnseen} from '../objects/segment/segment-status.js';
import type {SharedMemory} from '../objects/segment/shared-memory.js';

export const forceShrink = {help: 'shrink even if mapped; processes that touch the removed part get SIGBUS'};

/**
 * Refuses to shrink a segment that other processes map: the kernel terminates a process that touches the removed part.
 *
 * `remedies` follows the reason.
 */
export function checkMayShrink(segment: SharedMemory, remedies: string): void {
	const refusal = (why: string) => new SystemError(`cannot shrink ${quoted(segment.shownName)}: ${why} (${remedies})`);
	const mappers = findMappers([segment.identity]);
	if (mappers instanceof CannotSee) throw refusal(mappers.sentence);
	const pids = mappers.pids.get(identityKey(segment.identity)) ?? [];
	if (pids.length > 0) throw refusal(`${describeProcesses(pids)} would get SIGBUS when touching the removed part`);
	const mayBeUsed = describeUnseen(fstatSync(segment.descriptor).mode, mappers.unseen);
	if (mayBeUsed) throw refusal(mayBeUsed);
}
