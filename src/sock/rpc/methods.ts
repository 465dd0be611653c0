import {accessSync, constants, readdirSync, type Stats, statSync} from 'node:fs';
import {resolve} from 'node:path';
import {explain, hasCode, quoted, SystemError} from '../../common/errors.js';
import {tell} from '../../common/output.js';
import {native} from '../../native/index.js';

const longestName = 255;
const reserved = 'rpc.';
const groupWrites = 0o020;
const othersWrite = 0o002;

/** Whether the standard reserves the name. */
export const isReserved = (method: string): boolean => method.startsWith(reserved);

/**
 * Whether it can be the name of a file in a folder, and of nothing outside it. Other names never reach the file system.
 */
function isMethodName(method: string): boolean {
	return (
		method !== '' &&
		!method.startsWith('.') &&
		!isReserved(method) &&
		!/[/\0\p{Surrogate}]/u.test(method) &&
		Buffer.byteLength(method) <= longestName
	);
}

/** Folders of executables: a method is the first executable of that name, as a command is in PATH. */
export class MethodFolders {
	private readonly paths: string[];

	/** @throws SystemError for a path that is not a folder, that we may not read, or that every user may write in. */
	constructor(folders: readonly string[]) {
		this.paths = folders.map((folder) => resolve(folder));
		for (const [i, path] of this.paths.entries()) {
			const shown = quoted(folders[i] as string);
			const stat = look(shown, path);
			if (!stat) throw new SystemError(`cannot serve the methods in ${shown}: no such folder`);
			if (!stat.isDirectory()) throw new SystemError(`cannot serve the methods in ${shown}: it is not a folder`);
			if (!isAllowed(path, constants.X_OK))
				throw new SystemError(`cannot serve the methods in ${shown}: permission denied`);
			if (stat.mode & othersWrite)
				throw new SystemError(
					`refusing the methods in ${shown}: every user may write in that folder, and decide what is run (chmod o-w would help)`,
				);
			warnOfWriters(shown, stat);
		}
	}

	/**
	 * The path of its executable: files added or removed meanwhile count at once.
	 *
	 * @throws the error of stat(2) when the path could not be looked at.
	 */
	find(method: string): string | undefined {
		if (!isMethodName(method)) return undefined;
		return this.paths.map((folder) => `${folder}/${method}`).find(isExecutable);
	}

	/** All methods that can be called now. */
	list(): string[] {
		const names = this.paths.flatMap((folder) => {
			try {
				return readdirSync(folder).filter((name) => isMethodName(name) && isKnownExecutable(`${folder}/${name}`));
			} catch {
				// Removed, or not readable: its methods can still be called by their names.
				return [];
			}
		});
		return [...new Set(names)].sort();
	}
}

/** The owner and the group of a folder may be meant to decide; the user who starts the server gets a warning. */
function warnOfWriters(shown: string, {uid, mode}: Stats): void {
	const isForeign = uid !== 0 && uid !== process.geteuid?.();
	const writers = [
		...(isForeign ? [`its owner, ${native.userName(uid) ?? `uid ${uid}`},`] : []),
		...(mode & groupWrites ? ['its group'] : []),
	];
	if (writers.length > 0) tell(`${writers.join(' and ')} may write in ${shown} and so decide what is run as this user`);
}

function look(shown: string, path: string): Stats | undefined {
	try {
		return statSync(path, {throwIfNoEntry: false});
	} catch (error) {
		throw explain(`cannot serve the methods in ${shown}`, error);
	}
}

/**
 * A path that does not exist, or that we have no permission to follow, is not an executable of ours: as for execvp(3),
 * which continues in PATH.
 */
function isExecutable(path: string): boolean {
	try {
		const stat = statSync(path);
		if (!stat.isFile() || !isAllowed(path, constants.X_OK)) return false;
		if (stat.mode & othersWrite)
			throw new SystemError(`refusing to run ${quoted(path)}: every user may write to it (chmod o-w would help)`);
		return true;
	} catch (error) {
		if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES', 'ENAMETOOLONG')) return false;
		throw error;
	}
}

/** An entry that cannot be looked at must not hide the others. */
function isKnownExecutable(path: string): boolean {
	try {
		return isExecutable(path);
	} catch {
		return false;
	}
}

function isAllowed(path: string, access: number): boolean {
	try {
		accessSync(path, access);
		return true;
	} catch {
		return false;
	}
}
