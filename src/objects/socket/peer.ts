import {commandOf} from '../../common/process/proc.js';
import {native} from '../../native/index.js';
import type {PeerCredentials} from './local-socket.js';

/** `alice, process 4711 (nc)` */
export function describePeer({pid, uid}: PeerCredentials): string {
	const user = native.userName(uid) ?? `uid ${uid}`;
	return pid > 0 ? `${user}, process ${pid} (${commandOf(pid)})` : user;
}

/** The environment of a command that serves a connection. */
export const peerEnvironment = ({pid, uid, gid}: PeerCredentials): Record<string, string> => ({
	IPC_PEER_PID: String(pid),
	IPC_PEER_UID: String(uid),
	IPC_PEER_GID: String(gid),
});
