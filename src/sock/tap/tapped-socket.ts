import {chownSync, closeSync, fstatSync, lstatSync} from 'node:fs';
import {DirectoryEntry} from '../../common/directory-entry.js';
import {attempt, explain, hasCode, quoted, SystemError} from '../../common/errors.js';
import type {FileIdentity} from '../../common/process/proc.js';
import {native, O_NOFOLLOW, O_PATH, RENAME_EXCHANGE, SOCK_STREAM, TCP_LISTEN} from '../../native/index.js';
import {isAlive, LocalSocket, ownerOf} from '../../objects/socket/local-socket.js';
import {formatSocketAddress, type LocalAddress} from '../../objects/socket/socket-address.js';
import {allUnixSockets, isBoundTo} from '../../objects/socket/unix-sockets.js';

/** The name of a live socket while it is tapped. */
const aside = (name: string): string => `${name}.tapped`;

type FileAddress = LocalAddress & {kind: 'name' | 'path'};

const asideOf = (address: FileAddress): FileAddress =>
	address.kind === 'name' ? {kind: 'name', name: aside(address.name)} : {kind: 'path', path: aside(address.path)};

/**
 * A socket of ours in the place of a live one, which has been renamed and can still be reached by its new name. The two
 * names are exchanged at once, so clients find one or the other at any moment. renameat2(2), RENAME_EXCHANGE
 */
export class TappedSocket implements Disposable {
	private isInPlace = true;

	private constructor(
		/** Gets the connections that were meant for the live socket. */
		readonly listener: LocalSocket,
		/** The present address of the live socket. */
		readonly target: LocalAddress,
		private readonly place: DirectoryEntry,
		private readonly other: FileIdentity,
	) {}

	/** @throws SystemError when no process listens there, or when the file system cannot exchange names */
	static stepInFrontOf(address: FileAddress): TappedSocket {
		const shown = quoted(formatSocketAddress(address));
		const tried = `cannot tap ${shown}`;
		putBackIfLeft(address);
		const place = DirectoryEntry.open(address, false);
		const handle = place?.openHandle('socket', false);
		if (!place || handle === undefined) throw new SystemError(`${tried}: no such socket`);
		let listener: LocalSocket | undefined;
		try {
			if (!isAlive(handle, place)) throw new SystemError(`${tried}: no process listens there`);
			const {dev, ino, mode, uid, gid} = fstatSync(handle);
			const rows = allUnixSockets().filter((row) => isBoundTo(row, {dev, ino}));
			if (rows.length > 0 && !rows.some(({type, state}) => type === SOCK_STREAM && state === TCP_LISTEN))
				throw new SystemError(`${tried}: it is not a listening stream socket`);
			// A client that may connect to the live socket may connect to ours.
			listener = LocalSocket.listen(asideOf(address), {mode: mode & 0o777, ignoresUmask: true});
			if (process.geteuid?.() === 0) giveTo(uid, gid, listener, place, tried);
			attempt(tried, () => native.renameat2(place.folder, aside(place.name), place.name, RENAME_EXCHANGE), {
				EINVAL: 'its file system cannot exchange two names',
			});
			return new TappedSocket(listener, asideOf(address), place, {dev, ino});
		} catch (error) {
			listener?.close();
			place[Symbol.dispose]();
			throw error;
		} finally {
			closeSync(handle);
		}
	}

