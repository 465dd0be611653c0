import {connectionSettings} from '../../common/cluster.js';
import {quoted} from '../../common/errors.js';
import type {ClusterAddress} from '../../common/formats/cluster-address.js';
import {tell} from '../../common/output.js';
import type {CallListener, CallMessage} from '../../objects/socket/call-places.js';
import {closeTimeoutMs, tellSilence} from '../channel.js';
import {explainRefusal, Refusal} from '../refusal.js';

/** The client of NATS, loaded when it is needed. */
const loadClient = () => import('../worker/main.js');
type Client = Awaited<ReturnType<typeof loadClient>>;
type Connection = InstanceType<Client['Connection']>;
type Listener = Awaited<ReturnType<Client['CallListener']['listen']>>;

/** The waits of a server are promises: so it has the client in its own thread, and no call crosses to another one. */
export class ClusterCallListener implements CallListener {
	private constructor(
		private readonly address: ClusterAddress,
		private readonly client: Client,
		private readonly connection: Connection,
		private readonly listener: Listener,
	) {}

	static async listen(address: ClusterAddress): Promise<ClusterCallListener> {
		const client = await loadClient();
		const connection = new client.Connection(connectionSettings(address), tell);
		try {
			const listener = await client.CallListener.listen(connection, address.name);
			return new ClusterCallListener(address, client, connection, listener);
		} catch (error) {
			await close(connection);
			throw explained(client, address, error);
		}
	}

	get shownName(): string {
		return this.address.shown;
	}

	get mostBytes(): number {
		return this.listener.mostBytes;
	}

	async receive(): Promise<CallMessage[]> {
		try {
			return await this.listener.receive();
		} catch (error) {
			throw explained(this.client, this.address, error);
		}
	}

	answer(receipt: number, text: string | undefined): void {
		this.listener.answer(receipt, text);
	}

	stop(): Promise<CallMessage[]> {
		return this.listener.stop();
	}

	async close(): Promise<void> {
		this.listener.close();
		await close(this.connection);
	}
}

function explained({refusalOf}: Client, {shown}: ClusterAddress, error: unknown): unknown {
	const refusal = refusalOf(error);
	return explainRefusal(`cannot serve ${quoted(shown)}`, refusal ? new Refusal(refusal) : error);
}

/** Waits a moment at most. */
function close(connection: Connection): Promise<void> {
	return new Promise((resolve) => {
		const timer = setTimeout(() => {
			tellSilence();
			resolve();
		}, closeTimeoutMs);
		connection.close().then(() => {
			clearTimeout(timer);
			resolve();
		});
	});
}
