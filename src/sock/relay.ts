import {quoted, UsageError} from '../common/errors.js';
import {done} from '../common/exit.js';
import {anyText, wholeNumber} from '../common/formats/text-format.js';
import * as common from '../common/options.js';
import {announceReady, tellVerbose} from '../common/output.js';
import {one, verb} from '../common/verb.js';
import {
	checkSecurity,
	formatSocketAddress,
	insecure,
	isLocal,
	type SocketAddress,
	socketAddress,
} from '../objects/socket/socket-address.js';
import {AccessList, allow, modeWithAccess, warnOfOpenPort} from './access.js';
import {LimitedNotices} from './limited-notices.js';
import {backlog} from './options.js';
import {Stopping} from './shutdown.js';
import {type Client, connectorTo, openEntrance} from './stream/relay-end.js';
import {joinPair} from './stream/stream-pair.js';
import {type Credentials, tlsReason} from './stream/tls-settings.js';

const file = anyText('FILE');

export const relay = verb({
	summary: 'every connection to the first address is joined to a new one to the second',
	operands: {from: one(socketAddress), to: one({...socketAddress, placeholder: 'TARGET'})},
	options: {
		cert: {value: file, help: 'our certificate, with its chain (PEM)'},
		key: {value: file, help: 'its private key (PEM)'},
		ca: {value: file, help: 'who signs the certificates of the other side (PEM)'},
		insecure,
		max: {value: wholeNumber(1, 1_000_000), help: 'so many connections at a time'},
		allow,
		mode: common.mode,
		backlog,
		readyFd: common.readyFd,
	},
	examples: [
		{purpose: 'a local socket for a server on the network', line: 'ipc-sock relay db tls:db.example.org:5432'},
		{purpose: 'the other way', line: 'ipc-sock relay tls:0.0.0.0:7000 /run/app.sock --cert c.pem --key k.pem'},
	],
	async run({from, to}, options) {
		const credentials: Credentials = {cert: options.cert, key: options.key, ca: options.ca};
		checkCredentials(from, to, credentials);
		checkSecurity(from, options.insecure);
		checkSecurity(to, options.insecure);
		if (!isLocal(from) && options.allow.length > 0)
			throw new UsageError('--allow is for local sockets: over a network the kernel cannot tell who comes');
		if (!isLocal(from) && options.mode !== undefined)
			throw new UsageError('--mode is for local sockets: a port has none');
		if (formatSocketAddress(from) === formatSocketAddress(to))
			throw new UsageError(`a relay from '${formatSocketAddress(from)}' to itself would go round for ever`);
		const access = new AccessList(options.allow);
		const connect = await connectorTo(to, credentials);
		using stopping = new Stopping();
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
			if (failure) notices.tell(`a connection was cut off: ${tlsReason(failure)}`);
			if (who) tellVerbose(`${who} has left`);
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
	if (Boolean(cert) !== Boolean(key)) throw new UsageError('--cert and --key belong together');
	if (from.kind === 'tls' && !cert) throw new UsageError('to serve TLS --cert and --key are needed');
	if (from.kind !== 'tls' && to.kind !== 'tls' && (cert || ca))
		throw new UsageError('--cert, --key and --ca are for tls: addresses');
}