	/**
	 * Restores the live socket; returns false when another process has changed things meanwhile, and nothing was done.
	 */
	putBack(): boolean {
		if (!this.isInPlace) return true;
		this.isInPlace = false;
		const {place} = this;
		try {
			return place.cleanUpWithLock(() => {
				const pathOf = (name: string) => `/proc/self/fd/${place.folder}/${name}`;
				const moved = lstatSync(pathOf(aside(place.name)));
				if (moved.dev !== this.other.dev || moved.ino !== this.other.ino) return false;
				const ours = this.listener.identity;
				const now = lstatSync(pathOf(place.name), {throwIfNoEntry: false});
				// Another process has put a new socket there: it stays.
				if (now && (now.dev !== ours?.dev || now.ino !== ours.ino)) return false;
				if (this.isOtherAlive()) {
					native.renameat2(place.folder, aside(place.name), place.name, 0);
				} else {
					// The server has ended, and the file it meant to remove was ours: nothing stays.
					native.unlinkat(place.folder, aside(place.name));
					if (now) native.unlinkat(place.folder, place.name);
				}
				return true;
			});
		} catch (error) {
			// The server has ended meanwhile, and removed its file or ours.
			if (hasCode(error, 'ENOENT')) return false;
			throw explain(`cannot restore ${place.shown}`, error);
		}
	}

	private isOtherAlive(): boolean {
		const handle = native.openat(this.place.folder, aside(this.place.name), O_PATH | O_NOFOLLOW, 0, -1);
		try {
			return isAlive(handle, this.place);
		} finally {
			closeSync(handle);
		}
	}

	[Symbol.dispose](): void {
		try {
			this.putBack();
		} finally {
			this.listener.close();
			this.place[Symbol.dispose]();
		}
	}
}

/**
 * Changes the owner of our socket file. The folder may belong to another user, who can put any file, or a link to one, in
 * its place at any moment. So the file is opened without following a link, is checked to be the socket that we listen on,
 * and its owner is changed through that handle.
 *
 * @throws SystemError when it is not that socket any more
 */
function giveTo(uid: number, gid: number, listener: LocalSocket, place: DirectoryEntry, tried: string): void {
	const name = aside(place.name);
	const replaced = () => new SystemError(`${tried}: another process has replaced ${quoted(name)}`);
	const handle = attempt(tried, () => native.openat(place.folder, name, O_PATH | O_NOFOLLOW, 0, -1));
	try {
		if (!fstatSync(handle).isSocket() || !isOurs(handle, listener)) throw replaced();
		attempt(tried, () => chownSync(`/proc/self/fd/${handle}`, uid, gid));
	} finally {
		closeSync(handle);
	}
}

/** Whether this process listens on the socket: the kernel reports the listening process to a client. unix(7), SO_PEERCRED */
function isOurs(handle: number, listener: LocalSocket): boolean {
	using probe = LocalSocket.tryConnect({kind: 'path', path: `/proc/self/fd/${handle}`}, {timeoutMs: 0});
	if (probe?.peer.pid !== process.pid || probe.peer.uid !== process.geteuid?.()) return false;
	// The probe is not a client.
	for (let accepted = listener.tryAccept(); accepted; accepted = listener.tryAccept()) {
		const isProbe = accepted.peer.pid === process.pid;
		accepted.close();
		if (isProbe) return true;
	}
	return false;
}

/**
 * A tap that was killed (SIGKILL) leaves a dead socket, and the live one renamed: this restores it. Returns whether it
 * was restored.
 *
 * @throws SystemError when another tap is running
 */
export function putBackIfLeft(address: FileAddress): boolean {
	using place = DirectoryEntry.open(address, false);
	if (!place) return false;
	return place.withLock(() => {
		let moved: number;
		try {
			moved = native.openat(place.folder, aside(place.name), O_PATH | O_NOFOLLOW, 0, -1);
		} catch (error) {
			if (hasCode(error, 'ENOENT', 'ENAMETOOLONG')) return false;
			throw explain(`cannot look beside ${place.shown}`, error);
		}
		const front = place.openHandle('socket', false);
		try {
			if (!fstatSync(moved).isSocket() || !isAlive(moved, place)) return false;
			if (front !== undefined && isAlive(front, place))
				throw new SystemError(`${place.shown} is already tapped by ${ownerOf(front)}`);
			native.renameat2(place.folder, aside(place.name), place.name, 0);
			return true;
		} finally {
			closeSync(moved);
			if (front !== undefined) closeSync(front);
		}
	});
}
