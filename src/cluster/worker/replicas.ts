import {type Connection, sleep} from './connection.js';
import {refuse, tooFewServers} from './errors.js';

/** Servers copy what is in a stream after they have agreed to store it. */
const copyMs = 10_000;
const lookAgainMs = 100;

/**
 * From now on a stream is stored on that many servers. Returns once they have all that is in it, or after ten seconds. A server that is
 * alone accepts any number, and stores it once.
 */
export async function storeOn(connection: Connection, stream: string, replicas: number): Promise<void> {
	const {info} = await connection.client();
	if (!info?.cluster) refuse(tooFewServers.reason, tooFewServers.text);
	const {streams} = await connection.streams();
	await streams.update(stream, {num_replicas: replicas});
	const end = performance.now() + copyMs;
	for (let isCopied = false; !isCopied && performance.now() < end; ) {
		await sleep(lookAgainMs, connection.closing.signal);
		const {cluster} = await connection.retry(() => streams.info(stream));
		const others = cluster?.replicas ?? [];
		isCopied = others.length >= replicas - 1 && others.every(({current}) => current);
	}
}
