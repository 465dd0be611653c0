import {fstatSync} from 'node:fs';
import {native} from '../native/index.js';
import {eventsOf, isBroken} from './waiting.js';

/** A reader that has had enough needs a moment to end. */
const graceMs = 2;

/**
 * The reader of a pipe that we write to: how much it has left unread, which the kernel tells also after it left. Of anything
 * but a pipe nothing is known, and all counts as read.
 */
export class PipeReader {
	readonly isPipe: boolean;

	constructor(private readonly descriptor: number) {
		this.isPipe = fstatSync(descriptor).isFIFO();
	}

	/** ioctl(2), FIONREAD */
	unreadBytes(): number {
		return this.isPipe ? native.ioctlFionread(this.descriptor) : 0;
	}

	/** Waits at most this long; returns whether the reader has left. */
	hasGone(mostMs: number): boolean {
		return isBroken(eventsOf(this.descriptor, 0, mostMs));
	}

	/**
	 * Until everything has been read and the reader is still there a moment later; false when it has gone. Nothing wakes a writer
	 * when a pipe runs empty: look again and again, ever less often.
	 */
	waitUntilRead(): boolean {
		for (let round = 0; this.unreadBytes() > 0; round++)
			if (this.hasGone(round < 50 ? 0 : Math.min(20, round - 49))) return false;
		return !this.hasGone(graceMs);
	}
}
