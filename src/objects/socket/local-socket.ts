import {closeSync, fchmodSync, fstatSync, lstatSync} from 'node:fs';
import {Deadline} from '../../common/deadline.js';
import {DirectoryEntry} from '../../common/directory-entry.js';
import {attempt, explain, hasCode, quoted, SystemError} from '../../common/errors.js';
import {defaultMode} from '../../common/formats/mode.js';
import {type FileIdentity, identityKey} from '../../common/process/proc.js';
import {isReady} from '../../common/waiting.js';
import {
	AF_UNIX,
	MSG_DONTWAIT,
	native,
	O_NONBLOCK,
	POLLIN,
	POLLOUT,
	SHUT_WR,
	SO_PASSCRED,
	SO_TYPE,
	SOCK_DGRAM,
	SOCK_NONBLOCK,
	SOCK_SEQPACKET,
	SOCK_STREAM,
	SOL_SOCKET,
	type UnixSocketRow,
} from '../../native/index.js';
import {connectReasons, NoSuchSocket} from './connect-errors.js';
import {formatSocketAddress, isLocal, type LocalAddress, parseSocketAddress} from './socket-address.js';
import {bindAddress, handleAddress, sockaddrUn} from './unix-address.js';
import {allUnixSockets, describeHolders, isBoundTo, isOwn} from './unix-sockets.js';

export type SocketType = 'stream' | 'dgram' | 'seqpacket';

const typeNumbers: Record<SocketType, number> = {stream: SOCK_STREAM, dgram: SOCK_DGRAM, seqpacket: SOCK_SEQPACKET};

export const typeOfNumber = (number: number): SocketType =>
	number === SOCK_DGRAM ? 'dgram' : number === SOCK_SEQPACKET ? 'seqpacket' : 'stream';

const longestPauseMs = 20;

/** The process at the other end, as of the moment it connected or began to listen. unix(7), SO_PEERCRED */
export interface PeerCredentials {
	/** 0 if the kernel has no PID for it in this namespace: a process in another container. */
	pid: number;
	uid: number;
	gid: number;
}

export interface ConnectSettings {
	/** Default: stream. */
	type?: SocketType | undefined;
	/**
	 * How long to wait for room in the listener's queue, in milliseconds; negative (default): without limit; 0: not at
	 * all.
	 */
	timeoutMs?: number | undefined;
}

export interface ListenSettings {
	/** Default: stream. */
	type?: SocketType | undefined;
	/** Permission bits of the socket file; the umask applies. Default 0600. */
	mode?: number | undefined;
	/** Only the mode counts, not the umask. umask(2) */
	ignoresUmask?: boolean | undefined;
	/** Maximum number of pending connections. Default: the maximum of the system (net.core.somaxconn). */
	backlog?: number | undefined;
}

/** A socket file of ours; close removes it if it still is ours. */
interface OwnFile {
	place: DirectoryEntry;
	identity: FileIdentity;
}

/**
 * A local socket: a connection, a listener, or a datagram socket. unix(7)
 *
 * Its descriptor never blocks; callers that wait use poll(2).
 *
 * @example
 * ```ts
 * import {LocalSocket} from 'ipc-tools';
 *
 * using listener = LocalSocket.listen('example');
 * using client = LocalSocket.connect('example');
 * using server = listener.accept(2000);
 * console.log(server?.peer.pid === process.pid); // true
 * console.log(client.send(Buffer.from('hello'), {timeoutMs: 2000})); // true
 * ```
 */
export class LocalSocket implements Disposable {
	private isOpen = true;

	private constructor(
		readonly descriptor: number,
		readonly type: SocketType,
		/** The address as the user wrote it. */
		readonly shownName: string,
		private readonly file: OwnFile | undefined,
	) {}

