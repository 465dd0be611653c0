import {readdirSync} from 'node:fs';
import {explain, UsageError} from '../../common/errors.js';
import {type Address, formatAddress, parseLocalAddress} from '../../common/formats/object-name.js';
import type {TextFormat} from '../../common/formats/text-format.js';

/** Where the kernel keeps the objects of shm_open(3). shm_overview(7) */
export const segmentFolder = '/dev/shm';
/** glibc and musl keep the semaphores there too. sem_overview(7) */
const semaphorePrefix = 'sem.';

export type SegmentName = Address & {kind: 'name'};

/** A segment's name on the command line: an invalid name is refused before anything is done. */
export const segmentName: TextFormat<Address> = {
	placeholder: 'NAME',
	completes: 'objects',
	parse: (text) => toAddress(text),
};

export function toAddress(name: string | Address): SegmentName {
	const address = parseLocalAddress(name);
	const shown = formatAddress(address);
	if (address.kind !== 'name')
		throw new UsageError(`invalid segment name '${shown}': '${address.kind === 'path' ? '/' : '@'}' is not allowed`);
	if (address.name.startsWith(semaphorePrefix))
		throw new UsageError(`invalid segment name '${shown}': names with '${semaphorePrefix}' are semaphores`, {
			reason: 'name-of-semaphore',
			subject: address.name.slice(semaphorePrefix.length),
		});
	return address;
}

export const segmentPath = ({name}: SegmentName): string => `${segmentFolder}/${name}`;

/** The names of all segments, sorted. */
export function segmentNames(): string[] {
	try {
		return readdirSync(segmentFolder, {withFileTypes: true})
			.filter((entry) => entry.isFile() && !entry.name.startsWith(semaphorePrefix))
			.map(({name}) => name)
			.sort();
	} catch (error) {
		throw explain('cannot list the segments', error, {
			ENOENT: `there is no ${segmentFolder} (mount it, as root: mkdir -p ${segmentFolder} && mount -t tmpfs shm ${segmentFolder})`,
		});
	}
}

export const allSegments = (): SegmentName[] => segmentNames().map((name) => ({kind: 'name', name}));
