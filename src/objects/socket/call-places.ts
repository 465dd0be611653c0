import {ClusterPlace} from '../../common/cluster.js';
import type {ClusterAddress} from '../../common/formats/cluster-address.js';
import {looksLikeCluster, parseClusterAddress} from '../../common/formats/cluster-address.js';
import {refuse, type TextFormat} from '../../common/formats/text-format.js';
import {parseSocketAddress, type SocketAddress} from './socket-address.js';

/** The client's end of a conversation of calls: a descriptor to write requests to, a line each, and to read answers from. */
export interface CallSocket extends Disposable {
	readonly descriptor: number;
	readonly shownName: string;
	/** Waits for events of the descriptor; whether one occurred. */
	wait(events: number, timeoutMs: number): boolean;
	/** Why the peer sends no more, where more is known than that it has closed. */
	readonly endReason?: string | undefined;
	/**
	 * After the last request, waits until all have been delivered, where that takes more than writing. False when that took
	 * too long.
	 *
	 * @throws SystemError when no server takes them.
	 */
	confirm?(timeoutMs: number): boolean;
}

/** A message of a client to a server on a cluster, and where its answer goes. */
export interface CallMessage {
	bytes: Uint8Array;
	receipt: number;
}

/** The server's side on a cluster. Servers of one name share the messages. */
export interface CallListener {
	readonly shownName: string;
	/** Maximum bytes of an answer. */
	readonly mostBytes: number;
	/** The messages that have arrived; waits for one. None after `close` was called. */
	receive(): Promise<CallMessage[]>;
	/** Sends an answer; undefined where a message gets none. */
	answer(receipt: number, text: string | undefined): void;
	/** Takes no more messages; those that have arrived and were not received. */
	stop(): Promise<CallMessage[]>;
	/** Waits until the answers have been sent. */
	close(): Promise<void>;
}

/** Calls on clusters: src/cluster/calls. */
export const clusterCalls = new ClusterPlace<{
	/** `asksForSigns`: a server that has a call has to show now and then that it lives; otherwise the conversation ends. */
	connect(address: ClusterAddress, settings: {asksForSigns: boolean}): CallSocket;
	listen(address: ClusterAddress): Promise<CallListener>;
}>();

export type CallAddress = SocketAddress | ClusterAddress;

/** Where to call or to serve: a socket, or a name on a cluster. */
export const callAddress: TextFormat<CallAddress> = {
	placeholder: 'ADDR',
	completes: 'objects and paths',
	parse(text) {
		if (!looksLikeCluster(text)) return parseSocketAddress(text);
		const address = parseClusterAddress(text);
		if (address.name.startsWith('@')) refuse(address.shown, 'an address', "a server's name on a cluster has no '@'");
		return address;
	},
};
