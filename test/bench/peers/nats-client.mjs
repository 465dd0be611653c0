// The client library of NATS, used directly: `send SERVER STREAM` publishes each line of stdin to a work-queue stream and waits until all
// are stored; `recv SERVER STREAM COUNT` receives, prints and acknowledges; `make` and `remove` the stream.
import {once} from 'node:events';
import {createInterface} from 'node:readline';
import {AckPolicy, jetstream, jetstreamManager} from '@nats-io/jetstream';
import {connect} from '@nats-io/transport-node';

const [what, servers, stream, countText] = process.argv.slice(2);
const count = Number(countText);
const client = await connect({servers});
const subject = `bench.${stream}.00000`;
/** As many are under way at once as ipc-mq has. */
const window = 512;

if (what === 'make') {
	const manager = await jetstreamManager(client);
	await manager.streams.add({
		name: stream,
		subjects: [`bench.${stream}.*`],
		retention: 'workqueue',
		discard: 'new',
		max_msgs: 10_000_000,
	});
	await manager.consumers.add(stream, {durable_name: 'all', ack_policy: AckPolicy.Explicit, max_ack_pending: 65_536});
} else if (what === 'remove') {
	const manager = await jetstreamManager(client);
	await manager.streams.delete(stream);
} else if (what === 'send') {
	const sender = jetstream(client);
	let batch = [];
	for await (const line of createInterface({input: process.stdin})) {
		batch.push(line);
		if (batch.length === window) {
			await Promise.all(batch.map((each) => sender.publish(subject, each)));
			batch = [];
		}
	}
	await Promise.all(batch.map((each) => sender.publish(subject, each)));
} else {
	const consumer = await jetstream(client).consumers.get(stream, 'all');
	let left = count;
	const messages = await consumer.consume({max_messages: window});
	for await (const message of messages) {
		if (!process.stdout.write(`${message.string()}\n`)) await once(process.stdout, 'drain');
		message.ack();
		if (--left === 0) break;
	}
	await messages.close();
}
await client.flush();
await client.close();
