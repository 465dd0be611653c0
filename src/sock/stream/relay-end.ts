import {on, once} from 'node:events';
import {isIP, type Socket} from 'node:net';
import {Deadline} from '../../common/deadline.js';
import {explain, hasCode, quoted, SystemError} from '../../common/errors.js';
import {tell} from '../../common/output.js';
import {openListener} from '../../objects/socket/endpoint.js';
import {type ListenSettings, LocalSocket} from '../../objects/socket/local-socket.js';
import {describePeer} from '../../objects/socket/peer.js';
import {
	formatSocketAddress,
	isLocal,
	type NetworkAddress,
	type SocketAddress,
} from '../../objects/socket/socket-address.js';
import type {AccessList} from '../access.js';
import {connectionsOf} from './accept-loop.js';
import {streamOf} from './stream-pair.js';
import {type Credentials, tlsReason, tlsSettings} from './tls-settings.js';

/** A peer that sends nothing must not keep us waiting. */
const timeoutMs = 10_000;

/** Makes connections to an address. node:tls is loaded when it is needed. */
export async function connectorTo(address: SocketAddress, credentials: Credentials): Promise<() => Promise<Socket>> {
	const tried = `cannot connect to ${quoted(formatSocketAddress(address))}`;
	if (isLocal(address)) {
		return async () => {
			const deadline = new Deadline(timeoutMs);
			for (let pauseMs = 1; ; pauseMs = Math.min(50, 2 * pauseMs)) {
				try {
					return streamOf(LocalSocket.connect(address, {timeoutMs: 0}));
				} catch (error) {
					// A full queue must not block the other connections.
					if (!hasCode(error, 'EAGAIN')) throw error;
					if (deadline.hasPassed) throw new SystemError(`${tried}: its queue is full`);
				}
				await new Promise((resolve) => setTimeout(resolve, pauseMs));
			}
		};
	}
	const {host, port} = address;
	const {connect} = await import('node:net');
	const connectPlainly = () => connect({host, port, allowHalfOpen: true, keepAlive: true});
	if (address.kind === 'tcp') return () => opened(connectPlainly(), 'connect', tried);
	const {connect: connectSecurely, createSecureContext} = await import('node:tls');
	const secureContext = createSecureContext(await tlsSettings(credentials));
	const servername = isIP(host) ? {} : {servername: host};
	return () => {
		const secured = connectSecurely({socket: connectPlainly(), host, secureContext, ...servername});
		return opened(secured, 'secureConnect', tried);
	};
}

function opened<Stream extends Socket>(stream: Stream, event: string, tried: string): Promise<Stream> {
	return new Promise((resolve, reject) => {
		const fail = (error: Error) => {
			clearTimeout(timer);
			stream.on('error', () => {});
			stream.destroy();
			reject(new SystemError(`${tried}: ${tlsReason(error)}`));
		};
		const timer = setTimeout(() => fail(new Error('it did not answer in time')), timeoutMs);
		const closed = () => fail(new Error('the connection was closed'));
		stream.once('error', fail);
		stream.once('close', closed);
		stream.once(event, () => {
			clearTimeout(timer);
			stream.off('error', fail);
			stream.off('close', closed);
			resolve(stream);
		});
	});
}

export interface Client {
	/** Called once the target has been reached: data that no process reads before is reported to its sender. */
	open(): Socket;
	close(): void;
	/** In words; undefined over a network. */
	who: string | undefined;
}

/** The clients of an address, and the rules for accepting them: `begin` starts listening. */
export interface Entrance extends Disposable {
	clients(stopped: Promise<unknown>): AsyncIterable<Client>;
}

export async function openEntrance(
	address: SocketAddress,
	credentials: Credentials,
	access: AccessList,
	settings: ListenSettings,
): Promise<Entrance> {
	if (address.kind === 'tls') return openSecureEntrance(address, credentials);
	const listener = await openListener(address, {...settings, insecure: true});
	return {
		async *clients(stopped) {
			for await (const connection of connectionsOf(listener, stopped)) {
				if (isLocal(address) && !access.admits(connection)) connection.close();
				else
					yield {
						open: () => streamOf(connection),
						close: () => connection.close(),
						who: isLocal(address) ? describePeer(connection.peer) : undefined,
					};
			}
		},
		[Symbol.dispose]: () => listener.close(),
	};
}

/** With --ca only clients with a certificate that it has signed are accepted: tls.Server checks that. */
async function openSecureEntrance(address: NetworkAddress, credentials: Credentials): Promise<Entrance> {
	const {createServer} = await import('node:tls');
	const needsCertificate = credentials.ca !== undefined;
	const server = createServer({
		...(await tlsSettings(credentials)),
		requestCert: needsCertificate,
		rejectUnauthorized: needsCertificate,
		handshakeTimeout: timeoutMs,
		allowHalfOpen: true,
	});
	// Half-open is for established sessions: a client that ends before the handshake must not be kept until the timeout.
	server.prependListener('connection', (socket: Socket) => {
		socket.allowHalfOpen = false;
	});
	server.prependListener('secureConnection', (socket: Socket) => {
		socket.allowHalfOpen = true;
	});
	const {host, port} = address;
	server.listen({host, port});
	try {
		await once(server, 'listening');
	} catch (error) {
		throw explain(`cannot listen on ${quoted(formatSocketAddress(address))}`, error, {
			EADDRINUSE: 'another process uses that port (see: ss -ltnp)',
			EADDRNOTAVAIL: 'this machine has no such address',
			EACCES: 'ports below 1024 need a privilege',
		});
	}
	server.on('tlsClientError', (error) => tell(`refused a client: ${tlsReason(error)}`));
	return {
		async *clients(stopped) {
			const over = new AbortController();
			stopped.then(() => over.abort());
			try {
				for await (const [stream] of on(server, 'secureConnection', {signal: over.signal})) {
					// The client may leave before the target has been reached: the join will notice.
					stream.on('error', () => {});
					yield {open: () => stream, close: () => stream.destroy(), who: undefined};
				}
			} catch (error) {
				if (!over.signal.aborted) throw error;
			}
		},
		[Symbol.dispose]: () => {
			server.close();
		},
	};
}
