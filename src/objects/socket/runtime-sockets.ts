import {closeSync, readdirSync, readlinkSync} from 'node:fs';
import {openRuntimeFolder} from '../../common/runtime-folder.js';

/** The names of the sockets in the runtime folder, sorted. */
export function socketNames(): string[] {
	const folder = openRuntimeFolder(false);
	if (folder === undefined) return [];
	try {
		return readdirSync(readlinkSync(`/proc/self/fd/${folder}`), {withFileTypes: true})
			.filter((entry) => entry.isSocket())
			.map(({name}) => name)
			.sort();
	} finally {
		closeSync(folder);
	}
}
