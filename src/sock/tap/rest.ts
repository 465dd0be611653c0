import {LocalSocket} from '../../objects/socket/local-socket.js';
import {joinPair, streamOf} from '../stream/stream-pair.js';

/** The process that passes on what comes of connections that were open at the end of a tap: see pass-on.ts. */

const firstDescriptor = 3;
const count = Number(process.env.IPC_TAP_CONNECTIONS);
process.title = 'ipc-sock';

for (let i = 0; i < count; i++) {
	const descriptor = firstDescriptor + 2 * i;
	const [client, server] = [descriptor, descriptor + 1].map((number) => streamOf(LocalSocket.adopt(number, '')));
	if (client && server) void joinPair(client, server);
}
