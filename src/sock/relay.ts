import {quoted, UsageError} from '../common/errors.js';
import {done} from '../common/exit.js';
import {wholeNumber} from '../common/formats/text-format.js';
import * as common from '../common/options.js';
import {announceReady, tellError, tellVerbose} from '../common/output.js';
import {Shutdown} from '../common/process/shutdown.js';
import {one, verb} from '../common/verb.js';
import {checkSecurity, formatSocketAddress, isLocal, socketAddress} from '../objects/socket/socket-address.js';
import {AccessList, allow, modeWithAccess, warnOfOpenPort} from './access.js';
import {LimitedNotices} from './limited-notices.js';
import {backlog, checkCredentials, credentials, insecure} from './options.js';
import {type Client, connectorTo, openEntrance} from './stream/relay-end.js';
import {isReset, joinPair} from './stream/stream-pair.js';
import {tlsReason} from './stream/tls-settings.js';

export const relay = verb({
	summary: 'Forward each connection on ADDR to TARGET',
	operands: {from: one(socketAddress), to: one({...socketAddress, placeholder: 'TARGET'})},
	options: {
		...credentials,
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
		checkCredentials(options, from, to);
		checkSecurity(from, options.insecure);
		checkSecurity(to, options.insecure);
		if (!isLocal(from) && options.allow.length > 0)
			throw new UsageError('--allow needs a local socket: the kernel does not identify clients of a network');
		if (!isLocal(from) && options.mode !== undefined)
			throw new UsageError('--mode needs a local socket: a port has no mode');
		if (formatSocketAddress(from) === formatSocketAddress(to))
			throw new UsageError(`cannot relay '${formatSocketAddress(from)}' to itself`);
		const access = new AccessList(options.allow);
		const connect = await connectorTo(to, options);
		using stopping = new Shutdown();
		using entrance = await openEntrance(from, options, access, {
			...modeWithAccess(options.mode, options.allow),
			backlog: options.backlog,
			most: options.max,
		});
		const notices = new LimitedNotices();
		const errors = new LimitedNotices(tellError);
		warnOfOpenPort(from, options.insecure, `reach ${quoted(formatSocketAddress(to))} through it`);
		announceReady(options.readyFd);
		const serve = async ({open, close, who}: Client): Promise<void> => {
			const server = await connect().catch((error: Error) => {
				errors.tell(error.message);
			});
			if (!server) {
				close();
				return;
			}
			const failure = await joinPair(open(), server);
			const closed = failure && `closed a connection: ${tlsReason(failure)}`;
			// Many sessions end by leaving in the middle.
			if (closed) isReset(failure) ? tellVerbose(closed) : notices.tell(closed);
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
		errors.finish();
		access.finish();
		stopping.finish();
		return done;
	},
});
