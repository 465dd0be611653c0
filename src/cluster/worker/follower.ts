import {AckPolicy, DeliverPolicy} from '@nats-io/jetstream';
import {createInbox, type Msg, nanos, nuid, type Subscription} from '@nats-io/transport-node';
import {type Connection, sleep} from './connection.js';
import {refusalOf} from './errors.js';

/** The server reports this often that it still follows the key for us. */
const heartbeatMs = 2000;
const mostSilentHeartbeats = 3;
const pauseMs = 250;
/** How long the server keeps what follows the key, once we are gone. */
const forgottenAfterMs = 10_000;

/**
 * Follows the last value of one key: hears what it is now, and each change after that as soon as it is stored. Where the server or the
 * connection fails it begins anew.
 */
export class Follower {
	private subscription: Subscription | undefined;
	private consumer: string | undefined;
	private lastHeardAt = 0;
	private isStopped = false;
	/** Of the newest beginning. */
	private turn = 0;
	private readonly watchdog: NodeJS.Timeout;
	private readonly again = () => void this.begin();

	constructor(
		private readonly connection: Connection,
		private readonly stream: string,
		private readonly subject: string,
		private readonly hear: (sequence: number, message: Msg) => void,
		private readonly fail: (error: unknown) => void,
	) {
		connection.onReconnect.add(this.again);
		this.watchdog = setInterval(() => {
			if (performance.now() - this.lastHeardAt > mostSilentHeartbeats * heartbeatMs) void this.begin();
		}, heartbeatMs);
		void this.begin();
	}

	private async begin(): Promise<void> {
		const turn = ++this.turn;
		const isOver = () => this.isStopped || this.turn !== turn || this.connection.closing.signal.aborted;
		this.lastHeardAt = performance.now();
		while (!isOver()) {
			try {
				const client = await this.connection.client();
				const {consumers} = await this.connection.streams();
				this.forget();
				const inbox = createInbox();
				this.subscription = client.subscribe(inbox, {
					callback: (error, message) => {
						if (error || isOver()) return;
						this.lastHeardAt = performance.now();
						const code = message.headers?.code ?? 0;
						// Our consumer is gone, with its server.
						if (code >= 400) void this.begin();
						else if (code === 0) this.hear(sequenceOf(message), message);
					},
				});
				const name = `ipc-${nuid.next()}`;
				await consumers.add(this.stream, {
					name,
					deliver_subject: inbox,
					deliver_policy: DeliverPolicy.LastPerSubject,
					filter_subject: this.subject,
					ack_policy: AckPolicy.None,
					max_deliver: 1,
					idle_heartbeat: nanos(heartbeatMs),
					inactive_threshold: nanos(forgottenAfterMs),
					mem_storage: true,
					num_replicas: 1,
				});
				if (isOver()) return;
				this.consumer = name;
				this.lastHeardAt = performance.now();
				return;
			} catch (error) {
				if (isOver()) return;
				const reason = refusalOf(error)?.reason;
				if (reason !== 'timeout' && reason !== 'no-jetstream') {
					this.fail(error);
					return;
				}
				await sleep(pauseMs, this.connection.closing.signal);
			}
		}
	}

	private forget(): void {
		this.subscription?.unsubscribe();
		this.subscription = undefined;
		const consumer = this.consumer;
		this.consumer = undefined;
		if (consumer === undefined || !this.connection.isConnected) return;
		// Where this fails the server forgets it by itself.
		void this.connection
			.streams()
			.then(({consumers}) => consumers.delete(this.stream, consumer))
			.catch(() => undefined);
	}

	stop(): void {
		if (this.isStopped) return;
		this.isStopped = true;
		clearInterval(this.watchdog);
		this.connection.onReconnect.delete(this.again);
		this.forget();
	}
}

/** The sequence of the message in its stream, which is in the subject that an acknowledgement would go to. */
function sequenceOf({reply = ''}: Msg): number {
	const words = reply.split('.');
	// With a domain and an account's hash before the stream there are more words.
	return Number(words.length >= 11 ? words[7] : words[5]);
}
