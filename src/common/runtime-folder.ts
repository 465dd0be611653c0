import {closeSync, fstatSync, lstatSync, mkdirSync} from 'node:fs';
import {AT_FDCWD, native, O_DIRECTORY, O_NOFOLLOW, O_RDONLY} from '../native/index.js';
import {attempt, explain, hasCode, quoted, SystemError} from './errors.js';
import {textProblem} from './formats/object-name.js';

const groupOrOthersWrite = 0o022;

/** Where FIFOs and sockets with a bare name live, and why there. */
function chooseRuntimeFolder(): {path: string; from: string} {
	const {IPC_RUNTIME_DIR: own, XDG_RUNTIME_DIR: xdg} = process.env;
	if (own) return {path: withoutSlash(own), from: 'IPC_RUNTIME_DIR'};
	if (xdg) return {path: `${withoutSlash(xdg)}/ipc`, from: 'XDG_RUNTIME_DIR'};
	return {path: `/tmp/ipc-${userId()}`, from: ''};
}

/** A slash at the end would follow a link. */
const withoutSlash = (path: string): string => path.replace(/(?<=.)\/+$/, '');

const userId = (): number => process.geteuid?.() ?? 0;

export function runtimeFolderPath(): string {
	const {path, from} = chooseRuntimeFolder();
	if (!path.startsWith('/')) throw refusal(path, `${from} must hold an absolute path`);
	// As for names: it is printed, one to a line, and what Node has mangled is another folder.
	const problem = textProblem(path);
	if (problem) throw refusal(path, problem);
	return path;
}

function refusal(path: string, why: string): SystemError {
	return new SystemError(
		`refusing the runtime folder ${quoted(path)}: ${why} (set IPC_RUNTIME_DIR to use another folder)`,
	);
}

/**
 * Opens the runtime folder, making it when `create` says so; undefined when there is none.
 *
 * The checks are made on the open descriptor and all later work goes through it, so the folder that was checked is
 * the one that is used.
 *
 * @throws SystemError when another user owns it or can write to it, or when it is a symbolic link.
 */
export function openRuntimeFolder(create: boolean): number | undefined {
	const path = runtimeFolderPath();
	for (;;) {
		try {
			const folder = native.openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, -1);
			try {
				check(path, folder);
			} catch (error) {
				closeSync(folder);
				throw error;
			}
			return folder;
		} catch (error) {
			if (hasCode(error, 'ELOOP')) throw refusal(path, 'it is a symbolic link');
			if (hasCode(error, 'ENOTDIR'))
				throw isLink(path) ? refusal(path, 'it is a symbolic link') : refusal(path, 'it is not a folder');
			if (hasCode(error, 'EACCES')) throw refusal(path, 'permission denied');
			if (!hasCode(error, 'ENOENT')) throw explain(`cannot open the runtime folder ${quoted(path)}`, error);
		}
		if (!create) return undefined;
		make(path);
	}
}

/** The names of the files of one type (DT_FIFO, DT_SOCK) in the runtime folder, sorted. */
export function namesInRuntimeFolder(type: number): string[] {
	const folder = openRuntimeFolder(false);
	if (folder === undefined) return [];
	try {
		const entries = native.readdir(folder);
		return entries.filter((_, i): _ is string => i % 2 === 0 && entries[i + 1] === type).sort();
	} finally {
		closeSync(folder);
	}
}

/** Whatever keeps us from looking is reported by the call that opens the folder. */
function isLink(path: string): boolean {
	try {
		return lstatSync(path).isSymbolicLink();
	} catch {
		return false;
	}
}

function make(path: string): void {
	attempt(
		`cannot create the runtime folder ${quoted(path)}`,
		() => {
			try {
				mkdirSync(path, 0o700);
			} catch (error) {
				// Another command was quicker: the next look at it decides.
				if (!hasCode(error, 'EEXIST')) throw error;
			}
		},
		{
			ENOENT: 'the folder above it does not exist (set IPC_RUNTIME_DIR to use another folder)',
			EACCES: 'permission denied (set IPC_RUNTIME_DIR to use another folder)',
		},
	);
}

function check(path: string, folder: number): void {
	const {uid, mode} = fstatSync(folder);
	if (uid !== userId()) throw refusal(path, `it belongs to user ${uid}, not to you (${userId()})`);
	if (mode & groupOrOthersWrite) throw refusal(path, 'other users can write to it (run: chmod go-w)');
}
