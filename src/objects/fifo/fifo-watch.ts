import {closeSync} from 'node:fs';
import {hasCode} from '../../common/errors.js';
import type {Address} from '../../common/formats/object-name.js';
import {isReady, pause} from '../../common/waiting.js';
import {
	IN_ACCESS,
	IN_CLOSE_NOWRITE,
	IN_CLOSE_WRITE,
	IN_DELETE_SELF,
	IN_MODIFY,
	IN_OPEN,
	native,
	POLLIN,
} from '../../native/index.js';
import {Fifo} from './fifo.js';

/** A process that waits in open(2) causes no event, and neither does a FIFO that does not exist yet. */
const firstLookMs = 25;
const slowestLookMs = 250;
/** A busy FIFO causes a million events a second: during this time one look serves for all of them. */
const restMs = 10;
/** struct inotify_event without its name. */
const headerBytes = 16;

/** Tells when to look at a FIFO again: by inotify(7) if that helps, otherwise by a slow clock. */
export class FifoWatch implements Disposable {
	private readonly descriptor = FifoWatch.tryInotify();
	private readonly buffer = Buffer.allocUnsafe(65_536);
	private isWatching = false;
	/**
	 * All events since the watch began, as inotify's bits: processes that open and close the FIFO between two looks show
	 * here.
	 */
	happened = 0;

	private lookAgainMs = firstLookMs;
	private readonly events: number;

	/** A look at the contents opens the FIFO for a moment, so a watcher of the contents must not be woken by openings. */
	constructor(
		private readonly name: Address,
		subject: 'users' | 'contents',
	) {
		const always = IN_CLOSE_WRITE | IN_DELETE_SELF;
		this.events = always | (subject === 'users' ? IN_OPEN | IN_CLOSE_NOWRITE : IN_MODIFY | IN_ACCESS);
	}

	private static tryInotify(): number {
		try {
			return native.inotifyInit();
		} catch (error) {
			// The inotify instances of the user are used up: use the clock instead.
			if (hasCode(error, 'EMFILE', 'ENFILE', 'ENOMEM')) return -1;
			throw error;
		}
	}

	/** Reads the events so far. Call this before a look, so that no event after the look is missed. */
	begin(): void {
		if (this.descriptor < 0) return;
		this.takeIn();
		if (this.isWatching) return;
		const fifo = Fifo.tryLook(this.name);
		if (!fifo) return;
		try {
			native.inotifyAddWatch(this.descriptor, fifo.handlePath, this.events);
			this.isWatching = true;
		} catch (error) {
			if (!hasCode(error, 'ENOSPC', 'ENOMEM', 'EACCES')) throw error;
		} finally {
			fifo.close();
		}
	}

	private takeIn(): void {
		for (;;) {
			const count = native.read(this.descriptor, this.buffer, 0, this.buffer.length);
			if (count <= 0) return;
			for (let at = 0; at < count; at += headerBytes + this.buffer.readUInt32LE(at + 12))
				this.happened |= this.buffer.readUInt32LE(at + 4);
		}
	}

	/** Returns when an event has happened, or after a moment, or after `mostMs`. */
	waitForChange(mostMs: number): void {
		pause(Math.ceil(Math.min(mostMs, restMs)));
		const left = mostMs - restMs;
		if (left <= 0) return;
		const changed = isReady(this.descriptor, POLLIN, Math.ceil(Math.min(left, this.lookAgainMs)));
		this.lookAgainMs = changed ? firstLookMs : Math.min(2 * this.lookAgainMs, slowestLookMs);
	}

	[Symbol.dispose](): void {
		if (this.descriptor >= 0) closeSync(this.descriptor);
	}
}
