import {closeSync, fstatSync} from 'node:fs';
import {hasCode} from '../common/errors.js';
import {FilePlace} from '../common/file-place.js';
import {native, SOCK_DGRAM, TCP_LISTEN, type UnixSocketRow} from '../native/index.js';
import {connectTcp} from './inet.js';
import {isAlive, LocalSocket} from './local-socket.js';
import {isLocal, type LocalAddress, type SocketAddress} from './socket-address.js';
import {allUnixSockets, isBoundTo} from './unix-sockets.js';

const accepts = ({state, type}: UnixSocketRow): boolean => state === TCP_LISTEN || type === SOCK_DGRAM;

/** Whether somebody accepts connections (or takes datagrams) there now. The listener of a local socket does not notice. */
export function isListening(address: SocketAddress, connectMs: number): boolean | Promise<boolean> {
	if (isLocal(address)) return isLocalListening(address);
	return connectTcp(address, connectMs).then(
		(descriptor) => {
			closeSync(descriptor);
			return true;
		},
		(error) => {
			if (hasCode(error, 'EINTR')) throw error;
			return false;
		},
	);
}

export function isLocalListening(address: LocalAddress): boolean {
	if (address.kind === 'abstract') {
		const name = Buffer.from(`\0${address.name}`).toString('latin1');
		return allUnixSockets().some((row) => row.name === name && accepts(row));
	}
	using place = FilePlace.open(address, false);
	const handle = place?.openHandle('socket');
	if (!place || handle === undefined) return false;
	try {
		if (!isAlive(handle, place)) return false;
		const rows = allUnixSockets().filter((row) => isBoundTo(row, fstatSync(handle)));
		// A listener in another network namespace is not in the list: then only connecting can tell.
		return rows.length > 0 ? rows.some(accepts) : canConnect(address);
	} finally {
		closeSync(handle);
	}
}

function canConnect(address: LocalAddress): boolean {
	try {
		LocalSocket.tryConnect(address, {timeoutMs: 0})?.close();
		return true;
	} catch (error) {
		return hasCode(error, 'EAGAIN') || (error instanceof Error && hasCode(error.cause, 'EPROTOTYPE'));
	}
}

/** Sleeps, and ends early with EINTR when a signal that is caught wants it. */
export const pause = (ms: number): void => {
	native.poll(new Int32Array(0), ms);
};
