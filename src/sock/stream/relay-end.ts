import {isIP, type Socket} from 'node:net';
import {Deadline} from '../../common/deadline.js';
import {hasCode, quoted, SystemError} from '../../common/errors.js';
import {openListener} from '../../objects/socket/endpoint.js';
import {type ListenSettings, LocalSocket} from '../../objects/socket/local-socket.js';
import {describePeer} from '../../objects/socket/peer.js';
import {formatSocketAddress, isLocal, type SocketAddress} from '../../objects/socket/socket-address.js';
import type {AccessList} from '../access.js';
import {connectionsOf} from './accept-loop.js';
import {openSecureEntrance} from './secure-entrance.js';
import {streamOf} from './stream-pair.js';
import {rememberConnection} from './tcp-reset.js';
import {type Credentials, loadTls, tlsReason, tlsSettings} from './tls-settings.js';

/** A peer that sends nothing must not keep us waiting. */
const timeoutMs = 10_000;

/** Makes connections to an address, each within `limitMs` (negative: without limit). node:tls is loaded when it is needed. */
export async function connectorTo(
	address: SocketAddress,
	credentials: Credentials,
	limitMs = timeoutMs,
): Promise<() => Promise<Socket>> {
	const tried = `cannot connect to ${quoted(formatSocketAddress(address))}`;
	if (isLocal(address)) {
		return async () => {
			const deadline = new Deadline(limitMs);
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
	if (address.kind === 'tcp') return () => opened(connectPlainly(), 'connect', tried, limitMs);
	const {connect: connectSecurely, createSecureContext} = await loadTls();
	const secureContext = createSecureContext(await tlsSettings(credentials));
	const servername = isIP(host) ? {} : {servername: host};
	return async () => {
		const deadline = new Deadline(limitMs);
		// Of a connection that was not made TLS would only tell that it was closed.
		const socket = await opened(connectPlainly(), 'connect', tried, limitMs);
		// That the server is verified is not for the environment to decide (NODE_TLS_REJECT_UNAUTHORIZED).
		const secured = connectSecurely({socket, host, secureContext, ...servername, rejectUnauthorized: true});
		rememberConnection(secured, socket);
		return opened(secured, 'secureConnect', tried, deadline.waitMs());
	};
}

function opened<Stream extends Socket>(stream: Stream, event: string, tried: string, limitMs: number): Promise<Stream> {
	return new Promise((resolve, reject) => {
		const fail = (error: Error) => {
			clearTimeout(timer);
			stream.on('error', () => {});
			stream.destroy();
			reject(new SystemError(`${tried}: ${tlsReason(error)}`));
		};
		const late = () => fail(new Error('it did not answer in time'));
		const timer = limitMs < 0 ? undefined : setTimeout(late, limitMs);
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

export interface EntranceSettings extends ListenSettings {
	/** Maximum number of connections; undefined: without limit. */
	most?: number | undefined;
}

/** The clients of an address, and the rules for accepting them: `begin` starts listening. */
export interface Entrance extends Disposable {
	clients(stopped: Promise<unknown>): AsyncIterable<Client>;
}

export async function openEntrance(
	address: SocketAddress,
	credentials: Credentials,
	access: AccessList,
	settings: EntranceSettings,
): Promise<Entrance> {
	if (address.kind === 'tls') return openSecureEntrance(address, credentials, settings);
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
