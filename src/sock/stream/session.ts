import {UsageError} from '../../common/errors.js';
import {type Framing, separatorOf} from '../../common/framing/framing.js';
import type {Progress} from '../../common/terminal/progress.js';
import type {LocalSocket, PeerCredentials} from '../../objects/socket/local-socket.js';
import {type DuplexEnd, runDuplex} from './duplex.js';
import {runPacketDuplex} from './packet-duplex.js';

export interface Session {
	framing: Framing | undefined;
	timeoutMs: number;
	idleMs: number | undefined;
	/** Stop after this many records; undefined: no limit. */
	count: number | undefined;
	receivesOnly?: boolean;
	/** The end of stdin is not passed on. */
	holds?: boolean;
	listens?: boolean;
	/** Of whom datagrams are taken. */
	admits?: (sender: PeerCredentials | undefined) => boolean;
	progress?: Progress | undefined;
}

/** Framing has a meaning for packets, and when records are counted. */
export function checkSession({
	framing,
	count,
	type,
}: {
	framing: Framing | undefined;
	count: number | undefined;
	type: string | undefined;
}): void {
	if (type !== undefined && type !== 'stream') return;
	if (framing && count === undefined)
		throw new UsageError('framing needs --count or packets (--type): a stream is passed on unchanged');
	if (framing && separatorOf(framing) === undefined)
		throw new UsageError(`records framed as ${framing} cannot be counted in a stream`);
	if (framing === 'json') throw new UsageError('--json needs packets (--type): a stream is passed on unchanged');
}

/** Joins stdin and stdout to a connection of any type. Blocks. */
export function runSession(socket: LocalSocket, session: Session): DuplexEnd {
	const {
		framing = 'lines',
		timeoutMs,
		idleMs = -1,
		count,
		receivesOnly = false,
		holds = false,
		listens = false,
		admits,
		progress,
	} = session;
	if (socket.type !== 'stream')
		return runPacketDuplex(socket, {
			framing,
			timeoutMs,
			idleMs,
			most: count ?? Number.POSITIVE_INFINITY,
			receivesOnly,
			listens,
			admits,
		});
	return runDuplex(socket.descriptor, {
		shown: socket.shownName,
		timeoutMs,
		idleMs,
		records: count === undefined ? undefined : {separator: separatorOf(framing) ?? 10, most: count},
		receivesOnly,
		holds,
		progress,
	});
}
