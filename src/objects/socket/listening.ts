import {closeSync, fstatSync, readFileSync} from 'node:fs';
import {DirectoryEntry} from '../../common/directory-entry.js';
import {hasCode} from '../../common/errors.js';
import {SOCK_DGRAM, TCP_LISTEN, type UnixSocketRow} from '../../native/index.js';
import {connectTcp} from './inet.js';
import {isAlive, LocalSocket} from './local-socket.js';
import {isLocal, isLoopback, type LocalAddress, type NetworkAddress, type SocketAddress} from './socket-address.js';
import {allUnixSockets, isBoundTo} from './unix-sockets.js';

const accepts = ({state, type}: UnixSocketRow): boolean => state === TCP_LISTEN || type === SOCK_DGRAM;

/**
 * Whether a process accepts connections (or receives datagrams) there now. The listener of a local socket does not
 * notice the check.
 */
export function isListening(address: SocketAddress, connectMs: number): boolean | Promise<boolean> {
	if (isLocal(address)) return isLocalListening(address);
	const isHere = isListeningHere(address);
	if (isHere !== undefined) return isHere;
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

/** On this machine the kernel's table tells, without a connection; undefined for other hosts. proc(5), /proc/net/tcp */
function isListeningHere({host, port}: NetworkAddress): boolean | undefined {
	if (!isLoopback(host)) return undefined;
	const wanted = port.toString(16).toUpperCase().padStart(4, '0');
	const tables = ['tcp', 'tcp6'].map((name) => {
		try {
			return readFileSync(`/proc/net/${name}`, 'latin1');
		} catch {
			return undefined;
		}
	});
	// Without /proc only connecting can tell.
	if (tables.every((table) => table === undefined)) return undefined;
	const isOpen = (table: string | undefined, addresses: RegExp) =>
		[...(table ?? '').matchAll(/^ *\d+: ([0-9A-F]+):([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} 0A /gm)].some(
			([, address, found]) => found === wanted && addresses.test(address as string),
		);
	// The loopback addresses and the wildcard addresses, as the kernel writes them.
	return (
		isOpen(tables[0], /^(0{8}|[0-9A-F]{6}7F)$/) ||
		isOpen(tables[1], /^(0{32}|0{24}01000000|0{16}FFFF0000[0-9A-F]{6}7F)$/)
	);
}

function isLocalListening(address: LocalAddress): boolean {
	if (address.kind === 'abstract') {
		const name = Buffer.from(`\0${address.name}`).toString('latin1');
		return allUnixSockets().some((row) => row.name === name && accepts(row));
	}
	using place = DirectoryEntry.open(address, false);
	const handle = place?.openHandle('socket');
	if (!place || handle === undefined) return false;
	try {
		if (!isAlive(handle, place)) return false;
		const stats = fstatSync(handle);
		const rows = allUnixSockets().filter((row) => isBoundTo(row, stats));
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
