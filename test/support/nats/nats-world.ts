import {once} from 'node:events';
import {mkdtempSync, readdirSync, readFileSync, rmSync} from 'node:fs';
import {type AddressInfo, createServer} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {after, type TestContext} from 'node:test';
import {needs} from '../needs.js';
import {orAtExit} from '../or-at-exit.js';
import {Running} from '../run.js';
import {uniqueName} from '../unique-name.js';
import {until} from '../until.js';
import {World} from '../world.js';

/** For tests that need a cluster. */
export const needsNats = needs('nats-server');

/** A real server with JetStream, on a port that the kernel has chosen. */
export class NatsServer {
	private readonly folder = mkdtempSync(join(tmpdir(), 'ipc-tools-nats-'));
	private server: Running | undefined;
	/** `127.0.0.1:PORT`, once it has started. */
	place = '';

	private readonly removeFolder = orAtExit(() => rmSync(this.folder, {recursive: true, force: true}));

	constructor(private readonly words: readonly string[] = ['-js']) {}

	async start(): Promise<this> {
		const ports = join(this.folder, 'ports');
		rmSync(ports, {recursive: true, force: true});
		const again = this.place === '' ? '-1' : (this.place.split(':')[1] as string);
		this.server = new Running(
			'nats-server',
			[
				...['-a', '127.0.0.1', '-p', again, '-sd', join(this.folder, 'store'), '--ports_file_dir', this.folder],
				...this.words,
			],
			{deadlineMs: 3_600_000, input: ''},
		);
		const file = () => readdirSync(this.folder).find((name) => name === `nats-server_${this.pid}.ports`);
		await until('the server has written its ports', () => {
			if (this.server?.child.exitCode !== null) throw new Error(`nats-server: ${this.server?.errors}`);
			const found = file();
			const text = found ? readFileSync(join(this.folder, found), 'utf8') : '';
			this.place = /"(?:nats|tls):\/\/(127\.0\.0\.1:[0-9]+)"/.exec(text)?.[1] ?? this.place;
			return text.includes(this.place) && this.place !== '';
		});
		// It writes them before it accepts connections.
		await until('the server is ready', () => /Server is ready/.test(this.server?.errors ?? ''));
		return this;
	}

	get pid(): number {
		return this.server?.pid ?? -1;
	}

	/** As a power cut would, or a partition with SIGSTOP and SIGCONT. */
	async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
		this.server?.kill(signal);
		if (signal === 'SIGKILL' || signal === 'SIGTERM') await this.server?.closed;
	}

	async end(): Promise<void> {
		await this.kill();
		this.removeFolder();
	}
}

/** Ports that nothing listens on now. */
async function freePorts(count: number): Promise<number[]> {
	const listeners = await Promise.all(
		Array.from({length: count}, async () => {
			const listener = createServer().listen(0, '127.0.0.1');
			await once(listener, 'listening');
			return listener;
		}),
	);
	const ports = listeners.map((listener) => (listener.address() as AddressInfo).port);
	await Promise.all(
		listeners.map(async (listener) => {
			listener.close();
			await once(listener, 'close');
		}),
	);
	return ports;
}

/** Three servers that are one cluster. */
export class NatsCluster {
	readonly servers = new Map<string, NatsServer>();

	async start(): Promise<this> {
		const routes = (await freePorts(3)).map((port) => `nats://127.0.0.1:${port}`);
		for (const [i, route] of routes.entries()) {
			const name = `s${i + 1}`;
			const words = [
				'--cluster_name',
				'tests',
				'--server_name',
				name,
				'--cluster',
				route,
				'--routes',
				routes.join(','),
			];
			this.servers.set(name, new NatsServer(['-js', ...words]));
		}
		await Promise.all([...this.servers.values()].map((server) => server.start()));
		return this;
	}

	/** All of them, as NATS_URL has it. */
	get place(): string {
		return [...this.servers.values()].map(({place}) => place).join(',');
	}

	async end(): Promise<void> {
		await Promise.all([...this.servers.values()].map((server) => server.end()));
	}
}

/** One server for all tests of a file. */
export function sharedServer(): {readonly place: string; started(): Promise<NatsServer>} {
	let starting: Promise<NatsServer> | undefined;
	let server: NatsServer | undefined;
	after(async () => (await starting)?.end());
	return {
		get place() {
			return server?.place ?? '';
		},
		async started() {
			starting ??= new NatsServer().start();
			server = await starting;
			return server;
		},
	};
}

/** A world whose commands find a cluster by NATS_URL. */
export class NatsWorld extends World {
	constructor(
		t: TestContext,
		private readonly server: {readonly place: string},
	) {
		super(t);
	}

	override get env(): Record<string, string> {
		return {...super.env, NATS_URL: this.server.place};
	}

	/** `nats:NAME`, a name that nothing on the server has. */
	name(): string {
		return `nats:${uniqueName().replace(/[^A-Za-z0-9_-]/g, '-')}`;
	}
}
