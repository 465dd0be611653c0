import {resolve} from 'node:path';
import type {DirectoryEntry} from '../../common/directory-entry.js';
import {SystemError} from '../../common/errors.js';
import {AF_UNIX} from '../../native/index.js';
import {longestSunPath} from './socket-address.js';

/** A struct sockaddr_un. An abstract name begins with a NUL, and its length is its end. unix(7) */
export function sockaddrUn(path: string): Buffer {
	const bytes = Buffer.from(path);
	const address = Buffer.alloc(2 + bytes.length + (path.startsWith('\0') ? 0 : 1));
	address.writeUInt16LE(AF_UNIX);
	bytes.copy(address, 2);
	return address;
}

/** With the NUL behind it. */
const fits = (path: string): boolean => Buffer.byteLength(path) < longestSunPath;

/**
 * The address for bind: the whole path, as other processes see it (ss, /proc/net/unix), or an indirect path if that is
 * too long.
 */
export function bindAddress(place: DirectoryEntry): Buffer {
	const whole = absolute(place.path);
	if (whole !== undefined && fits(whole)) return sockaddrUn(whole);
	const short = place.pathInFolder;
	if (fits(short)) return sockaddrUn(short);
	const length = Buffer.byteLength(place.name);
	const most = longestSunPath - 1 - (Buffer.byteLength(short) - length);
	throw new SystemError(
		`cannot listen on ${place.shown}: its name has ${length} bytes, and in a path of more than ${longestSunPath - 1} bytes the maximum is ${most}`,
	);
}

function absolute(path: string): string | undefined {
	try {
		return resolve(path);
	} catch {
		// The working folder has been removed.
		return undefined;
	}
}

/** The socket that a handle (O_PATH) stands for, however long its path. */
export const handleAddress = (handle: number): Buffer => sockaddrUn(`/proc/self/fd/${handle}`);
