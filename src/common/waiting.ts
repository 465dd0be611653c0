import {native, POLLERR, POLLHUP} from '../native/index.js';
import {EndBySignal} from './exit.js';
import {SIGPIPE} from './process/signals.js';

/** Waiting on descriptors. A timeout that is negative is for ever, and a caught signal ends every wait with EINTR. poll(2) */

const one = new Int32Array(3);

/** The events that have come within that time, 0 for none. POLLERR and POLLHUP come without being asked for. */
export function eventsOf(descriptor: number, events: number, timeoutMs: number): number {
	one[0] = descriptor;
	one[1] = events;
	native.poll(one, timeoutMs);
	return one[2] as number;
}

/** Whether one of these events, or an error or the end, has come within that time. */
export const isReady = (descriptor: number, events: number, timeoutMs: number): boolean =>
	eventsOf(descriptor, events, timeoutMs) !== 0;

const nothing = new Int32Array(0);

/** Sleeps, holding up the event loop. */
export const pause = (ms: number): void => {
	native.poll(nothing, ms);
};

/** Whether the other end has gone: a pipe that nobody reads reports POLLERR, a socket POLLHUP. */
export const isBroken = (events: number): boolean => (events & (POLLERR | POLLHUP)) !== 0;

/** For stdout, whose reader may have gone while we waited for something else: we end as any filter does. */
export function endIfBroken(events: number): void {
	if (isBroken(events)) throw new EndBySignal(SIGPIPE);
}

/** Several descriptors that are waited on at once, each known by a key. Waiting again allocates nothing. */
export class PollSet<Key> {
	private readonly places = new Map<Key, number>();
	private triples = new Int32Array(12).fill(-1);

	/** From now on these events of a descriptor end the wait, and errors and its end; a descriptor of -1: nothing. */
	watch(key: Key, descriptor: number, events = 0): void {
		let place = this.places.get(key);
		if (place === undefined) {
			place = 3 * this.places.size;
			this.places.set(key, place);
			if (place === this.triples.length) this.grow();
		}
		this.triples[place] = descriptor;
		this.triples[place + 1] = events;
	}

	private grow(): void {
		const {triples} = this;
		this.triples = new Int32Array(2 * triples.length).fill(-1);
		this.triples.set(triples);
	}

	/** Whether something has come within that time. */
	wait(timeoutMs: number): boolean {
		return native.poll(this.triples, timeoutMs) > 0;
	}

	/** What came of this one in the last wait; 0 for nothing. */
	eventsOf(key: Key): number {
		const place = this.places.get(key);
		return place === undefined ? 0 : (this.triples[place + 2] as number);
	}
}
