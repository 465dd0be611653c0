import {closeSync, existsSync, fstatSync} from 'node:fs';
import {AT_FDCWD, native, O_NOFOLLOW} from '../native/index.js';
import {hasCode} from './errors.js';

/** Where a file was found. */
export interface Place {
	/** A descriptor of the folder, or AT_FDCWD. */
	folder: number;
	name: string;
	/** Whether a symbolic link was followed. */
	followsLinks: boolean;
}

/**
 * An open file description of its own for what a descriptor refers to, which may be O_PATH. Without /proc, the file is opened by its
 * name, and refused if it is another file by now. open(2), proc(5)
 */
export function reopen(descriptor: number, flags: number, timeoutMs: number, place: Place): number {
	try {
		return native.openat(AT_FDCWD, `/proc/self/fd/${descriptor}`, flags, 0, timeoutMs);
	} catch (error) {
		if (!hasCode(error, 'ENOENT') || existsSync('/proc/self')) throw error;
		const again = native.openat(place.folder, place.name, flags | (place.followsLinks ? 0 : O_NOFOLLOW), 0, timeoutMs);
		const [one, other] = [fstatSync(descriptor), fstatSync(again)];
		if (one.dev === other.dev && one.ino === other.ino) return again;
		closeSync(again);
		throw error;
	}
}
