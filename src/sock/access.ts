import {quoted, SystemError} from '../common/errors.js';
import {refuse, type TextFormat} from '../common/formats/text-format.js';
import {tell} from '../common/output.js';
import {native} from '../native/index.js';
import type {LocalSocket, PeerCredentials} from '../objects/socket/local-socket.js';
import {describePeer} from '../objects/socket/peer.js';
import {formatSocketAddress, type SocketAddress} from '../objects/socket/socket-address.js';
import {LimitedNotices} from './limited-notices.js';

/** An allowed client: a user, or the members of a group; by name or number. */
export interface AccessRule {
	kind: 'uid' | 'gid';
	who: string;
}

/** No user has the id (uid_t) -1. credentials(7) */
const noId = 2 ** 32 - 1;

const format: TextFormat<AccessRule[]> = {
	placeholder: 'WHO',
	parse: (text) =>
		text.split(',').map((part) => {
			const match = /^(uid|gid):(.+)$/.exec(part);
			if (!match) refuse(part, 'a user or group', 'uid:USER or gid:GROUP is expected');
			const [, kind, who = ''] = match;
			if (/^-?[0-9]+$/.test(who) && !(Number(who) >= 0 && Number(who) < noId))
				refuse(
					part,
					'a user or group',
					`the number of a ${kind === 'uid' ? 'user' : 'group'} is from 0 to ${noId - 1}`,
				);
			return {kind: match[1] as 'uid' | 'gid', who: match[2] as string};
		}),
};

export const allow = {
	only: 'local',
	value: format,
	many: true,
	help: 'accept only these users or groups: uid:USER,gid:GROUP,...',
} as const;

/** With a list the list decides, so the mode of the file lets every user connect, whatever the umask. */
export const modeWithAccess = (
	mode: number | undefined,
	rules: readonly AccessRule[][],
): {mode: number | undefined; ignoresUmask: boolean} =>
	mode === undefined && rules.length > 0 ? {mode: 0o666, ignoresUmask: true} : {mode, ignoresUmask: false};

/** A port of this machine has no mode, and TCP does not identify its clients: every user can connect. */
export function warnOfOpenPort(address: SocketAddress, insecure: boolean, consequence: string): void {
	if (address.kind === 'tcp' && !insecure)
		tell(
			`every user of this machine can connect to ${quoted(formatSocketAddress(address))} and ${consequence} (a socket file has a mode; --insecure omits this warning)`,
		);
}

/** The clients that may connect. Without a rule the mode of the file decides. */
export class AccessList {
	private readonly users = new Set<number>();
	private readonly groups = new Set<number>();
	private readonly isOpen: boolean;
	private readonly notices = new LimitedNotices();

	constructor(rules: readonly (readonly AccessRule[])[]) {
		const all = rules.flat();
		this.isOpen = all.length === 0;
		for (const {kind, who} of all) {
			const number = /^[0-9]+$/.test(who) ? Number(who) : kind === 'uid' ? native.userId(who) : native.groupId(who);
			if (number === undefined)
				throw new SystemError(`cannot allow '${kind}:${who}': no such ${kind === 'uid' ? 'user' : 'group'}`);
			(kind === 'uid' ? this.users : this.groups).add(number);
		}
	}

	/** Whether this peer is allowed; a peer that is not is reported on stderr. unix(7), SO_PEERCRED, SO_PEERGROUPS */
	admits(connection: LocalSocket): boolean {
		if (this.isOpen) return true;
		const {peer} = connection;
		if (this.isListed(peer)) return true;
		if (this.groups.size > 0 && connection.peerGroups.some((group) => this.groups.has(group))) return true;
		this.notices.tell(() => `refused ${describePeer(peer)}: --allow does not list it`);
		return false;
	}

	/** The same for the sender of one datagram, of whom the kernel tells one group only. unix(7), SCM_CREDENTIALS */
	admitsSender(sender: PeerCredentials | undefined): boolean {
		if (this.isOpen || (sender && this.isListed(sender))) return true;
		this.notices.tell(
			() => `refused ${sender ? describePeer(sender) : 'a sender that is not known'}: --allow does not list it`,
		);
		return false;
	}

	/** At the end: how many were turned away without a message. */
	finish(): void {
		this.notices.finish();
	}

	private isListed({uid, gid}: PeerCredentials): boolean {
		return this.users.has(uid) || this.groups.has(gid);
	}
}