	/**
	 * Connects to a listener. Waits only if the listener's queue is full. connect(2)
	 *
	 * @throws SystemError when no process listens, with the reason; a KernelError with ETIMEDOUT after `timeoutMs`, and
	 * with EAGAIN when that is 0 and the queue is full.
	 */
	static connect(name: string | LocalAddress, {type = 'stream', timeoutMs = -1}: ConnectSettings = {}): LocalSocket {
		const address = toLocal(name);
		const shown = formatSocketAddress(address);
		const waits = timeoutMs !== 0;
		const descriptor = newSocket(type, !waits);
		try {
			// Packets carry their sender, so that an empty packet differs from the end; and our socket gets a name for
			// answers. unix(7)
			if (type !== 'stream') native.setsockopt(descriptor, SOL_SOCKET, SO_PASSCRED, 1);
			withTarget(address, (target) => native.connect(descriptor, target, waits ? timeoutMs : -1));
			if (waits) native.fcntlSetfl(descriptor, native.fcntlGetfl(descriptor) | O_NONBLOCK);
			return new LocalSocket(descriptor, type, shown, undefined);
		} catch (error) {
			closeSync(descriptor);
			if (hasCode(error, 'EAGAIN')) throw error;
			throw explain(`cannot connect to ${quoted(shown)}`, error, connectReasons(address, type));
		}
	}

	/**
	 * The same, but undefined when no process listens there now: no such file, or a file that its listener left behind.
	 */
	static tryConnect(name: string | LocalAddress, settings: ConnectSettings = {}): LocalSocket | undefined {
		try {
			return LocalSocket.connect(name, settings);
		} catch (error) {
			if (error instanceof SystemError && hasCode(error.cause, 'ENOENT', 'ECONNREFUSED')) return undefined;
			throw error;
		}
	}

	/**
	 * Listens: from its return on clients can connect (datagrams can be sent). A socket file of a dead process is
	 * replaced; no client can connect before the mode is set. `close` removes the file. Never blocks. bind(2), listen(2)
	 *
	 * @throws SystemError when another process listens there, naming that process, or when the name belongs to something
	 * that is not a socket.
	 */
	static listen(
		name: string | LocalAddress,
		{type = 'stream', mode = defaultMode, ignoresUmask = false, backlog = 2 ** 31 - 1}: ListenSettings = {},
	): LocalSocket {
		const address = toLocal(name);
		const shown = formatSocketAddress(address);
		const descriptor = newSocket(type, true);
		let file: OwnFile | undefined;
		const umask = ignoresUmask ? process.umask(0) : undefined;
		try {
			// A socket has a mode before it has a name; its file gets that mode (less the umask) together with the name.
			fchmodSync(descriptor, mode);
			if (type !== 'stream') native.setsockopt(descriptor, SOL_SOCKET, SO_PASSCRED, 1);
			const startListening = () => {
				if (type !== 'dgram') native.listen(descriptor, backlog);
			};
			if (address.kind === 'abstract') {
				bindAbstract(descriptor, address.name);
				startListening();
			} else {
				const place = DirectoryEntry.open(address, true) as DirectoryEntry;
				try {
					file = {place, identity: place.withLock(() => bindFile(descriptor, place, startListening))};
				} catch (error) {
					place[Symbol.dispose]();
					throw error;
				}
			}
			return new LocalSocket(descriptor, type, shown, file);
		} catch (error) {
			closeSync(descriptor);
			throw explain(`cannot listen on ${quoted(shown)}`, error, {
				EROFS: 'the file system is read-only',
				EACCES: 'permission denied: its folder is not writable',
			});
		} finally {
			if (umask !== undefined) process.umask(umask);
		}
	}

