import {quoted, UsageError} from '../common/errors.js';
import {done} from '../common/exit.js';
import {filePath, wholeNumber} from '../common/formats/text-format.js';
import * as common from '../common/options.js';
import {announceReady, tellVerbose} from '../common/output.js';
import {Shutdown} from '../common/process/shutdown.js';
import {one, verb} from '../common/verb.js';
import {
	checkSecurity,
	formatSocketAddress,
	isLocal,
	type SocketAddress,
	socketAddress,
} from '../objects/socket/socket-address.js';
import {AccessList, allow, modeWithAccess, warnOfOpenPort} from './access.js';
import {LimitedNotices} from './limited-notices.js';
import {backlog, insecure} from './options.js';
import {type Client, connectorTo, openEntrance} from './stream/relay-end.js';
import {joinPair} from './stream/stream-pair.js';
import {type Credentials, tlsReason} from './stream/tls-settings.js';

const file = filePath();

export const relay = verb({
	summary: 'Forward each connection on ADDR to TARGET',
	operands: {from: one(socketAddress), to: one({...socketAddress, placeholder: 'TARGET'})},
	options: {
		cert: {value: file, help: 'certificate of this relay, with its chain (PEM)'},
		key: {value: file, help: 'private key of the certificate (PEM)'},
		ca: {value: file, help: 'authority that signs the certificates of the peer (PEM)'},
		insecure,
		max: {value: wholeNumber(1, 1_000_000), help: 'maximum number of connections'},
		allow,
		mode: common.mode,
		backlog,
		readyFd: common.readyFd,
	},
	examples: [
		{purpose: 'reach a network server through a local socket', line: 'ipc-sock relay db tls:db.example.org:5432'},
		{
			purpose: 'offer a local socket to the network with TLS',
			line: 'ipc-sock relay tls:0.0.0.0:7000 /run/app.sock --cert c.pem --key k.pem',
		},
	],
	needsNode: true,
	waitsFor: ({from}) => `clients on ${quoted(formatSocketAddress(from))}`,
	async run({from, to}, options) {
		const credentials: Credentials = {cert: options.cert, key: options.key, ca: options.ca};
		checkCredentials(from, to, credentials);
		checkSecurity(from, options.insecure);
		checkSecurity(to, options.insecure);
		if (!isLocal(from) && options.allow.length > 0)
			throw new UsageError('--allow needs a local socket: the kernel does not identify clients of a network');
		if (!isLocal(from) && options.mode !== undefined)
			throw new UsageError('--mode needs a local socket: a port has no mode');
		if (formatSocketAddress(from) === formatSocketAddress(to))
			throw new UsageError(`cannot relay '${formatSocketAddress(from)}' to itself`);
		const access = new AccessList(options.allow);
		const connect = await connectorTo(to, credentials);
		using stopping = new Shutdown();
		using entrance = await openEntrance(from, credentials, access, {
			...modeWithAccess(options.mode, options.allow),
			backlog: options.backlog,
			most: options.max,
		});
		const notices = new LimitedNotices();
		warnOfOpenPort(from, options.insecure, `reach ${quoted(formatSocketAddress(to))} through it`);
		announceReady(options.readyFd);
		const serve = async ({open, close, who}: Client): Promise<void> => {
			const server = await connect().catch((error: Error) => {
				notices.tell(error.message);
			});
			if (!server) {
				close();
				return;
			}
			const failure = await joinPair(open(), server);
			if (failure) notices.tell(`closed a connection: ${tlsReason(failure)}`);
			if (who) tellVerbose(`${who} disconnected`);
		};
		const running = new Set<Promise<void>>();
		for await (const client of entrance.clients(stopping.stopped)) {
			const served: Promise<void> = serve(client).finally(() => running.delete(served));
			running.add(served);
			while (options.max !== undefined && running.size >= options.max && !stopping.isStopped)
				await Promise.race([...running, stopping.stopped]);
		}
		notices.finish();
		access.finish();
		stopping.finish();
		return done;
	},
});

function checkCredentials(from: SocketAddress, to: SocketAddress, {cert, key, ca}: Credentials): void {
	if (Boolean(cert) !== Boolean(key)) throw new UsageError('--cert and --key must be given together');
	if (from.kind === 'tls' && !cert) throw new UsageError('listening on a tls: address needs --cert and --key');
	if (from.kind !== 'tls' && to.kind !== 'tls' && (cert || ca))
		throw new UsageError('--cert, --key and --ca need a tls: address');
}
