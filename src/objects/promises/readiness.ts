import {native, POLLERR, POLLHUP} from '../../native/index.js';
import type {Watch} from './wait-line.js';

interface Watcher {
	events: number;
	look(): void;
}

/** By descriptor. */
const watched = new Map<number, Set<Watcher>>();
let isOpen = false;

/** Looks whenever one of these events (POLLIN, POLLOUT), an error or the end is reported by Node's event loop. epoll(7) */
export const readiness =
	(descriptor: number, events: number): Watch =>
	(look) => {
		if (!isOpen) native.openReadiness(lookAtReady);
		isOpen = true;
		const watchers = watched.get(descriptor) ?? new Set();
		const watcher = {events, look};
		watched.set(descriptor, watchers.add(watcher));
		const stop = () => {
			watchers.delete(watcher);
			if (watchers.size === 0) watched.delete(descriptor);
			tellKernel(descriptor, watchers);
		};
		try {
			tellKernel(descriptor, watchers);
		} catch (error) {
			stop();
			throw error;
		}
		return stop;
	};

function tellKernel(descriptor: number, watchers: ReadonlySet<Watcher>): void {
	let wanted = 0;
	for (const {events} of watchers) wanted |= events;
	native.watchReadiness(descriptor, wanted, watched.size > 0);
}

/** Descriptors and their events, in turn. */
function lookAtReady(pairs: readonly number[]): void {
	for (let i = 0; i < pairs.length; i += 2) {
		const [descriptor = -1, found = 0] = pairs.slice(i, i + 2);
		for (const {events, look} of watched.get(descriptor) ?? []) if (found & (events | POLLERR | POLLHUP)) look();
	}
}
