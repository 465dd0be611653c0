import {closeSync, fstatSync, readdirSync, readFileSync, readlinkSync} from 'node:fs';
import {attempt, hasCode, printable} from '../../common/errors.js';
import {
	CannotSee,
	commandOf,
	type FileIdentity,
	findBlindness,
	findOpeners,
	identityKey,
	type Opener,
	seen,
} from '../../common/process/proc.js';
import {AF_UNIX, native, SOCK_DGRAM, SOCK_STREAM, TCP_ESTABLISHED, type UnixSocketRow} from '../../native/index.js';

/** What the kernel tells about local sockets: sock_diag(7), and /proc/net/unix if that is not available. */
export function allUnixSockets(): UnixSocketRow[] {
	try {
		return native.sockDiagUnix().map(withoutNul);
	} catch (error) {
		if (hasCode(error, 'EMFILE', 'ENFILE', 'ENOMEM')) throw error;
		return readProcNetUnix();
	}
}

/** A path comes with the NUL that ended it when it was bound; an abstract name begins with one, and has no end but its length. */
function withoutNul(row: UnixSocketRow): UnixSocketRow {
	const {name} = row;
	if (name === undefined || name.startsWith('\0')) return row;
	return {...row, name: name.replace(/\0.*$/s, '')};
}

/**
 * Whether it is a socket that others reach by its name, and not the end of a connection. A datagram socket is one whatever
 * its state: it counts as connected as soon as another has connected to it.
 */
export const isReachable = ({state, type}: UnixSocketRow): boolean => state !== TCP_ESTABLISHED || type === SOCK_DGRAM;

/** proc(5), /proc/pid/net/unix: no socket files, no peers. */
function readProcNetUnix(): UnixSocketRow[] {
	const table = attempt('cannot read the table of local sockets', () => readFileSync('/proc/net/unix', 'latin1'));
	const lines = table.split('\n').slice(1);
	return lines.flatMap((line) => {
		const match = /^\S+ \S+ \S+ (\S+) (\S+) (\S+) +(\S+)(?: (.*))?$/.exec(line);
		if (!match) return [];
		const [, flags, type, state, inode, name] = match;
		const acceptsConnections = (Number.parseInt(flags as string, 16) & 0x10000) !== 0;
		return [
			{
				inode: Number(inode),
				type: Number.parseInt(type as string, 16),
				state: acceptsConnections ? 10 : state === '03' ? 1 : 7,
				...(name ? {name: name.startsWith('@') ? `\0${name.slice(1)}` : name} : {}),
			},
		];
	});
}

/** The file system in which the kernel keeps sockets themselves. */
let socketDevice: number | undefined;

function deviceOfSockets(): number {
	if (socketDevice !== undefined) return socketDevice;
	const descriptor = native.socket(AF_UNIX, SOCK_STREAM, 0);
	socketDevice = fstatSync(descriptor).dev;
	closeSync(descriptor);
	return socketDevice;
}

/** The processes that have these sockets open, by the inodes of the sockets. */
export function holdersOf(inodes: readonly number[]): Map<number, Opener[]> | CannotSee {
	const dev = deviceOfSockets();
	const found = findOpeners(inodes.map((ino) => ({dev, ino})));
	if (found instanceof CannotSee) return found;
	return new Map(inodes.map((ino) => [ino, found.get(identityKey({dev, ino})) ?? []]));
}

export const isBoundTo = (row: UnixSocketRow, {dev, ino}: FileIdentity): boolean =>
	row.fileInode === (ino & 0xffff_ffff) >>> 0 && row.fileDevice === dev;

/** `process 4711 (dockerd)`; undefined if no process is visible. */
export function describeHolders(rows: readonly UnixSocketRow[]): string | undefined {
	const holders = [...(seen(holdersOf(rows.map(({inode}) => inode)))?.values() ?? [])].flat();
	const pids = [...new Set(holders.map(({pid}) => pid))].sort((a, b) => a - b);
	if (pids.length === 0) return undefined;
	return pids.length === 1
		? `process ${describeProcess(pids[0] as number)}`
		: `processes ${pids.map(describeProcess).join(', ')}`;
}

/** Whether one of these is open in this very process, which is left out of the lists of holders. */
export function isOwn(rows: readonly UnixSocketRow[]): boolean {
	const names = new Set(rows.map(({inode}) => `socket:[${inode}]`));
	if (findBlindness()) return false;
	return readdirSync('/proc/self/fd').some((descriptor) => {
		try {
			return names.has(readlinkSync(`/proc/self/fd/${descriptor}`));
		} catch {
			return false;
		}
	});
}

const describeProcess = (pid: number): string => `${pid} (${printable(commandOf(pid))})`;
