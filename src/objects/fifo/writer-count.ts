import {closeSync} from 'node:fs';
import {dirname} from 'node:path';
import {Deadline} from '../../common/deadline.js';
import {explain, hasCode} from '../../common/errors.js';
import {pause} from '../../common/waiting.js';
import {IN_CLOSE_WRITE, IN_OPEN, native} from '../../native/index.js';

const headerBytes = 16;
/** How long to try where no instance is to be had: the kernel takes a while to let go of one that was closed. */
const patienceMs = 3000;

function openInotify(): number {
	const deadline = new Deadline(patienceMs);
	for (;;) {
		try {
			return native.inotifyInit();
		} catch (error) {
			if (!hasCode(error, 'EMFILE') || deadline.hasPassed) throw error;
			pause(20);
		}
	}
}

/**
 * Counts the writers of a FIFO that have opened and closed it, by inotify(7).
 *
 * The kernel merges two equal events that follow each other in the queue: two writers that close the FIFO at once would
 * count as one. So the folder is watched too: each event on the FIFO is accompanied by one on the folder, and two equal
 * events are not neighbours.
 *
 * When two writers close the FIFO at the same instant, on two processors, both events on the folder can precede both on the
 * FIFO (measured: once in 1500 times where two programs end together, nearly always where two threads close it within 100
 * ns). Then the two writers count as one, as the manual page says. A second inotify instance misses the same: all are told
 * within the same two calls. Openings would tell more, but those of readers look the same.
 */
export class WriterCount implements Disposable {
	gone = 0;
	readonly descriptor: number;
	private readonly watch: number;
	private readonly buffer = Buffer.allocUnsafe(65_536);

	constructor(handlePath: string, path: string) {
		try {
			this.descriptor = openInotify();
			native.inotifyAddWatch(this.descriptor, dirname(path), IN_OPEN | IN_CLOSE_WRITE);
			this.watch = native.inotifyAddWatch(this.descriptor, handlePath, IN_CLOSE_WRITE);
		} catch (error) {
			throw explain('cannot watch for writers', error, {
				EMFILE: 'too many inotify instances (see: sysctl fs.inotify.max_user_instances)',
				ENOSPC: 'too many inotify watches (see: sysctl fs.inotify.max_user_watches)',
			});
		}
	}

	/** Reads the events so far. */
	update(): void {
		for (let count = this.read(); count > 0; count = this.read()) {
			for (let at = 0; at < count; at += headerBytes + this.buffer.readUInt32LE(at + 12)) {
				const isOurs = this.buffer.readInt32LE(at) === this.watch;
				if (isOurs && this.buffer.readUInt32LE(at + 4) & IN_CLOSE_WRITE) this.gone++;
			}
		}
	}

	private read(): number {
		return native.read(this.descriptor, this.buffer, 0, this.buffer.length);
	}

	[Symbol.dispose](): void {
		closeSync(this.descriptor);
	}
}
