import {type Msg, type NatsConnection, nuid, type Subscription} from '@nats-io/transport-node';
import {isKernelError, native} from '../../../native/index.js';
import {SI_DISTANT, SI_QUEUE} from '../../../objects/signals/received-signal.js';
import {
	type ClaimAnswer,
	type Claimed,
	type ClaimRequest,
	claimTimeoutsMs,
	type FindRequest,
	type SignalAnswer,
	type SignalRequest,
	subjectOf,
} from '../../signals/format.js';
import {type Connection, sleep} from '../connection.js';
import {refusalOf, refuse} from '../errors.js';

/** The servers of a cluster learn from each other what is subscribed. */
const spreadMs = 250;
const retryMs = 20;
const mostHosts = 100_000;

/**
 * Has a name, and puts the signals that are sent to it in the kernel's queue for this process: so they are ordered, merged and
 * limited as those of this machine, and the command receives both in one wait.
 *
 * Of two processes that start at once only one keeps the name. The connection gets nothing of what it sends itself: so the server
 * answers a claim with "no responders" if no other process has subscribed, and a process that subscribes later makes a claim of its
 * own, which arrives here. Of two that claim at once the one with the higher id gives way.
 */
export class SignalReceiver {
	private readonly id = nuid.next();
	/** It keeps the name against every other process. */
	private isSettled = false;
	/** It has the name, as far as is known. */
	private accepts = false;
	private mustYield: Claimed | undefined;
	private subscription: Subscription | undefined;
	private readonly hosts = new Map<string, number>();

	constructor(
		private readonly connection: Connection,
		private readonly client: NatsConnection,
		private readonly name: string,
		private readonly self: Claimed,
		/** Numbers of the signals that it waits for. */
		private readonly wanted: ReadonlyMap<string, number>,
	) {}

	async claim(): Promise<void> {
		const {client} = this;
		let denied: Error | undefined;
		this.subscription = client.subscribe(subjectOf(this.name), {
			callback: (error, message) => {
				if (error) denied = error;
				else this.take(message);
			},
		});
		await client.flush();
		if (denied) throw denied;
		if (client.info?.cluster) await sleep(spreadMs);
		try {
			await this.settle();
		} catch (error) {
			this.subscription.unsubscribe();
			await client.flush();
			throw error;
		}
		this.connection.onReconnect.add(() => void this.claimAgain());
	}

	private async settle(): Promise<void> {
		for (;;) {
			const answer = await this.askOthers();
			const owner = this.mustYield ?? (answer?.keeps ? answer : undefined);
			if (owner) refuse('taken', `process ${owner.pid} on ${owner.host} has that name`);
			if (!answer) break;
			// It gives way: until it has, and for a third one.
			await sleep(retryMs);
		}
		this.isSettled = true;
		this.accepts = true;
	}

	/** Undefined when no other process has the name. */
	private async askOthers(): Promise<ClaimAnswer | undefined> {
		const request: ClaimRequest = {claim: this.id, ...this.self};
		for (const timeoutMs of claimTimeoutsMs)
			try {
				return await ask<ClaimAnswer>(this.client, this.name, request, timeoutMs);
			} catch (error) {
				const reason = reasonOf(error);
				if (reason === 'none') return undefined;
				if (reason !== 'timeout') throw error;
			}
		return refuse('silent', 'a process that does not answer has that name');
	}

	/** While the connection was lost another process may have taken the name. */
	private async claimAgain(): Promise<void> {
		this.isSettled = false;
		try {
			await this.settle();
		} catch (error) {
			this.accepts = false;
			this.subscription?.unsubscribe();
			const why = refusalOf(error)?.text ?? String(error);
			this.connection.tell(`'${this.name}' no longer leads here: ${why}`);
		}
	}

	hostOf(mark: number): string | undefined {
		for (const [host, number] of this.hosts) if (number === mark) return host;
		return undefined;
	}

	private take(message: Msg): void {
		const request = readObject(message) as Partial<SignalRequest & FindRequest & ClaimRequest>;
		const answer = (value: SignalAnswer | ClaimAnswer) => message.respond(JSON.stringify(value));
		if (typeof request.claim === 'string') {
			const keeps = this.isSettled || (this.mustYield === undefined && this.id < request.claim);
			if (!keeps) this.mustYield ??= claimedBy(request);
			answer({keeps, ...this.self});
			return;
		}
		const result = !this.accepts ? 'not-yet' : request.find === true ? 'found' : this.queue(request);
		answer({result, signals: [...this.wanted.keys()], ...this.self});
	}

	/** rt_sigqueueinfo(2): to itself a process may send any sender. */
	private queue(request: Partial<SignalRequest>): SignalAnswer['result'] {
		const {signal, value = null} = request;
		const number = this.wanted.get(String(signal));
		if (number === undefined) return 'not-wanted';
		if (value !== null && !isInteger(value, -(2 ** 31), 2 ** 31 - 1)) return 'bad-value';
		const {host, pid, uid} = claimedBy(request);
		try {
			const code = value === null ? SI_DISTANT : SI_QUEUE;
			native.rtSigqueueinfo(process.pid, number, code, pid, uid, value ?? 0, this.mark(host));
		} catch (error) {
			if (isKernelError(error) && error.code === 'EAGAIN') return 'full';
			throw error;
		}
		return 'queued';
	}

	/** The kernel keeps a number with a signal, which stands for the host; 0 for none. */
	private mark(host: string): number {
		if (!this.hosts.has(host) && this.hosts.size < mostHosts) this.hosts.set(host, this.hosts.size + 1);
		return this.hosts.get(host) ?? 0;
	}
}

/** Asks the process that has a name. The reason of a failure is `none` or `timeout`. */
export async function ask<Answer>(
	client: NatsConnection,
	name: string,
	request: SignalRequest | FindRequest | ClaimRequest,
	timeout: number,
): Promise<Answer> {
	return readObject(await client.request(subjectOf(name), JSON.stringify(request), {timeout})) as Answer;
}

/** Here there is no JetStream whose absence no responders could mean. */
export function reasonOf(error: unknown): string | undefined {
	const reason = refusalOf(error)?.reason;
	return reason === 'no-jetstream' ? 'none' : reason;
}

function readObject(message: Msg): object {
	try {
		const value: unknown = message.json();
		return typeof value === 'object' && value !== null ? value : {};
	} catch {
		return {};
	}
}

/** Another program may say what it likes of itself, but not what no process could be. */
function claimedBy({host, pid, uid}: Partial<Claimed>): Claimed {
	return {
		host: typeof host === 'string' ? host.replaceAll('\0', '').slice(0, 255) : '?',
		pid: integer(pid, 0, 2 ** 31 - 1),
		uid: integer(uid, 0, 2 ** 32 - 1),
	};
}

const isInteger = (value: unknown, least: number, most: number): value is number =>
	typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most;

const integer = (value: unknown, least: number, most: number): number => (isInteger(value, least, most) ? value : 0);
