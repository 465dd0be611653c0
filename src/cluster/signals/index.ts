import {hostname} from 'node:os';
import {quoted, SystemError} from '../../common/errors.js';
import type {ClusterAddress} from '../../common/formats/cluster-address.js';
import {signalName} from '../../common/formats/signal-name.js';
import {NoSuchProcess} from '../../objects/signals/process-handle.js';
import {clusterReceivers, type DistantReceiver, type HeldName} from '../../objects/signals/receivers.js';
import {type Channel, closeChannel, openChannel} from '../channel.js';
import {attemptOnCluster, Refusal} from '../refusal.js';
import type {SignalMethods} from '../worker/signals/signals.js';
import {answerTimeoutMs, type Claimed, type SignalAnswer} from './format.js';

/** Receivers of signals on a cluster: what src/objects/signals asks for by `clusterReceivers`. */

const self = (): Claimed => ({host: hostname(), pid: process.pid, uid: process.getuid?.() ?? 0});

/** A name that this process has on a cluster. */
class ClusterName implements HeldName {
	private readonly hosts = new Map<number, string | undefined>();

	private constructor(private readonly channel: Channel) {}

	static claim(address: ClusterAddress, signals: readonly number[]): ClusterName {
		// See SignalReceiver: it must not hear itself.
		const channel = openChannel(address, {noEcho: true});
		try {
			attemptOnCluster(`cannot register ${quoted(address.shown)}`, () =>
				channel.call<SignalMethods, 'signalClaim'>('signalClaim', [
					address.name,
					self(),
					new Map(signals.map((number) => [signalName(number), number])),
				]),
			);
			return new ClusterName(channel);
		} catch (error) {
			closeChannel(channel);
			throw error;
		}
	}

	hostOf(mark: number): string | undefined {
		if (mark === 0) return undefined;
		if (!this.hosts.has(mark))
			this.hosts.set(mark, this.channel.callAtEnd<SignalMethods, 'signalHost'>('signalHost', [mark]));
		return this.hosts.get(mark);
	}

	[Symbol.dispose](): void {
		closeChannel(this.channel);
	}
}

class ClusterReceiver implements DistantReceiver {
	pid: number | null = null;
	host: string | null = null;
	private readonly channel: Channel;

	constructor(
		private readonly address: ClusterAddress,
		private readonly tried: string,
		/** How long it may take to answer. */
		private readonly timeoutMs = answerTimeoutMs,
	) {
		this.channel = openChannel(address);
	}

	find(): void {
		this.attempt(() =>
			this.channel.call<SignalMethods, 'signalFind'>('signalFind', [this.address.name, this.timeoutMs]),
		);
	}

	trySend(signal: number, value?: number): boolean {
		if (signal === 0) {
			this.find();
			return true;
		}
		const name = signalName(signal);
		const {result, signals} = this.attempt(() =>
			this.channel.call<SignalMethods, 'signalSend'>('signalSend', [
				this.address.name,
				{signal: name, value: value ?? null, ...self()},
				this.timeoutMs,
			]),
		);
		if (result === 'queued') return true;
		if (result === 'full') return false;
		if (result === 'bad-value')
			throw new SystemError(`${this.tried}: process ${this.pid} on ${this.host} does not take the value ${value}`);
		throw new SystemError(
			`${this.tried}: process ${this.pid} on ${this.host} does not wait for ${name}, but for ${signals.join(', ')}`,
		);
	}

	private attempt(call: () => SignalAnswer): SignalAnswer {
		try {
			const answer = attemptOnCluster(this.tried, call, {
				silent: {
					text: 'the process that has the name does not answer; the signal may still arrive',
					reason: 'no-answer',
				},
			});
			this.pid = answer.pid;
			this.host = answer.host;
			return answer;
		} catch (error) {
			if (error instanceof SystemError && error.cause instanceof Refusal && error.cause.reason === 'none')
				throw new NoSuchProcess(`${this.tried}: no process is registered as ${quoted(this.address.shown)}`);
			throw error;
		}
	}

	[Symbol.dispose](): void {
		closeChannel(this.channel);
	}
}

clusterReceivers.register({
	claim: (address, signals) => ClusterName.claim(address, signals),
	open: (address, tried, timeoutMs) => new ClusterReceiver(address, tried, timeoutMs),
});
