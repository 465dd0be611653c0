import {closeSync} from 'node:fs';
import {quoted} from '../../common/errors.js';
import type {ClusterAddress} from '../../common/formats/cluster-address.js';
import {isReady} from '../../common/waiting.js';
import {native, SHUT_WR, SOCK_NONBLOCK, SOCK_STREAM} from '../../native/index.js';
import {type CallSocket, clusterCalls} from '../../objects/socket/call-places.js';
import {type Channel, closeChannel, openChannel} from '../channel.js';
import {attemptOnCluster} from '../refusal.js';
import type {CallMethods} from '../worker/calls/calls.js';
import {ClusterCallListener} from './cluster-call-listener.js';

/** Calls on a cluster: what src/objects/socket asks for by `clusterCalls`. */

/** Requests and answers pass through a socket between this thread and that of the client: so a caller polls it as any other. */
class ClusterCallSocket implements CallSocket {
	readonly descriptor: number;
	private readonly channel: Channel;

	constructor(
		private readonly address: ClusterAddress,
		asksForSigns: boolean,
	) {
		const channel = openChannel(address);
		this.channel = channel;
		const [ours, theirs] = native.socketpair(SOCK_STREAM | SOCK_NONBLOCK);
		this.descriptor = ours;
		try {
			attemptOnCluster(this.tried, () =>
				channel.call<CallMethods, 'callsConnect'>('callsConnect', [address.name, theirs, asksForSigns]),
			);
		} catch (error) {
			this[Symbol.dispose]();
			throw error;
		}
	}

	private get tried(): string {
		return `cannot call ${quoted(this.shownName)}`;
	}

	get shownName(): string {
		return this.address.shown;
	}

	wait(events: number, timeoutMs: number): boolean {
		return isReady(this.descriptor, events, timeoutMs);
	}

	get endReason(): string | undefined {
		return this.channel.call<CallMethods, 'callsProblem'>('callsProblem', [])?.text;
	}

	confirm(timeoutMs: number): boolean {
		native.shutdown(this.descriptor, SHUT_WR);
		return attemptOnCluster(this.tried, () =>
			this.channel.call<CallMethods, 'callsConfirm'>('callsConfirm', [timeoutMs]),
		);
	}

	[Symbol.dispose](): void {
		closeSync(this.descriptor);
		closeChannel(this.channel);
	}
}

clusterCalls.register({
	connect: (address, {asksForSigns}) => new ClusterCallSocket(address, asksForSigns),
	listen: (address) => ClusterCallListener.listen(address),
});
