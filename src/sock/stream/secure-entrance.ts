import {Socket} from 'node:net';
import type {TLSSocket} from 'node:tls';
import {native} from '../../native/index.js';
import {listenTcp} from '../../objects/socket/inet.js';
import {LocalSocket} from '../../objects/socket/local-socket.js';
import {formatSocketAddress, type NetworkAddress} from '../../objects/socket/socket-address.js';
import {LimitedNotices} from '../limited-notices.js';
import {connectionsOf} from './accept-loop.js';
import type {Client, Entrance, EntranceSettings} from './relay-end.js';
import {type Credentials, loadTls, tlsReason, tlsSettings} from './tls-settings.js';

/** How long a client may take over its handshake. */
const handshakeMs = 10_000;
/** Clients that have not finished their handshake, at a time. The others wait in the listener's queue. */
const mostHandshakes = 256;

/**
 * Clients are accepted as on any other address, and handed to a tls.Server that listens nowhere itself: so no more are
 * accepted than there is room for, those in their handshake included. With --ca only those are let in who have a
 * certificate that it has signed: tls.Server checks that.
 */
export async function openSecureEntrance(
	address: NetworkAddress,
	credentials: Credentials,
	settings: EntranceSettings,
): Promise<Entrance> {
	const {createServer} = await loadTls();
	const needsCertificate = credentials.ca !== undefined;
	const server = createServer({
		...(await tlsSettings(credentials)),
		requestCert: needsCertificate,
		rejectUnauthorized: needsCertificate,
		handshakeTimeout: handshakeMs,
	});
	const listener = LocalSocket.adopt(await listenTcp(address, settings.backlog), formatSocketAddress(address));
	const refusals = new LimitedNotices();
	// Those that knock and leave do not hide who was refused.
	const departures = new LimitedNotices();
	server.on('tlsClientError', (error, stream) => {
		const {authorizationError} = stream as TLSSocket;
		const hasLeft = !authorizationError && (error as NodeJS.ErrnoException).code === 'ECONNRESET';
		if (hasLeft) departures.tell('a client broke off its handshake');
		else if (authorizationError)
			refusals.tell(`refused a client: its certificate is not trusted (${authorizationError})`);
		else refusals.tell(`refused a client: ${tlsReason(error)}`);
		// Node leaves one that was too late open.
		stream.destroy();
	});
	return {
		async *clients(stopped) {
			const room = new Handshakes(server, listener, settings.most ?? Number.POSITIVE_INFINITY);
			try {
				yield* room.clients(stopped);
			} finally {
				refusals.finish();
				departures.finish();
			}
		},
		[Symbol.dispose]: () => listener.close(),
	};
}

/** What a client is told apart by before its stream is known. */
const peerOf = ({remoteAddress, remotePort}: Socket): string => `${remoteAddress} ${remotePort}`;

class Handshakes {
	private readonly open = new Set<Socket>();
	/** Descriptors of those that have not finished their handshake. */
	private readonly beginning = new Map<string, number>();
	/** Of those that are open: they have finished their handshake. */
	private readonly secured = new Set<TLSSocket>();
	/** Of those: not served yet. */
	private readonly waiting: TLSSocket[] = [];
	private isOver = false;
	private failure: unknown;
	private wakers: (() => void)[] = [];

	constructor(
		private readonly server: import('node:tls').Server,
		private readonly listener: LocalSocket,
		private readonly most: number,
	) {
		server.on('secureConnection', (stream) => this.enter(stream));
	}

	async *clients(stopped: Promise<unknown>): AsyncGenerator<Client> {
		stopped.then(() => {
			this.isOver = true;
			this.wake();
		});
		this.accept(stopped).catch((error) => {
			this.failure = error;
			this.wake();
		});
		while (!this.isOver) {
			if (this.failure !== undefined) throw this.failure;
			const stream = this.waiting.shift();
			if (stream) yield {open: () => stream, close: () => stream.destroy(), who: undefined};
			else await this.change();
		}
	}

	private get isFull(): boolean {
		return this.open.size >= this.most || this.open.size - this.secured.size >= mostHandshakes;
	}

	private async accept(stopped: Promise<unknown>): Promise<void> {
		for await (const connection of connectionsOf(this.listener, stopped)) {
			// Half open is for conversations: a client that ends before there is one is not to be kept until the time is over.
			const fd = connection.detach();
			const socket = new Socket({fd, allowHalfOpen: false, readable: true, writable: true});
			const peer = peerOf(socket);
			this.open.add(socket);
			// A client whose certificate is refused has finished its part of the handshake: an ordinary end would look to it as
			// if all were well.
			native.setsockoptLinger(fd, 0);
			this.beginning.set(peer, fd);
			socket.on('error', () => {});
			socket.on('close', () => {
				this.open.delete(socket);
				this.beginning.delete(peer);
				this.wake();
			});
			this.server.emit('connection', socket);
			while (this.isFull && !this.isOver) await this.change();
		}
	}

	private enter(stream: TLSSocket): void {
		stream.allowHalfOpen = true;
		const fd = this.beginning.get(peerOf(stream));
		if (fd !== undefined) native.setsockoptLinger(fd, -1);
		this.beginning.delete(peerOf(stream));
		this.secured.add(stream);
		this.waiting.push(stream);
		// It may leave before the other side has been reached: the join will notice.
		stream.on('error', () => {});
		stream.on('close', () => {
			this.secured.delete(stream);
			this.wake();
		});
		this.wake();
	}

	/** Until a client has connected or left, or listening is over. */
	private change(): Promise<void> {
		return new Promise((resolve) => this.wakers.push(resolve));
	}

	private wake(): void {
		for (const resolve of this.wakers.splice(0)) resolve();
	}
}
