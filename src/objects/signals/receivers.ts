import {ClusterPlace} from '../../common/cluster.js';
import {type ClusterAddress, looksLikeCluster, parseClusterAddress} from '../../common/formats/cluster-address.js';
import type {TextFormat} from '../../common/formats/text-format.js';
import {receiverName as localName, Registration} from './registration.js';

/** The name of a receiver: of this machine, or on a cluster. */
export type ReceiverName = string | ClusterAddress;

/** A name that is held until it is released or this process ends. */
export interface HeldName extends Disposable {
	/** The host that a signal came from; undefined for one of this machine. `mark` is what the signal has with it. */
	hostOf(mark: number): string | undefined;
}

/** The receiver of a name on a cluster. */
export interface DistantReceiver extends Disposable {
	/** Known once it has answered. */
	readonly pid: number | null;
	readonly host: string | null;
	/** Asks whether it is there. @throws NoSuchProcess */
	find(): void;
	/**
	 * Returns once the receiver has the signal; false when its queue is full.
	 *
	 * @throws SystemError when there is no receiver, or it does not wait for this signal; `no-answer` when it does not answer.
	 */
	trySend(signal: number, value?: number): boolean;
}

/** Receivers on clusters: src/cluster/signals. */
export const clusterReceivers = new ClusterPlace<{
	/** `signals` are those that it waits for, which are blocked already. */
	claim(address: ClusterAddress, signals: readonly number[]): HeldName;
	/** `timeoutMs`: how long it may take to answer; 4 s if undefined. */
	open(address: ClusterAddress, tried: string, timeoutMs: number | undefined): DistantReceiver;
}>();

/** `NAME`, also written `@NAME`, or an address on a cluster. */
export const receiverName: TextFormat<ReceiverName> = {
	placeholder: 'NAME',
	parse: (text) => (looksLikeCluster(text) ? parseReceiverAddress(text) : localName.parse(text)),
};

/** Without the `@`, which is not part of the name. */
export function parseReceiverAddress(text: string): ClusterAddress {
	const address = parseClusterAddress(text);
	return {...address, name: address.name.replace(/^@/, '')};
}

/** @throws SystemError when a living receiver has the name. */
export function claimName(name: ReceiverName, signals: readonly number[]): HeldName {
	if (typeof name !== 'string') return clusterReceivers.objects.claim(name, signals);
	const registration = Registration.claim(name);
	return {
		hostOf: () => undefined,
		[Symbol.dispose]: () => registration[Symbol.dispose](),
	};
}
