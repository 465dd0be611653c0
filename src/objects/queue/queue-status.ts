import {SystemError} from '../../common/errors.js';
import {octalMode} from '../../common/formats/mode.js';
import type {Address} from '../../common/formats/object-name.js';
import {CannotSee, findOpeners, identityKey} from '../../common/process/proc.js';
import {native} from '../../native/index.js';
import {MessageQueue} from './message-queue.js';
import {queueNames} from './queue-folder.js';
import {RescuedMessages} from './rescued-messages.js';

/** A process that has a queue open. */
export interface QueueUser {
	pid: number;
	command: string;
	/** r, w or rw. */
	access: string;
}

/** The status of a queue; the keys are those of --json. */
export interface QueueStatus {
	name: string;
	messages: number;
	/** Null where another program has made the queue on a cluster without a limit. */
	maxmsg: number | null;
	msgsize: number;
	/** Bytes of payload in it; null while it changes faster than it can be looked at. */
	bytes: number | null;
	/** Octal, as chmod(1) takes it; null on a cluster, where the server says who may do what. */
	mode: string | null;
	owner: string | null;
	/** Processes that have the queue open; only root sees processes of other users. Null where /proc shows no processes. */
	users: QueueUser[] | null;
	/** The process registered for notification, or null. */
	notifyPid: number | null;
	/** Messages of this user that found no room to go back; null where the runtime folder cannot be looked at. */
	rescued: number | null;
	/** Of a queue on a cluster only. */
	cluster?: {
		/** Messages that a receiver has and has not confirmed. */
		inHand: number;
		replicas: number;
		/** The name of the server that leads, where there are several. */
		leader: string | null;
		/** When it was made. */
		created: string;
	};
}

/** Looks at queues and receives nothing; skips queues that are missing or cannot be opened. */
export function lookAtQueues(addresses: readonly Address[]): QueueStatus[] {
	const queues = addresses.map(openToLook).filter((queue) => queue !== undefined);
	try {
		const openers = findOpeners(queues.map(({identity}) => identity));
		return queues.map((queue) => {
			const {mode, uid} = queue.stat();
			const {messages, bytes, notifyPid} = queue.inside();
			return {
				name: queue.shownName,
				messages,
				maxmsg: queue.maxmsg,
				msgsize: queue.msgsize,
				bytes,
				mode: octalMode(mode),
				owner: native.userName(uid) ?? String(uid),
				users:
					openers instanceof CannotSee
						? null
						: (openers.get(identityKey(queue.identity)) ?? []).map(({pid, command, access}) => ({
								pid,
								command,
								access,
							})),
				notifyPid: notifyPid || null,
				rescued: countRescued(queue.shownName),
			};
		});
	} finally {
		for (const queue of queues) queue.close();
	}
}

function countRescued(name: string): number | null {
	using rescued = new RescuedMessages(name);
	return rescued.count();
}

function openToLook(address: Address): MessageQueue | undefined {
	try {
		return MessageQueue.tryOpen(address, 'receive');
	} catch (error) {
		// This queue belongs to another user: still show the others.
		if (error instanceof SystemError) return undefined;
		throw error;
	}
}

export const allQueues = (): Address[] => queueNames().map((name) => ({kind: 'name', name}));
