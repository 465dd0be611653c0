import type {Socket} from 'node:net';
import {quoted, UsageError} from '../common/errors.js';
import {done} from '../common/exit.js';
import {formatSize, size} from '../common/formats/size.js';
import {wholeNumber} from '../common/formats/text-format.js';
import {type Framing, framingOptions, RecordDecoder, separatorOf} from '../common/framing/framing.js';
import * as common from '../common/options.js';
import {announceReady, tellVerbose} from '../common/output.js';
import {Shutdown} from '../common/process/shutdown.js';
import {one, verb} from '../common/verb.js';
import {LocalSocket} from '../objects/socket/local-socket.js';
import {describePeer} from '../objects/socket/peer.js';
import {formatSocketAddress, localAddress} from '../objects/socket/socket-address.js';
import {AccessList, allow, modeWithAccess} from './access.js';
import {LimitedNotices} from './limited-notices.js';
import {backlog} from './options.js';
import {SharedBudget} from './shared-budget.js';
import {connectionsOf, waitingConnections} from './stream/accept-loop.js';
import {onHangUp, streamOf} from './stream/stream-pair.js';

const usualBuffer = 1024 ** 2;
const usualMax = 1000;
/** How long a client that has fallen behind may delay the senders, until it is disconnected. */
const timeoutMs = 1000;
/** Maximum bytes of a record without an end. */
const longestRecord = 16 * 1024 ** 2;
/** The same of all clients together. */
const mostUnfinished = 256 * 1024 ** 2;

export const hub = verb({
	summary: "Broadcast: send each client's input to all other clients",
	operands: {address: one(localAddress)},
	options: {
		buffer: {value: size, help: 'maximum unread data per client (default 1M)'},
		max: {value: wholeNumber(1, 100_000), help: 'maximum number of clients (default 1000)'},
		allow,
		mode: common.mode,
		backlog,
		null: framingOptions.null,
		raw: {...framingOptions.raw, help: 'no separators: pass bytes on at once, not whole lines'},
		readyFd: common.readyFd,
	},
	examples: [
		{purpose: 'start a chat room', line: 'ipc-sock hub chat'},
		{purpose: 'join the chat room', line: 'ipc-sock connect chat'},
	],
	needsNode: true,
	waitsFor: ({address}) => `clients on ${quoted(formatSocketAddress(address))}`,
	async run({address}, options) {
		if (options.null && options.raw) throw new UsageError('--null and --raw cannot be combined');
		const framing: Framing = options.raw ? 'raw' : options.null ? 'null' : 'lines';
		const access = new AccessList(options.allow);
		using stopping = new Shutdown();
		using listener = LocalSocket.listen(address, {...options, ...modeWithAccess(options.mode, options.allow)});
		announceReady(options.readyFd);
		const max = options.max ?? usualMax;
		const enter = (connection: LocalSocket) => {
			if (access.admits(connection)) room.enter(connection);
			else connection.close();
		};
		const room = new Room(framing, options.buffer ?? usualBuffer, () => {
			for (const connection of waitingConnections(listener, () => room.size < max)) enter(connection);
		});
		for await (const connection of connectionsOf(listener, stopping.stopped)) {
			enter(connection);
			while (room.size >= max && !stopping.isStopped) await Promise.race([room.someoneLeaves(), stopping.stopped]);
		}
		room.finish();
		access.finish();
		stopping.finish();
		return done;
	},
});

interface Member {
	readonly socket: Socket;
	readonly who: string;
	/** Runs while the client is behind. */
	timer?: NodeJS.Timeout;
}

class Room {
	private readonly members = new Set<Member>();
	private readonly behind = new Set<Member>();
	private leaving: (() => void)[] = [];
	private readonly notices = new LimitedNotices();
	private readonly unfinished = new SharedBudget<Member>(mostUnfinished, (member) => {
		const most = formatSize(mostUnfinished);
		this.notices.tell(
			`${member.who} disconnected: the incomplete records of all clients are more than ${most} together`,
		);
		member.socket.destroy();
	});

	constructor(
		private readonly framing: Framing,
		private readonly most: number,
		/** Lets in the clients that have connected, and whose turn in the event loop has not come. */
		private readonly letIn: () => void,
	) {}

	get size(): number {
		return this.members.size;
	}

	/** At the end: how many messages were left out. */
	finish(): void {
		this.notices.finish();
	}

	someoneLeaves(): Promise<void> {
		return new Promise((resolve) => this.leaving.push(resolve));
	}

	enter(connection: LocalSocket): void {
		const member: Member = {who: describePeer(connection.peer), socket: streamOf(connection)};
		const {socket, who} = member;
		this.members.add(member);
		tellVerbose(`${who} connected`);
		const separator = separatorOf(this.framing);
		const decoder = separator === undefined ? undefined : new RecordDecoder(this.framing, longestRecord);
		const say = (records: Iterable<Buffer>) => {
			const whole = [...records].flatMap((record) => [record, Buffer.of(separator as number)]);
			if (whole.length > 0) this.tellOthers(member, Buffer.concat(whole));
		};
		socket.on('data', (piece: Buffer) => {
			if (!decoder) {
				this.tellOthers(member, piece);
				return;
			}
			try {
				say(decoder.push(piece));
				this.unfinished.set(member, decoder.pending);
			} catch {
				this.notices.tell(`${who} disconnected: it sent a record of more than ${formatSize(longestRecord)}`);
				socket.destroy();
			}
		});
		socket.on('end', () => {
			if (decoder) say(decoder.end());
			this.unfinished.set(member, 0);
		});
		onHangUp(socket, () => socket.destroy());
		if (this.behind.size > 0) socket.pause();
		// A client may disconnect in the middle of a record.
		socket.on('error', () => {});
		socket.on('drain', () => this.caughtUp(member));
		socket.on('close', () => {
			this.members.delete(member);
			this.unfinished.set(member, 0);
			this.caughtUp(member);
			tellVerbose(`${who} disconnected`);
			for (const resolve of this.leaving.splice(0)) resolve();
		});
	}

	/**
	 * A client that falls behind by more than its buffer makes the senders wait, for a second: a client that reads
	 * catches up meanwhile, and a client that does not read is disconnected. So the buffers are bounded, and no client
	 * can delay the others for long.
	 */
	private tellOthers(speaker: Member, bytes: Buffer): void {
		// A client that had connected before this was sent gets it, though we hear of the connection afterwards.
		this.letIn();
		for (const member of this.members) {
			if (member === speaker || !member.socket.writable) continue;
			member.socket.write(bytes);
			if (member.timer || member.socket.writableLength <= this.most) continue;
			const {writableLength} = member.socket;
			const giveUp = () => {
				if (member.timer !== timer) return;
				this.notices.tell(
					`${member.who} disconnected: it was not reading, and ${formatSize(writableLength)} were unread`,
				);
				member.socket.destroy();
			};
			// We may not have run ourselves all the while: what the client has read meanwhile counts.
			const timer = setTimeout(() => setImmediate(giveUp), timeoutMs);
			member.timer = timer;
			this.behind.add(member);
			for (const {socket} of this.members) socket.pause();
		}
	}

	private caughtUp(member: Member): void {
		clearTimeout(member.timer);
		delete member.timer;
		if (!this.behind.delete(member) || this.behind.size > 0) return;
		for (const {socket} of this.members) socket.resume();
	}
}
