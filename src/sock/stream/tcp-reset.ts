import type {Socket} from 'node:net';
import {IPPROTO_TCP, native, TCP_CLOSE, TCP_INFO} from '../../native/index.js';

const descriptors = new WeakMap<Socket, number>();

/** Remembers the connection below a TLS stream: Node shows its descriptor in this way only. */
export function rememberConnection(stream: Socket, connection: Socket): void {
	const {_handle: handle} = connection as unknown as {_handle?: {fd?: number}};
	if (handle?.fd !== undefined) descriptors.set(stream, handle.fd);
}

/**
 * Whether a stream was reset that we have not ended: the next write would get the error, and of one of its own, the end mark of
 * TLS, Node does not tell. A connection that only the peer has ended would be in CLOSE_WAIT. tcp(7), TCP_INFO
 */
export function wasReset(stream: Socket): boolean {
	const descriptor = descriptors.get(stream);
	if (descriptor === undefined || stream.writableEnded || stream.destroyed) return false;
	return (native.getsockopt(descriptor, IPPROTO_TCP, TCP_INFO) & 0xff) === TCP_CLOSE;
}
