import {readFileSync} from 'node:fs';
import {attempt, quoted, UsageError} from './errors.js';
import {
	type ClusterAddress,
	type ClusterServer,
	parseClusterAddress,
	parseServer,
	withoutPassword,
} from './formats/cluster-address.js';
import {filePath, type TextFormat} from './formats/text-format.js';

/**
 * What the commands know of a cluster: its options, and a place for the objects that are there. Everything that knows NATS is in
 * src/cluster, which is loaded only for a command line with an address on a cluster.
 */

const servers: TextFormat<readonly ClusterServer[]> = {
	placeholder: 'URL[,URL...]',
	parse: (text) => text.split(',').map((each) => parseServer(each, text)),
};

/** What every verb takes that works on a cluster. */
export const clusterOptions = {
	servers: {only: 'cluster', value: servers, help: 'servers of the cluster (default: $NATS_URL)'},
	creds: {only: 'cluster', value: filePath(), help: 'credentials file of the cluster (default: $NATS_CREDS)'},
	tlsCa: {only: 'cluster', value: filePath(), help: 'trust the certificates of FILE'},
	tlsCert: {only: 'cluster', value: filePath(), help: 'our own certificate'},
	tlsKey: {only: 'cluster', value: filePath(), help: 'the key of our own certificate'},
} as const;

export interface ClusterSettings {
	servers?: readonly ClusterServer[] | undefined;
	creds?: string | undefined;
	tlsCa?: string | undefined;
	tlsCert?: string | undefined;
	tlsKey?: string | undefined;
	/** How long the verb waits, in milliseconds. */
	timeout?: number | undefined;
	nonblock?: boolean | undefined;
}

let given: ClusterSettings = {};

/** The options of this command line. */
export function configureCluster(settings: ClusterSettings): void {
	given = settings;
}

/** How to connect: what the client needs, with the contents of the files. */
export interface ConnectionSettings {
	servers: readonly ClusterServer[];
	creds: string | undefined;
	ca: string | undefined;
	cert: string | undefined;
	key: string | undefined;
	/** How long the first connection may take. */
	connectTimeoutMs: number;
	/** The connection gets nothing of what it sends itself. */
	noEcho?: boolean;
}

const usualConnectTimeoutMs = 5000;
/** With --nonblock: a server that is there can take this long on a busy machine. */
const nonblockConnectTimeoutMs = 2000;
/** A shorter --timeout is for the object: it is not enough to reach a server. */
const leastConnectTimeoutMs = 500;

/** The address, then the options, then the environment, as the `nats` command has it. */
export function connectionSettings(address: ClusterAddress): ConnectionSettings {
	const {env} = process;
	const listed = [...(address.server ? [address.server] : []), ...(given.servers ?? [])];
	const all = listed.length > 0 ? listed : serversOfEnvironment(address);
	const {NATS_USER: user, NATS_PASSWORD: password} = env;
	return {
		servers: all.map((server) => (server.user === undefined && user ? {...server, user, password} : server)),
		creds: contents('credentials', given.creds ?? env.NATS_CREDS),
		ca: contents('certificates', given.tlsCa ?? env.NATS_CA),
		cert: contents('certificate', given.tlsCert ?? env.NATS_CERT),
		key: contents('key', given.tlsKey ?? env.NATS_KEY),
		connectTimeoutMs: connectTimeoutMs(),
	};
}

function connectTimeoutMs(): number {
	const {timeout = usualConnectTimeoutMs, nonblock} = given;
	if (nonblock || timeout === 0) return nonblockConnectTimeoutMs;
	return Math.min(usualConnectTimeoutMs, Math.max(leastConnectTimeoutMs, timeout));
}

function serversOfEnvironment({shown}: ClusterAddress): readonly ClusterServer[] {
	const {NATS_URL = ''} = process.env;
	if (NATS_URL === '')
		throw new UsageError(`${quoted(shown)} names no server: set NATS_URL, use --servers, or write nats://HOST/NAME`);
	try {
		return servers.parse(NATS_URL);
	} catch (error) {
		if (error instanceof UsageError) error.message = `NATS_URL: ${error.message}`;
		throw error;
	}
}

function contents(what: string, file: string | undefined): string | undefined {
	if (!file) return undefined;
	return attempt(`cannot read the ${what} in ${quoted(file)}`, () => readFileSync(file, 'utf8'));
}

/** Objects of one kind that are on a cluster, once src/cluster has been loaded. */
export class ClusterPlace<Objects> {
	private loaded: Objects | undefined;

	register(objects: Objects): void {
		this.loaded = objects;
	}

	get objects(): Objects {
		if (!this.loaded) throw new Error('no module for objects on a cluster has been loaded');
		return this.loaded;
	}
}

const isAddress = (value: unknown): value is {kind: string} =>
	typeof value === 'object' && value !== null && 'kind' in value;
const isClusterAddress = (value: unknown): value is ClusterAddress => isAddress(value) && value.kind === 'cluster';

/** The first address on a cluster among the values of a command line. */
export const clusterAddressIn = (values: readonly unknown[]): ClusterAddress | undefined =>
	values.flat().find(isClusterAddress);

/** Whether an address that is not on a cluster is among them. */
export const hasLocalAddress = (values: readonly unknown[]): boolean =>
	values.flat().some((value) => isAddress(value) && !isClusterAddress(value));

/** The connections to clusters: src/cluster. */
export const clusterConnections = new ClusterPlace<{keep(address: ClusterAddress): Disposable}>();

/** Until it is disposed of, whatever is done at these addresses, as far as they are on clusters, shares a connection to each cluster. */
export function keepConnected(addresses: readonly unknown[]): Disposable {
	const kept = addresses.filter(isClusterAddress).map((address) => clusterConnections.objects.keep(address));
	return {
		[Symbol.dispose]() {
			for (const one of kept) one[Symbol.dispose]();
		},
	};
}

/** Where to look for objects: a server, without a name. For verbs that list. */
export const clusterFormat: TextFormat<ClusterAddress> = {
	placeholder: 'CLUSTER',
	parse: (text) => {
		if (!/^(nats|tls):/i.test(text))
			throw new UsageError(
				`'${withoutPassword(text)}' is not a cluster: nats://HOST is expected, or nats: with NATS_URL`,
			);
		return parseClusterAddress(text, {withoutName: true});
	},
};
