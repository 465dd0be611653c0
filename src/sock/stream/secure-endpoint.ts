import {UsageError} from '../../common/errors.js';
import {type EndpointSettings, openListener} from '../../objects/socket/endpoint.js';
import type {Listener} from '../../objects/socket/listener.js';
import type {ListenSettings} from '../../objects/socket/local-socket.js';
import {isSecure, type NetworkAddress, type SocketAddress} from '../../objects/socket/socket-address.js';
import type {SecureClient} from '../secure/secure-client.js';
import type {SecureListening} from '../secure/secure-listener.js';
import type {Credentials} from './tls-settings.js';

/** Connections with TLS for verbs that wait in the kernel. What speaks TLS is loaded here, since it is for Node. */

function checkType(type: EndpointSettings['type']): void {
	if (type !== undefined && type !== 'stream') throw new UsageError(`TLS is a stream, not ${type}`);
}

export async function connectSecurely(
	address: NetworkAddress,
	{cert, key, ca, type}: Credentials & Pick<EndpointSettings, 'type'>,
	timeoutMs: number,
): Promise<SecureClient> {
	checkType(type);
	const {SecureClient} = await import('../secure/secure-client.js');
	return SecureClient.connect(address, {cert, key, ca}, timeoutMs);
}

/** A listener on any address. */
export function openAnyListener(
	address: SocketAddress,
	settings: EndpointSettings & ListenSettings & Credentials & Omit<SecureListening, 'backlog'>,
): Listener | Promise<Listener> {
	if (!isSecure(address)) return openListener(address, settings);
	const {cert, key, ca, type, backlog, most, reportsFailures} = settings;
	checkType(type);
	return import('../secure/secure-listener.js').then(({SecureListener}) =>
		SecureListener.listen(address, {cert, key, ca}, {backlog, most, reportsFailures}),
	);
}
