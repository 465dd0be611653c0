import {existsSync, unlinkSync} from 'node:fs';
import {AT_FDCWD, native, O_CREAT, O_EXCL, O_RDWR, O_TMPFILE, RENAME_NOREPLACE} from '../../native/index.js';
import {segmentFolder} from './segment-name.js';

/**
 * A file that gets its name once it is complete. Usually it has none before. Without /proc only a privileged process can name such a
 * file later, so then it has another name, and a kill leaves that behind. open(2), linkat(2), renameat2(2)
 */
export class UnfinishedFile {
	readonly descriptor: number;
	private readonly path: string | undefined;

	constructor(mode: number) {
		const path = existsSync('/proc/self') ? undefined : `${segmentFolder}/.unfinished-${process.pid}-${Date.now()}`;
		this.descriptor =
			path === undefined
				? native.openat(AT_FDCWD, segmentFolder, O_TMPFILE | O_RDWR, mode, -1)
				: native.openat(AT_FDCWD, path, O_CREAT | O_EXCL | O_RDWR, mode, -1);
		this.path = path;
	}

	/** EEXIST where that name is taken. */
	name(path: string): void {
		if (this.path === undefined) native.linkDescriptor(this.descriptor, path);
		else native.renameat2(AT_FDCWD, this.path, path, RENAME_NOREPLACE);
	}

	/** It will not be completed; its descriptor is closed elsewhere. */
	giveUp(): void {
		try {
			if (this.path !== undefined) unlinkSync(this.path);
		} catch {
			// Its folder has changed meanwhile.
		}
	}
}
