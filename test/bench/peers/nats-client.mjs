// The client library of NATS, used directly: `send SERVER STREAM` publishes each line of stdin to a work-queue stream and waits until all
// are stored; `recv SERVER STREAM COUNT` receives, prints and acknowledges; `make` and `remove` the stream.
// `serve SERVER NAME PROGRAM…` answers requests by two processes of a program, which gets a request a line and answers with a line;
// `call SERVER NAME IN_FLIGHT` makes a request of each line of stdin and prints the answers; `once` makes one.
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {createInterface} from 'node:readline';
import {AckPolicy, jetstream, jetstreamManager} from '@nats-io/jetstream';
import {connect} from '@nats-io/transport-node';

const [what, servers, stream, countText, ...more] = process.argv.slice(2);
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
} else if (what === 'serve') {
	const waiting = [];
	const idle = [];
	const next = () => {
		while (waiting.length > 0 && idle.length > 0) idle.pop().take(waiting.shift());
	};
	for (let i = 0; i < 2; i++) {
		const child = spawn(countText, more, {stdio: ['pipe', 'pipe', 'inherit']});
		let asked;
		const worker = {
			take(message) {
				asked = message;
				child.stdin.write(`${message.string()}\n`);
			},
		};
		createInterface({input: child.stdout}).on('line', (line) => {
			asked.respond(line);
			idle.push(worker);
			next();
		});
		idle.push(worker);
	}
	client.subscribe(`bench.${stream}`, {
		queue: 'bench',
		callback: (_, message) => {
			waiting.push(message);
			next();
		},
	});
	await client.flush();
	process.stdout.write('ready\n');
	await once(process, 'SIGTERM');
	process.exit();
} else if (what === 'call') {
	let open = 0;
	let wake = () => {};
	for await (const line of createInterface({input: process.stdin})) {
		while (open === count)
			await new Promise((resolve) => {
				wake = resolve;
			});
		open++;
		client.request(`bench.${stream}`, line, {timeout: 60_000}).then((answer) => {
			process.stdout.write(`${answer.string()}\n`);
			open--;
			wake();
		});
	}
	while (open > 0)
		await new Promise((resolve) => {
			wake = resolve;
		});
} else if (what === 'once') {
	const request = {jsonrpc: '2.0', method: 'echo', params: [1, 'a'], id: 1};
	const answer = await client.request(`bench.${stream}`, JSON.stringify(request), {timeout: 60_000});
	process.stdout.write(`${JSON.stringify(answer.json().result)}\n`);
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
