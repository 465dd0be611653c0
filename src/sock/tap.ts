import {countOf, quoted, SystemError, UsageError} from '../common/errors.js';
import {done} from '../common/exit.js';
import * as common from '../common/options.js';
import {announceReady, expectOutput, tell, tellError} from '../common/output.js';
import {Shutdown} from '../common/process/shutdown.js';
import {one, verb} from '../common/verb.js';
import {LocalSocket} from '../objects/socket/local-socket.js';
import {formatSocketAddress, type LocalAddress, localAddress} from '../objects/socket/socket-address.js';
import {connectionsOf} from './stream/accept-loop.js';
import {joinPair, streamOf} from './stream/stream-pair.js';
import {type OpenPair, passOn} from './tap/pass-on.js';
import {TapLog} from './tap/tap-log.js';
import {TappedSocket} from './tap/tapped-socket.js';

export const tap = verb({
	summary: 'Trace traffic on a live socket, in both directions',
	operands: {address: one(localAddress)},
	options: {
		count: {...common.count, help: 'stop after N connections'},
		json: {help: 'print each event as JSON with time, connection and direction'},
		readyFd: common.readyFd,
	},
	examples: [
		{purpose: 'trace the requests to Docker and its answers', line: 'sudo ipc-sock tap /run/docker.sock'},
		{purpose: 'print only the requests', line: `ipc-sock tap api --json | jq -r 'select(.from == "client").data'`},
	],
	needsNode: true,
	waitsFor: ({address}) => `clients on ${quoted(formatSocketAddress(address))}`,
	async run({address}, options) {
		if (address.kind === 'abstract')
			throw new UsageError(`cannot tap '@${address.name}': an abstract name cannot be renamed`);
		expectOutput();
		using stopping = new Shutdown();
		const tapped = TappedSocket.stepInFrontOf(address);
		let failure: unknown;
		const running = new Set<Promise<void>>();
		const open = new Set<OpenPair>();
		const traffic = new TapLog(options.json);
		let count = 0;
		try {
			announceReady(options.readyFd);
			for await (const connection of connectionsOf(tapped.listener, stopping.stopped)) {
				const number = ++count;
				const isLast = count === options.count;
				// From here on clients reach the server directly.
				if (isLast) tapped.putBack();
				const served: Promise<void> = serve(connection, tapped.target, number)
					.catch((error) => {
						failure ??= error;
						stopping.end();
					})
					.finally(() => running.delete(served));
				running.add(served);
				if (isLast) break;
			}
			// Where a signal ends the trace, the connections that are open go on without us.
			await Promise.race([Promise.all(running), stopping.stopped]);
		} finally {
			if (!tapped.putBack())
				tell(`cannot restore ${quoted(formatSocketAddress(address))}: another process changed it meanwhile`);
			tapped[Symbol.dispose]();
		}
		if (open.size > 0) await leaveRest();
		if (failure !== undefined) throw failure;
		stopping.finish();
		return done;

		async function serve(connection: LocalSocket, target: LocalAddress, number: number): Promise<void> {
			/** What cannot be shown ends the trace and not the connection. */
			const show = (event: () => void) => {
				if (stopping.isStopped) return;
				try {
					event();
				} catch (error) {
					failure ??= error;
					stopping.end();
				}
			};
			show(() => traffic.opened(number, connection.peer));
			let other: LocalSocket;
			try {
				other = LocalSocket.connect(options.count === number ? originalOr(target) : target, {timeoutMs: 0});
			} catch (error) {
				connection.close();
				if (!(error instanceof SystemError)) throw error;
				tellError(error.message);
				show(() => traffic.closed(number));
				return;
			}
			const side = (from: 'one' | 'other') => (from === 'one' ? 'client' : 'server');
			const pair: OpenPair = [streamOf(connection), streamOf(other)];
			open.add(pair);
			await joinPair(...pair, {
				onData: (from, piece) => show(() => traffic.piece(number, side(from), piece)),
				onEnd: (from) => show(() => traffic.ended(number, side(from))),
			});
			open.delete(pair);
			show(() => traffic.closed(number));
		}

		async function leaveRest(): Promise<void> {
			const all = open.size;
			const rest = await passOn([...open]);
			const count = rest?.count ?? 0;
			if (rest) tell(`process ${rest.pid} passes on ${countOf(count, 'open connection')} until the end of each`);
			if (count < all) tell(`cut off ${countOf(all - count, 'open connection')}`);
		}

		/** Once the server's socket is restored, its address is the original one. */
		function originalOr(target: LocalAddress): LocalAddress {
			return address.kind === 'abstract' ? target : address;
		}
	},
});
