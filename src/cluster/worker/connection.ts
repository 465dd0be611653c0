import {isIP} from 'node:net';
import {checkServerIdentity, type PeerCertificate} from 'node:tls';
import {type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager} from '@nats-io/jetstream';
import {
	type ConnectionOptions,
	connect,
	credsAuthenticator,
	type NatsConnection,
	PermissionViolationError,
} from '@nats-io/transport-node';
import type {ConnectionSettings} from '../../common/cluster.js';
import {type ClusterServer, showServer} from '../../common/formats/cluster-address.js';
import {formatDuration} from '../../common/formats/duration.js';
import {refusalOf, refuse} from './errors.js';

/** How long one request may take before it counts as lost. */
export const requestTimeoutMs = 5000;
const reconnectPauseMs = 250;

/** A connection to a cluster, made when it is first needed, and made again as often as it is lost. */
export class Connection {
	private opening: Promise<NatsConnection> | undefined;
	private manager: Promise<JetStreamManager> | undefined;
	/** Aborted once the command is about to end: whatever waits stops. */
	readonly closing = new AbortController();
	/** Called after each new connection: what was asked before may have been lost. */
	readonly onReconnect = new Set<() => void>();
	private readonly onDisconnect = new Set<() => void>();
	/** Called with what the server does not permit this user to do: no answer tells. */
	readonly onDenied = new Set<(error: PermissionViolationError) => void>();
	/** Called at the end, while the connection still is there, to give back what is in hand. */
	readonly onClose = new Set<() => Promise<void>>();
	isConnected = false;
	/** A request has succeeded: without an answer it is not JetStream that is missing. */
	private hasJetStream = false;

	constructor(
		private readonly settings: ConnectionSettings,
		/** One line to a person. */
		readonly tell: (notice: string) => void,
	) {}

	get shown(): string {
		return this.settings.servers.map(showServer).join(', ');
	}

	client(): Promise<NatsConnection> {
		this.opening ??= this.open();
		return this.opening;
	}

	async jetStream(): Promise<JetStreamClient> {
		return jetstream(await this.client(), {timeout: requestTimeoutMs});
	}

	/** To make and look at streams and consumers. */
	async streams(timeoutMs = requestTimeoutMs): Promise<JetStreamManager> {
		// It would ask whether there is JetStream; the answer to each request tells that too.
		const make = async (timeout: number) => jetstreamManager(await this.client(), {timeout, checkAPI: false});
		if (timeoutMs !== requestTimeoutMs) return make(timeoutMs);
		this.manager ??= make(requestTimeoutMs);
		return this.manager;
	}

	private async open(): Promise<NatsConnection> {
		const {servers, creds, ca, cert, key, connectTimeoutMs, noEcho = false} = this.settings;
		const who = servers.find(({user}) => user !== undefined);
		const usesTls = servers.some(({scheme}) => scheme === 'tls') || [ca, cert, key].some((text) => text !== undefined);
		const options: ConnectionOptions = {
			servers: servers.map(({host, port}) => `${host.includes(':') ? `[${host}]` : host}:${port}`),
			name: `ipc-tools ${process.pid}`,
			noEcho,
			timeout: connectTimeoutMs,
			maxReconnectAttempts: -1,
			reconnectTimeWait: reconnectPauseMs,
			// A server that has stopped is noticed after twenty seconds.
			pingInterval: 10_000,
			maxPingOut: 2,
			...(who?.password === undefined ? {} : {user: who.user as string, pass: who.password}),
			...(who && who.password === undefined ? {token: who.user as string} : {}),
			...(creds === undefined ? {} : {authenticator: credsAuthenticator(Buffer.from(creds))}),
			...(usesTls
				? {tls: {...verification(servers), ...(ca ? {ca} : {}), ...(cert ? {cert} : {}), ...(key ? {key} : {})}}
				: {}),
		};
		let client: NatsConnection;
		try {
			client = await connect(options);
		} catch (error) {
			const known = refusalOf(error);
			if (known?.reason === 'denied') return refuse('denied', `${this.shown}: ${known.text}`);
			const reason = reasonOf(error);
			// A server has answered, or none was asked.
			if (/unable to parse credentials/.test(reason))
				return refuse('denied', 'the file of --creds or NATS_CREDS is not a credentials file of NATS');
			if (/does not support 'tls'/.test(reason))
				return refuse('denied', `${this.shown}: the server has no TLS (write nats://, and use no --tls option)`);
			// The server closes such a connection without a word that the client passes on.
			const within = reason === late ? ` (waited ${formatDuration(connectTimeoutMs)})` : '';
			const also = usesTls && reason === late ? ', or it does not accept our certificate (--tls-cert)' : '';
			return refuse('unreachable', `no NATS server answers at ${this.shown}: ${reason}${within}${also}`);
		}
		this.isConnected = true;
		void this.watch(client);
		return client;
	}

