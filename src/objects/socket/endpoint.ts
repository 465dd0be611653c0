import {UsageError} from '../../common/errors.js';
import {connectTcp, listenTcp} from './inet.js';
import {type ListenSettings, LocalSocket, type SocketType} from './local-socket.js';
import {checkSecurity, formatSocketAddress, isLocal, type SocketAddress} from './socket-address.js';

/** For verbs that accept local and TCP addresses alike. What speaks TLS is apart: it needs Node. */
export interface EndpointSettings {
	type?: SocketType | undefined;
	insecure: boolean;
}

function checkNetwork(address: SocketAddress, {type, insecure}: EndpointSettings): void {
	if (isLocal(address)) return;
	if (type !== undefined && type !== 'stream') throw new UsageError(`TCP is a stream, not ${type}`);
	checkSecurity(address, insecure);
}

/** A connection to any address. Only host names need the event loop: otherwise the connection is returned at once. */
export function openConnection(
	address: SocketAddress,
	settings: EndpointSettings & {timeoutMs: number},
): LocalSocket | Promise<LocalSocket> {
	checkNetwork(address, settings);
	if (isLocal(address)) return LocalSocket.connect(address, settings);
	return connectTcp(address, settings.timeoutMs).then((descriptor) =>
		LocalSocket.adopt(descriptor, formatSocketAddress(address)),
	);
}

/** A listener on any address. */
export function openListener(
	address: SocketAddress,
	settings: EndpointSettings & ListenSettings,
): LocalSocket | Promise<LocalSocket> {
	checkNetwork(address, settings);
	if (isLocal(address)) return LocalSocket.listen(address, settings);
	return listenTcp(address, settings.backlog).then((descriptor) =>
		LocalSocket.adopt(descriptor, formatSocketAddress(address)),
	);
}
