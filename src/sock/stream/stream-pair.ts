import {Socket} from 'node:net';
import {hasCode} from '../../common/errors.js';
import type {LocalSocket} from '../../objects/socket/local-socket.js';

/** A connection as a Node stream; half-closing stays possible. */
export const streamOf = (connection: LocalSocket): Socket =>
	new Socket({fd: connection.detach(), allowHalfOpen: true, readable: true, writable: true});

export interface Watching {
	onData?(from: 'one' | 'other', piece: Buffer): void;
	onEnd?(from: 'one' | 'other'): void;
}

/**
 * Joins two connections until both directions have ended: the data of each side goes to the other, an end included, and
 * a slow reader slows down its sender. Resolves with the error, undefined when there was none.
 */
export function joinPair(one: Socket, other: Socket, {onData, onEnd}: Watching = {}): Promise<Error | undefined> {
	let failure: Error | undefined;
	const flow = (from: Socket, to: Socket, name: 'one' | 'other') =>
		new Promise<void>((resolve) => {
			// The data that was sent before is still to be read.
			const fail = (error: Error) => {
				// Many sessions end by leaving in the middle.
				if (!hasCode(error, 'EPIPE', 'ECONNRESET')) failure ??= error;
				from.destroy();
				to.destroySoon();
			};
			from.on('data', (piece: Buffer) => {
				try {
					onData?.(name, piece);
				} catch (error) {
					fail(error as Error);
					return;
				}
				if (!to.writable) return;
				if (!to.write(piece)) {
					from.pause();
					to.once('drain', () => from.resume());
				}
			});
			from.on('end', () => {
				try {
					onEnd?.(name);
				} catch (error) {
					fail(error as Error);
				}
				if (to.writable) to.end();
			});
			from.on('error', fail);
			from.on('close', () => {
				// Closed without an end of its own: the other side must not wait for more.
				if (!from.readableEnded) to.destroySoon();
				else if (to.writable) to.end();
				resolve();
			});
		});
	return Promise.all([flow(one, other, 'one'), flow(other, one, 'other')]).then(() => failure);
}
