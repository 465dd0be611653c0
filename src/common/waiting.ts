import {native, POLLERR, POLLHUP} from '../native/index.js';
import {EndBySignal} from './exit.js';
import {SIGPIPE} from './process/signals.js';

/** Waiting on descriptors. A negative timeout means no limit, and a caught signal ends every wait with EINTR. poll(2) */

const one = new Int32Array(3);

/** The events that occurred within that time, 0 for none. POLLERR and POLLHUP are reported without being requested. */
export function eventsOf(descriptor: number, events: number, timeoutMs: number): number {
	one[0] = descriptor;
	one[1] = events;
	native.poll(one, timeoutMs);
	return one[2] as number;
}

/** Whether one of these events, or an error or the end, occurred within that time. */
export const isReady = (descriptor: number, events: number, timeoutMs: number): boolean =>
	eventsOf(descriptor, events, timeoutMs) !== 0;

const nothing = new Int32Array(0);

/** Sleeps, and blocks the event loop meanwhile. */
export const pause = (ms: number): void => {
	native.poll(nothing, ms);
};

/** Whether the peer has left: a pipe without a reader reports POLLERR, a socket POLLHUP. */
export const isBroken = (events: number): boolean => (events & (POLLERR | POLLHUP)) !== 0;

/** For stdout, whose reader may leave while we wait for another event: then we end as any filter does. */
export function endIfBroken(events: number): void {
	if (isBroken(events)) throw new EndBySignal(SIGPIPE);
}

/** Several descriptors in one wait, each identified by a key. Waiting again allocates nothing. */
export class PollSet<Key> {
	private readonly places = new Map<Key, number>();
	private triples = new Int32Array(12).fill(-1);

	/** From now on these events of a descriptor, its errors and its end finish the wait; -1: no descriptor. */
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

	/** Whether an event occurred within that time. */
	wait(timeoutMs: number): boolean {
		return native.poll(this.triples, timeoutMs) > 0;
	}

	/** The events of this descriptor in the last wait; 0 for none. */
	eventsOf(key: Key): number {
		const place = this.places.get(key);
		return place === undefined ? 0 : (this.triples[place + 2] as number);
	}
}
