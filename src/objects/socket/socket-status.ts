import {closeSync, fstatSync, lstatSync, type Stats} from 'node:fs';
import {DirectoryEntry} from '../../common/directory-entry.js';
import {explain, hasCode, quoted} from '../../common/errors.js';
import {octalMode} from '../../common/formats/mode.js';
import {CannotSee, commandOf} from '../../common/process/proc.js';
import {native, SOCK_DGRAM, TCP_ESTABLISHED, TCP_LISTEN, type UnixSocketRow} from '../../native/index.js';
import {isAlive, type SocketType, typeOfNumber} from './local-socket.js';
import {formatSocketAddress, type LocalAddress} from './socket-address.js';
import {allUnixSockets, holdersOf, isBoundTo, isReachable} from './unix-sockets.js';

export interface SocketUser {
	pid: number;
	/** null if it is unknown. */
	uid: number | null;
	command: string;
}

/** The status of a socket; the keys are those of --json. */
export interface SocketStatus {
	name: string;
	/** null for an abstract name. */
	path: string | null;
	/** null if it is unknown: of a stale socket. */
	type: SocketType | null;
	/** `stale`: its file exists, and no process uses it. `bound`: a datagram socket, or one that does not listen yet. */
	state: 'listening' | 'bound' | 'stale';
	/** Octal; null for an abstract name. */
	mode: string | null;
	owner: string | null;
	/** Pending connections, and their maximum. */
	waiting: number | null;
	backlog: number | null;
	/** Processes that use it; only root sees processes of other users. Null where /proc shows no processes. */
	listeners: SocketUser[] | null;
	/** The peers of its connections; null as well. */
	peers: SocketUser[] | null;
	/** Number of connections, whether or not their peers are visible. */
	connections: number;
}

interface Found {
	name: string;
	path: string | null;
	rows: UnixSocketRow[];
	mode: string | null;
	owner: string | null;
	isStale: boolean;
}

/** Looks at sockets without disturbing their processes; skips missing ones. */
export function lookAtSockets(addresses: readonly LocalAddress[]): SocketStatus[] {
	const all = allUnixSockets();
	return describe(
		all,
		addresses.map((address) => find(all, address)).filter((found) => found !== undefined),
	);
}

/** Every socket of this machine that listens or receives datagrams and has a name, in any folder. */
export function lookAtAllSockets(): SocketStatus[] {
	const all = allUnixSockets();
	const named = new Map<string, UnixSocketRow[]>();
	for (const row of all) {
		if (row.name === undefined || row.name === '') continue;
		named.set(row.name, [...(named.get(row.name) ?? []), row]);
	}
	const found = [...named].flatMap(([name, rows]): Found[] => {
		// A socket with a peer of its own is the other end of a connection.
		if (!rows.some((row) => isReachable(row) && !(row.state === TCP_ESTABLISHED && row.peer))) return [];
		const bytes = Buffer.from(name, 'latin1').toString();
		if (bytes.startsWith('\0'))
			return [{name: `@${bytes.slice(1)}`, path: null, rows, mode: null, owner: null, isStale: false}];
		const shown = formatSocketAddress({kind: 'path', path: bytes});
		return [{name: shown, path: bytes, rows, ...accessOf(bytes, rows), isStale: false}];
	});
	return describe(
		all,
		found.sort((a, b) => (a.name < b.name ? -1 : 1)),
	);
}

/** Of the file with that path, if it is the one that the socket was bound to: it may have gone, or be another's by now. */
function accessOf(path: string, rows: readonly UnixSocketRow[]): Pick<Found, 'mode' | 'owner'> {
	const none = {mode: null, owner: null};
	// Where another process was when it bound to a path that is not absolute, is not known.
	if (!path.startsWith('/')) return none;
	try {
		const stats = lstatSync(path);
		return rows.some((row) => isBoundTo(row, stats)) ? describeAccess(stats) : none;
	} catch (error) {
		if (hasCode(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP', 'ENAMETOOLONG')) return none;
		throw explain(`cannot look at ${quoted(path)}`, error);
	}
}

const describeAccess = ({mode, uid}: Stats): {mode: string; owner: string} => ({
	mode: octalMode(mode),
	owner: native.userName(uid) ?? String(uid),
});

function find(all: readonly UnixSocketRow[], address: LocalAddress): Found | undefined {
	const name = formatSocketAddress(address);
	if (address.kind === 'abstract') {
		const wanted = Buffer.from(`\0${address.name}`).toString('latin1');
		const rows = all.filter((row) => row.name === wanted);
		return rows.length > 0 ? {name, path: null, rows, mode: null, owner: null, isStale: false} : undefined;
	}
	using place = DirectoryEntry.open(address, false);
	const handle = place?.openHandle('socket');
	if (!place || handle === undefined) return undefined;
	try {
		const stats = fstatSync(handle);
		const rows = all.filter((row) => isBoundTo(row, stats));
		return {
			name,
			path: place.path,
			rows,
			...describeAccess(stats),
			isStale: rows.length === 0 && !isAliveOrHidden(handle, place),
		};
	} finally {
		closeSync(handle);
	}
}

function isAliveOrHidden(handle: number, place: DirectoryEntry): boolean {
	try {
		return isAlive(handle, place);
	} catch {
		// We have no permission to ask.
		return true;
	}
}

function describe(all: readonly UnixSocketRow[], found: readonly Found[]): SocketStatus[] {
	const byInode = new Map(all.map((row) => [row.inode, row]));
	const own = (rows: UnixSocketRow[]) => rows.filter(isReachable);
	const connectedTo = new Map<number, UnixSocketRow[]>();
	for (const row of all) if (row.peer) connectedTo.set(row.peer, [...(connectedTo.get(row.peer) ?? []), row]);
	/** The inodes of the other ends: of a connection there is one, of a datagram socket as many as have connected to it. */
	const ends = (rows: UnixSocketRow[]) =>
		rows.flatMap((row) => {
			if (row.type === SOCK_DGRAM) return (connectedTo.get(row.inode) ?? []).map(({inode}) => inode);
			return row.state === TCP_ESTABLISHED && row.peer ? [row.peer] : [];
		});
	const connectionsOf = (rows: UnixSocketRow[]) =>
		rows.filter((row) => !isReachable(row)).length + ends(rows.filter(({type}) => type === SOCK_DGRAM)).length;
	const holders = holdersOf(found.flatMap(({rows}) => [...own(rows).map(({inode}) => inode), ...ends(rows)]));
	const usersOf = (inodes: readonly number[]): SocketUser[] | null => {
		if (holders instanceof CannotSee) return null;
		const users = new Map<number, SocketUser>();
		for (const inode of inodes)
			for (const {pid} of holders.get(inode) ?? [])
				users.set(pid, {pid, uid: byInode.get(inode)?.uid ?? null, command: commandOf(pid)});
		return [...users.values()].sort((a, b) => a.pid - b.pid);
	};
	return found.map(({name, path, rows, mode, owner, isStale}): SocketStatus => {
		const listener = own(rows)[0] ?? rows[0];
		const isListening = listener?.state === TCP_LISTEN;
		return {
			name,
			path,
			type: listener ? typeOfNumber(listener.type) : null,
			state: isStale ? 'stale' : isListening ? 'listening' : 'bound',
			mode,
			owner,
			waiting: isListening ? (listener.receiveQueue ?? null) : null,
			backlog: isListening ? (listener.sendQueue ?? null) : null,
			listeners: usersOf(own(rows).map(({inode}) => inode)),
			peers: usersOf(ends(rows)),
			connections: connectionsOf(rows),
		};
	});
}
