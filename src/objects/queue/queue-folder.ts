import {closeSync, lstatSync, statfsSync} from 'node:fs';
import {explain, hasCode} from '../../common/errors.js';
import {octalMode} from '../../common/formats/mode.js';
import {AT_FDCWD, native, O_DIRECTORY, O_RDONLY} from '../../native/index.js';

const mqueueMagic = 0x19800202;
const usualMount = '/dev/mqueue';

/**
 * The names of all queues, sorted. Only the mqueue file system knows them. We use its mount if there is one, else one
 * of our own that is not mounted anywhere and ends with this process. mq_overview(7), fsmount(2)
 *
 * @throws SystemError with the command that mounts it, when we have no permission.
 */
export function queueNames(): string[] {
	const folder = openFolder();
	try {
		return native
			.readdir(folder)
			.filter((entry): entry is string => typeof entry === 'string')
			.sort();
	} finally {
		closeSync(folder);
	}
}

/** Whose queue that is, without opening it: `it belongs to root, with mode 0600`. Undefined where it cannot be seen. */
export function describeOwner(name: string): string | undefined {
	let folder: number;
	try {
		folder = openFolder();
	} catch {
		return undefined;
	}
	try {
		const {uid, mode} = lstatSync(`/proc/self/fd/${folder}/${name}`);
		return `it belongs to ${native.userName(uid) ?? uid}, with mode ${octalMode(mode)}`;
	} catch {
		// There is no /proc, or it was removed meanwhile.
		return undefined;
	} finally {
		closeSync(folder);
	}
}

function openFolder(): number {
	if (isMounted()) return native.openat(AT_FDCWD, usualMount, O_RDONLY | O_DIRECTORY, 0, -1);
	try {
		return native.mountMqueue();
	} catch (error) {
		const remedy = `the mqueue file system is not mounted (mount it, as root: mkdir -p ${usualMount} && mount -t mqueue none ${usualMount})`;
		throw explain('cannot list the queues', error, {
			EPERM: remedy,
			ENOSYS: remedy,
			EACCES: remedy,
			ENODEV: 'this kernel has no message queues',
		});
	}
}

function isMounted(): boolean {
	try {
		return statfsSync(usualMount).type === mqueueMagic;
	} catch (error) {
		if (hasCode(error, 'ENOENT', 'EACCES', 'ENOTDIR')) return false;
		throw error;
	}
}