	private async watch(client: NatsConnection): Promise<void> {
		for await (const status of client.status()) {
			if (this.closing.signal.aborted) continue;
			const {type} = status;
			if (type === 'error') {
				const {error} = status;
				if (error instanceof PermissionViolationError) for (const call of this.onDenied) call(error);
			} else if (type === 'disconnect') {
				this.isConnected = false;
				for (const call of this.onDisconnect) call();
				this.onDisconnect.clear();
				this.tell(`lost the connection to ${this.shown}; trying again`);
			} else if (type === 'reconnect') {
				this.isConnected = true;
				this.tell(`connected again to ${this.shown}`);
				for (const call of this.onReconnect) call();
			}
		}
	}

	/** Waits until the server has read all that was sent: false when the connection was lost before. */
	async flush(): Promise<boolean> {
		if (!this.isConnected) return false;
		const client = await this.client();
		return new Promise((resolve) => {
			const lost = () => resolve(false);
			this.onDisconnect.add(lost);
			client.flush().then(
				() => {
					this.onDisconnect.delete(lost);
					resolve(this.isConnected);
				},
				() => resolve(false),
			);
		});
	}

	/**
	 * Repeats a request that has got lost, with a connection or with a leader, until there is an answer or the time is over. Only for
	 * requests that do no harm when they are carried out twice. `stop` ends it too.
	 */
	async retry<Result>(request: () => Promise<Result>, timeoutMs = -1, stop?: AbortSignal): Promise<Result> {
		const end = timeoutMs < 0 ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
		for (;;) {
			try {
				const result = await request();
				this.hasJetStream = true;
				return result;
			} catch (error) {
				const reason = refusalOf(error)?.reason;
				// While a leader is being chosen no server answers either.
				const isLost = reason === 'timeout' || (reason === 'no-jetstream' && this.hasJetStream);
				if (!isLost || this.closing.signal.aborted || stop?.aborted || performance.now() >= end) throw error;
				await sleep(Math.min(reconnectPauseMs, Math.max(0, end - performance.now())), this.closing.signal);
			}
		}
	}

	/** Gives back what is in hand and closes. */
	async close(): Promise<void> {
		this.closing.abort();
		const client = await this.opening?.catch(() => undefined);
		if (!client) return;
		for (const work of this.onClose) await work();
		await this.flush();
		await client.close().catch(() => undefined);
	}
}

/** Stands for a server that was named by its IP address. */
const byAddress = 'server-named-by-address.invalid';

/**
 * The client has a server verified by its host name. For an IP address it gives none, and Node then takes any certificate for
 * `localhost`: so such a server needs a certificate for one of the addresses that were given.
 */
function verification(servers: readonly ClusterServer[]) {
	const addresses = servers.map(({host}) => host).filter((host) => isIP(host) !== 0);
	return {
		host: byAddress,
		checkServerIdentity(name: string, certificate: PeerCertificate): Error | undefined {
			if (name !== byAddress) return checkServerIdentity(name, certificate);
			const problems = addresses.map((address) => checkServerIdentity(address, certificate));
			return problems.includes(undefined) ? undefined : problems[0];
		},
	};
}

/** Ends early when `signal` is aborted, without an error. */
export const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
	new Promise((resolve) => {
		if (signal?.aborted) return resolve();
		const timer = setTimeout(finish, ms);
		signal?.addEventListener('abort', finish, {once: true});
		function finish() {
			clearTimeout(timer);
			signal?.removeEventListener('abort', finish);
			resolve();
		}
	});

const late = 'no answer in time';

/** The innermost reason, as far as the client tells. */
function reasonOf(error: unknown): string {
	if (!(error instanceof Error)) return String(error);
	if (error.cause instanceof Error) return reasonOf(error.cause);
	const {code} = error as NodeJS.ErrnoException;
	const known: Readonly<Record<string, string>> = {
		ECONNREFUSED: 'connection refused (start one with: nats-server -js -a 127.0.0.1)',
		ENOTFOUND: 'the host is not known',
		EAI_AGAIN: 'the host cannot be looked up now',
		ETIMEDOUT: late,
		EHOSTUNREACH: 'there is no way to the host',
		ENETUNREACH: 'there is no way to the network',
	};
	if (code !== undefined && known[code]) return known[code];
	if (/refused/.test(error.message)) return known.ECONNREFUSED as string;
	if (/timeout/i.test(error.message)) return late;
	return error.message || (code ?? 'unknown');
}