	/**
	 * Removes a socket file of a dead process; with `force` also that of a living one, which keeps its connections and
	 * gets no new ones. unlink(2)
	 *
	 * @throws SystemError when there is none, when a process uses it, naming that process, or when it is not a socket.
	 */
	static remove(name: string | LocalAddress, {force = false} = {}): void {
		const address = toLocal(name);
		const tried = `cannot remove ${quoted(formatSocketAddress(address))}`;
		if (address.kind === 'abstract')
			throw new SystemError(`${tried}: an abstract name disappears with the process that uses it`);
		using place = DirectoryEntry.open(address, false);
		if (!place) throw new SystemError(`${tried}: no such socket`);
		place.withLock(() => {
			const handle = place.openHandle('socket', false);
			if (handle === undefined) throw new SystemError(`${tried}: no such socket`);
			try {
				if (!force && isAlive(handle, place))
					throw new SystemError(`${tried}: ${ownerOf(handle)} uses it`, {reason: 'socket-in-use'});
				attempt(tried, () => native.unlinkat(place.folder, place.name));
			} finally {
				closeSync(handle);
			}
		});
	}

	/** A socket that another process made: a descriptor we were started with. */
	static adopt(descriptor: number, shownName: string): LocalSocket {
		const type = typeOfNumber(native.getsockopt(descriptor, SOL_SOCKET, SO_TYPE));
		return new LocalSocket(descriptor, type, shownName, undefined);
	}

	/**
	 * The next connection; waits for one, `timeoutMs` at most (negative: without limit). Undefined when there was none.
	 * accept(2)
	 */
	accept(timeoutMs = -1): LocalSocket | undefined {
		const deadline = new Deadline(timeoutMs);
		for (;;) {
			const accepted = this.tryAccept();
			if (accepted) return accepted;
			if (deadline.hasPassed) return undefined;
			this.wait(POLLIN, deadline.waitMs());
		}
	}

	/** The same without waiting. */
	tryAccept(): LocalSocket | undefined {
		for (;;) {
			try {
				const accepted = native.accept4(this.descriptor, SOCK_NONBLOCK);
				return accepted < 0 ? undefined : new LocalSocket(accepted, this.type, this.shownName, undefined);
			} catch (error) {
				// The client connected and has disconnected already.
				if (!hasCode(error, 'ECONNABORTED')) throw explain(`cannot accept on ${quoted(this.shownName)}`, error);
			}
		}
	}

	/** The process at the other end of a connection; for a listener, this process. unix(7), SO_PEERCRED */
	get peer(): PeerCredentials {
		const [pid, uid, gid] = native.getsockoptPeercred(this.descriptor);
		return {pid, uid, gid};
	}

	/** The supplementary groups of the other end; none if the kernel does not tell. unix(7), SO_PEERGROUPS */
	get peerGroups(): number[] {
		try {
			return native.getsockoptPeergroups(this.descriptor);
		} catch (error) {
			if (hasCode(error, 'ENOPROTOOPT', 'ENODATA', 'EUNKNOWN')) return [];
			throw error;
		}
	}

	/**
	 * A descriptor of the peer's process, which stands for that process only, even if its PID is reused; undefined before
	 * Linux 6.5, or when the process has ended. The caller closes it. unix(7), SO_PEERPIDFD
	 */
	peerPidfd(): number | undefined {
		try {
			return native.getsockoptPeerpidfd(this.descriptor);
		} catch (error) {
			if (hasCode(error, 'ENOPROTOOPT', 'ESRCH', 'ENODATA', 'EINVAL', 'EUNKNOWN')) return undefined;
			throw error;
		}
	}

	/** Whether it is ready (POLLIN, POLLOUT) within that time; negative: without limit. poll(2) */
	wait(events: number, timeoutMs: number): boolean {
		return isReady(this.descriptor, events, timeoutMs);
	}

	/**
	 * Sends one datagram or packet, or all of these bytes on a stream; waits for room. False when that took too long:
	 * `onTaken` is called for every part of a stream that was sent all the same. send(2)
	 */
	send(
		data: Uint8Array,
		{descriptors = [] as readonly number[], timeoutMs = -1, onTaken = (_bytes: number): void => {}} = {},
	): boolean {
		const deadline = new Deadline(timeoutMs);
		let rights = Int32Array.from(descriptors);
		for (let offset = 0; ; ) {
			const sent = native.sendmsg(this.descriptor, data, offset, data.length - offset, rights, 0);
			if (sent >= 0) {
				offset += sent;
				onTaken(offset);
				rights = new Int32Array();
				if (this.type !== 'stream' || offset >= data.length) return true;
				continue;
			}
			if (deadline.hasPassed) return false;
			this.wait(POLLOUT, deadline.waitMs());
		}
	}

