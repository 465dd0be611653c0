import type {Connection} from './connection.js';
import {refuse, tooFewServers} from './errors.js';

/** From now on a stream is stored on that many servers. A server that is alone accepts any number, and stores it once. */
export async function storeOn(connection: Connection, stream: string, replicas: number): Promise<void> {
	const {info} = await connection.client();
	if (!info?.cluster) refuse(tooFewServers.reason, tooFewServers.text);
	const {streams} = await connection.streams();
	await streams.update(stream, {num_replicas: replicas});
}
