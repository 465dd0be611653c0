import {Socket} from 'node:net';
import {hasCode} from '../../common/errors.js';
import type {LocalSocket} from '../../objects/socket/local-socket.js';
import {whenHungUp} from './hang-up.js';

/** Of the streams made here: Node does not tell. */
const descriptors = new WeakMap<Socket, number>();

/** A connection as a Node stream; half-closing stays possible. */
export function streamOf(connection: LocalSocket): Socket {
	const fd = connection.detach();
	const socket = new Socket({fd, allowHalfOpen: true, readable: true, writable: true});
	descriptors.set(socket, fd);
	return socket;
}

/** The descriptor of a stream that {@link streamOf} made. */
export const descriptorOf = (socket: Socket): number => descriptors.get(socket) ?? -1;

/** Calls `act` when the peer has closed after it had ended its output; only for streams that {@link streamOf} made. */
export function onHangUp(socket: Socket, act: () => void): void {
	const descriptor = descriptors.get(socket);
	if (descriptor !== undefined) whenHungUp(socket, descriptor, act);
}

/** The peer has left, which is how many sessions end. */
export const isReset = (error: unknown): boolean => hasCode(error, 'EPIPE', 'ECONNRESET');

type WriteDone = (error?: Error | null) => void;

/**
 * A peer that reads no more may have said something before: a Node stream whose write fails is destroyed, and what it has
 * not read yet is lost. So such a failure is taken for a write that went nowhere, and only told, once. For streams that
 * {@link streamOf} made.
 */
function whenDeaf(socket: Socket, tell: () => void): void {
	if (!descriptors.has(socket)) return;
	let isDeaf = false;
	const withoutFailure = (done: WriteDone) => (error?: Error | null) => {
		if (!isReset(error)) return done(error);
		done();
		if (!isDeaf) tell();
		isDeaf = true;
	};
	const {_write: write, _writev: writeAll} = socket;
	socket._write = (chunk, encoding, done) => write.call(socket, chunk, encoding, withoutFailure(done));
	if (writeAll) socket._writev = (chunks, done) => writeAll.call(socket, chunks, withoutFailure(done));
}

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
	/** Those that read no more. */
	const deaf = new Set<Socket>();
	const flow = (from: Socket, to: Socket, name: 'one' | 'other') =>
		new Promise<void>((resolve) => {
			// The peer has disconnected already, and there will be no further event.
			if (from.destroyed) {
				to.destroySoon();
				resolve();
				return;
			}
			// The data that was sent before is still to be read.
			const fail = (error: Error) => {
				failure ??= error;
				from.destroy();
				to.destroySoon();
			};
			// What it would have got is read all the same: otherwise the end of its sender would not be noticed.
			whenDeaf(to, () => {
				deaf.add(to);
				from.resume();
				const leave = () => from.destroySoon();
				if (to.readableEnded || to.destroyed || deaf.has(from)) leave();
				else to.once('end', leave).once('close', leave);
			});
			from.on('data', (piece: Buffer) => {
				try {
					onData?.(name, piece);
				} catch (error) {
					fail(error as Error);
					return;
				}
				if (deaf.has(to) || !to.writable) return;
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
			// No peer is left to read the answer: neither the other side nor we wait for more.
			onHangUp(from, () => {
				from.destroy();
				to.destroySoon();
			});
			from.on('close', () => {
				// Closed without an end of its own: the other side must not wait for more.
				if (!from.readableEnded) to.destroySoon();
				else if (to.writable) to.end();
				resolve();
			});
		});
	return Promise.all([flow(one, other, 'one'), flow(other, one, 'other')]).then(() => failure);
}