	/**
	 * Waits until the peer has read all that was sent, and discards what the peer sends meanwhile. False when the peer
	 * has read nothing for `timeoutMs` (negative: without limit). No event reports it, so the kernel is asked repeatedly.
	 * unix(7), SIOCOUTQ
	 *
	 * @throws KernelError with ECONNRESET when the peer has disconnected without reading all.
	 */
	waitUntilRead(timeoutMs = -1): boolean {
		const scratch = Buffer.allocUnsafe(65_536);
		let before = -1;
		let deadline = new Deadline(timeoutMs);
		for (let pauseMs = 0; ; pauseMs = Math.min(longestPauseMs, pauseMs + 1)) {
			const unread = native.ioctlSiocoutq(this.descriptor);
			// A peer that disconnects discards what it has not read: the error is there before the data shows as read.
			const {count, descriptors} = native.recvmsg(this.descriptor, scratch, 0, scratch.length, MSG_DONTWAIT);
			for (const descriptor of descriptors) closeSync(descriptor);
			if (unread === 0) return true;
			if (unread !== before) {
				before = unread;
				deadline = new Deadline(timeoutMs);
				pauseMs = 0;
			} else if (deadline.hasPassed) {
				return false;
			}
			// A peer that has ended its output would be readable all the time.
			isReady(this.descriptor, count === 0 ? 0 : POLLIN, pauseMs);
		}
	}

	/** No more bytes from us: the peer reads an end, and may still answer. shutdown(2) */
	endOutput(): void {
		try {
			native.shutdown(this.descriptor, SHUT_WR);
		} catch (error) {
			// The peer has disconnected.
			if (!hasCode(error, 'ENOTCONN')) throw error;
		}
	}

	/** Gives the descriptor away: the caller closes it, and this object must not be used any more. */
	detach(): number {
		this.isOpen = false;
		return this.descriptor;
	}

	/** The socket file, if this is a listener with one. */
	get identity(): FileIdentity | undefined {
		return this.file?.identity;
	}

	/** Removes the socket file if it is still ours, and closes the socket. */
	[Symbol.dispose](): void {
		if (!this.isOpen) return;
		this.isOpen = false;
		try {
			// Before the socket is closed: as long as it is open no other file can have its inode number.
			if (this.file) removeOwn(this.file);
		} finally {
			closeSync(this.descriptor);
			this.file?.place[Symbol.dispose]();
		}
	}

	close(): void {
		this[Symbol.dispose]();
	}
}

function newSocket(type: SocketType, isNonblocking: boolean): number {
	return native.socket(AF_UNIX, typeNumbers[type] | (isNonblocking ? SOCK_NONBLOCK : 0), 0);
}

function toLocal(name: string | LocalAddress): LocalAddress {
	const address = typeof name === 'string' ? parseSocketAddress(name) : name;
	if (!isLocal(address)) throw new SystemError(`${quoted(formatSocketAddress(address))} is not a local socket`);
	return address;
}

/** Calls with the kernel's form of an address to connect to. @throws KernelError with ENOENT when there is none */
function withTarget<Result>(address: LocalAddress, work: (target: Uint8Array) => Result): Result {
	if (address.kind === 'abstract') return work(sockaddrUn(`\0${address.name}`));
	using place = DirectoryEntry.open(address, false);
	const handle = place?.openHandle('socket');
	if (handle === undefined) throw new NoSuchSocket(formatSocketAddress(address));
	try {
		return work(handleAddress(handle));
	} finally {
		closeSync(handle);
	}
}

function bindAbstract(descriptor: number, name: string): void {
	try {
		native.bind(descriptor, sockaddrUn(`\0${name}`));
	} catch (error) {
		if (!hasCode(error, 'EADDRINUSE')) throw error;
		const wanted = Buffer.from(`\0${name}`).toString('latin1');
		const rows = allUnixSockets().filter((row) => row.name === wanted);
		throw new SystemError(`cannot listen on ${quoted(`@${name}`)}: ${describeOwner(rows)} already uses it`);
	}
}

