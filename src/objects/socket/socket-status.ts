import {closeSync, fstatSync} from 'node:fs';
import {DirectoryEntry} from '../../common/directory-entry.js';
import {octalMode} from '../../common/formats/mode.js';
import {CannotSee, commandOf} from '../../common/process/proc.js';
import {native, TCP_ESTABLISHED, TCP_LISTEN, type UnixSocketRow} from '../../native/index.js';
import {isAlive, type SocketType, typeOfNumber} from './local-socket.js';
import {formatSocketAddress, type LocalAddress} from './socket-address.js';
import {allUnixSockets, holdersOf, isBoundTo} from './unix-sockets.js';

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
		if (!rows.some(({state}) => state !== TCP_ESTABLISHED)) return [];
		const bytes = Buffer.from(name, 'latin1').toString();
		if (!bytes.startsWith('\0')) return [{name: bytes, path: bytes, rows, mode: null, owner: null, isStale: false}];
		return [{name: `@${bytes.slice(1)}`, path: null, rows, mode: null, owner: null, isStale: false}];
	});
	return describe(
		all,
		found.sort((a, b) => (a.name < b.name ? -1 : 1)),
	);
}

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
			mode: octalMode(stats.mode),
			owner: native.userName(stats.uid) ?? String(stats.uid),
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
	const own = (rows: UnixSocketRow[]) => rows.filter(({state}) => state !== TCP_ESTABLISHED);
	const ends = (rows: UnixSocketRow[]) =>
		rows.filter(({state, peer}) => state === TCP_ESTABLISHED && peer).map(({peer}) => peer as number);
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
			connections: rows.filter(({state}) => state === TCP_ESTABLISHED).length,
		};
	});
}
