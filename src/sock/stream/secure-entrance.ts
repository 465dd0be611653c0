import {Socket} from 'node:net';
import type {TLSSocket} from 'node:tls';
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
	const notices = new LimitedNotices();
	server.on('tlsClientError', (error) => notices.tell(`refused a client: ${tlsReason(error)}`));
	return {
		async *clients(stopped) {
			const room = new Handshakes(server, listener, settings.most ?? Number.POSITIVE_INFINITY);
			try {
				yield* room.clients(stopped);
			} finally {
				notices.finish();
			}
		},
		[Symbol.dispose]: () => listener.close(),
	};
}

class Handshakes {
	private readonly open = new Set<Socket>();
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
			const socket = new Socket({fd: connection.detach(), allowHalfOpen: false, readable: true, writable: true});
			this.open.add(socket);
			socket.on('error', () => {});
			socket.on('close', () => {
				this.open.delete(socket);
				this.wake();
			});
			this.server.emit('connection', socket);
			while (this.isFull && !this.isOver) await this.change();
		}
	}

	private enter(stream: TLSSocket): void {
		stream.allowHalfOpen = true;
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