/** Under the lock of the folder: binds, replacing the file of a dead process, and returns the identity of the file. */
function bindFile(descriptor: number, place: DirectoryEntry, startListening: () => void): FileIdentity {
	const address = bindAddress(place);
	// Programs that do not use the lock may bind in between.
	for (let attempts = 0; attempts < 10; attempts++) {
		const handle = place.openHandle('socket', false);
		if (handle !== undefined) {
			try {
				const {dev, ino} = fstatSync(handle);
				if (isAlive(handle, place))
					throw new SystemError(`cannot listen on ${place.shown}: ${ownerOf(handle)} already uses it`);
				const now = place.openHandle('socket', false);
				const isSame = now !== undefined && identityKey(fstatSync(now)) === identityKey({dev, ino});
				if (now !== undefined) closeSync(now);
				if (!isSame) continue;
				attempt(`cannot replace ${place.shown}, which a dead process left behind`, () =>
					native.unlinkat(place.folder, place.name),
				);
			} finally {
				closeSync(handle);
			}
		}
		try {
			native.bind(descriptor, address);
		} catch (error) {
			if (hasCode(error, 'EADDRINUSE')) continue;
			throw error;
		}
		try {
			const {dev, ino} = lstatSync(place.pathInFolder);
			startListening();
			return {dev, ino};
		} catch (error) {
			native.unlinkat(place.folder, place.name);
			throw error;
		}
	}
	throw new SystemError(`cannot listen on ${place.shown}: other processes keep creating it`);
}

/**
 * Whether a process uses this socket, without disturbing it: a datagram socket can be connected to it without a trace,
 * and a stream socket refuses because its type differs. Only if no process uses it, the answer is ECONNREFUSED. unix(7)
 */
export function isAlive(handle: number, {shown}: {shown: string}): boolean {
	const probe = newSocket('dgram', true);
	try {
		native.connect(probe, handleAddress(handle), -1);
		return true;
	} catch (error) {
		if (hasCode(error, 'ECONNREFUSED')) return false;
		if (hasCode(error, 'EPROTOTYPE', 'EAGAIN')) return true;
		// A connected datagram socket refuses other senders, and is alive.
		if (hasCode(error, 'EPERM')) return true;
		throw explain(`cannot find out if a process listens on ${shown}`, error);
	} finally {
		closeSync(probe);
	}
}

/** The process that uses the socket, in words. */
export function ownerOf(handle: number): string {
	const stats = fstatSync(handle);
	return describeOwner(allUnixSockets().filter((row) => isBoundTo(row, stats)));
}

/**
 * The kernel does not show which process of another user it is. Only a connection would tell: that is the one client that
 * `ipc-sock listen` waits for, and a command that a server starts.
 */
function describeOwner(rows: readonly UnixSocketRow[]): string {
	const [uid, ...more] = [...new Set(rows.map((row) => row.uid))];
	const isForeign = more.length === 0 && uid !== undefined && uid !== process.geteuid?.();
	const user = isForeign ? `a process of ${native.userName(uid) ?? `user ${uid}`}` : 'another process';
	return describeHolders(rows) ?? (isOwn(rows) ? 'this process' : user);
}

function removeOwn({place, identity}: OwnFile): void {
	try {
		place.cleanUpWithLock(() => {
			// Opens no descriptor: this has to work when the descriptors are used up.
			const now = lstatSync(place.pathInFolder);
			if (now.dev === identity.dev && now.ino === identity.ino) native.unlinkat(place.folder, place.name);
		});
	} catch (error) {
		// The file has been removed already, or we have no permission: there is nothing left to clean up.
		if (!hasCode(error, 'ENOENT', 'EACCES', 'EPERM', 'EROFS') && !(error instanceof SystemError)) throw error;
	}
}
