import {AckPolicy, DeliverPolicy} from '@nats-io/jetstream';
import {nanos} from '@nats-io/transport-node';
import {type Connection, sleep} from './connection.js';
import {refuse, tooFewServers} from './errors.js';

/** Servers copy what is in a stream after they have agreed to store it. */
const copyMs = 60_000;
const lookAgainMs = 100;
const forgottenMs = 1000;

/**
 * From now on a stream is stored on that many servers. Returns once they have all that is in it, or after a minute, which it says. A
 * server that is alone accepts any number, and stores it once.
 */
export async function storeOn(connection: Connection, stream: string, replicas: number): Promise<void> {
	const {info} = await connection.client();
	if (!info?.cluster) refuse(tooFewServers.reason, tooFewServers.text);
	const {streams} = await connection.streams();
	await streams.update(stream, {num_replicas: replicas});
	const end = performance.now() + copyMs;
	const complete = new Set<string>();
	while (performance.now() < end && !connection.closing.signal.aborted) {
		await sleep(lookAgainMs, connection.closing.signal);
		const {cluster, state} = await connection.retry(() => streams.info(stream));
		const others = cluster?.replicas ?? [];
		if (others.length < replicas - 1 || !others.every(({current}) => current)) continue;
		const {server, messages} = await connection.retry(() => lookAtOne(connection, stream));
		if (messages >= state.messages) complete.add(server);
		if ([cluster?.leader ?? '', ...others.map(({name}) => name)].every((name) => complete.has(name))) return;
	}
	connection.tell(
		'not all servers have copied what was stored before; until they have, the loss of a server may take it along',
	);
}

/**
 * What one of the servers has. The server counts another as current that knows what it has to copy, and may copy it still; and it can
 * be asked for the leader's view only. But a consumer that is stored once lies with any one of them, and counts what is there.
 */
async function lookAtOne(connection: Connection, stream: string): Promise<{server: string; messages: number}> {
	const {consumers} = await connection.streams();
	const {name, num_pending, cluster} = await consumers.add(stream, {
		ack_policy: AckPolicy.None,
		deliver_policy: DeliverPolicy.All,
		num_replicas: 1,
		mem_storage: true,
		inactive_threshold: nanos(forgottenMs),
	});
	await consumers.delete(stream, name).catch(() => undefined);
	return {server: cluster?.leader ?? '', messages: num_pending};
}
