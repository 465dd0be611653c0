import type {Socket} from 'node:net';
import {eventsOf} from '../../common/waiting.js';
import {POLLHUP} from '../../native/index.js';

/** How often a connection that has ended its output is looked at. */
const lookMs = 500;

/** Whether the other side has closed, and not only ended its output. poll(2), POLLHUP */
export const isHungUp = (descriptor: number): boolean => (eventsOf(descriptor, 0, 0) & POLLHUP) !== 0;

/**
 * Calls when the other side, which had ended its output and went on reading, has closed the connection. libuv does not look
 * at a connection that has ended, and would notice at the next write only, which may never come.
 */
export function whenHungUp(socket: Socket, descriptor: number, act: () => void): void {
	let timer: NodeJS.Timeout | undefined;
	socket.on('end', () => {
		timer = setInterval(() => {
			// Once it is destroyed the number may be another's.
			if (socket.destroyed) clearInterval(timer);
			else if (isHungUp(descriptor)) act();
		}, lookMs);
	});
	socket.on('close', () => clearInterval(timer));
}
