import {hasCode, quoted} from '../../common/errors.js';
import {POLLIN, POLLOUT} from '../../native/index.js';
import {LocalSocket as BlockingSocket, type ListenSettings, type SocketType} from '../socket/local-socket.js';
import type {LocalAddress} from '../socket/socket-address.js';
import {readiness} from './readiness.js';
import {byClock, WaitLine, type WaitSettings} from './wait-line.js';

/**
 * A local socket whose waits are promises: the event loop watches its descriptor, and no thread waits. To read a
 * connection, give the descriptor away: `new net.Socket({fd: connection.blocking.detach()})`. unix(7)
 *
 * @example
 * ```ts
 * import {LocalSocket} from 'ipc-tools/promises';
 *
 * using listener = LocalSocket.listen('example');
 * const accepted = listener.accept({timeoutMs: 10_000});
 * using client = await LocalSocket.connect('example');
 * using server = await accepted;
 * console.log(server?.blocking.peer.pid === process.pid); // true
 * console.log(await client?.send(Buffer.from('hello'))); // true
 * ```
 */
export class LocalSocket implements Disposable {
	static readonly remove = BlockingSocket.remove;
	private readonly accepting: WaitLine;
	private readonly senders: WaitLine;

	/** @param blocking the same socket: its peer, `endOutput`, `detach`. */
	constructor(readonly blocking: BlockingSocket) {
		this.accepting = new WaitLine(readiness(blocking.descriptor, POLLIN));
		this.senders = new WaitLine(readiness(blocking.descriptor, POLLOUT));
	}

	/**
	 * Connects to a listener; undefined when its queue of pending connections was full all the time. No event tells of
	 * room in that queue, so it is tried every 10 ms. connect(2)
	 *
	 * @throws SystemError when no process listens, with the reason.
	 */
	static connect(
		name: string | LocalAddress,
		{type, ...settings}: WaitSettings & {type?: SocketType} = {},
	): Promise<LocalSocket | undefined> {
		const attempt = () => {
			try {
				return new LocalSocket(BlockingSocket.connect(name, {type, timeoutMs: 0}));
			} catch (error) {
				if (hasCode(error, 'EAGAIN')) return undefined;
				throw error;
			}
		};
		return new WaitLine(byClock).until(attempt, settings);
	}

	/**
	 * Listens: from its return on clients can connect. Does not wait. bind(2), listen(2)
	 *
	 * @throws SystemError when another process listens there, naming that process, or when the name belongs to something
	 * that is not a socket.
	 */
	static listen(name: string | LocalAddress, settings?: ListenSettings): LocalSocket {
		return new LocalSocket(BlockingSocket.listen(name, settings));
	}

	/** The next connection; undefined when there was none in time. accept(2) */
	accept(settings?: WaitSettings): Promise<LocalSocket | undefined> {
		return this.accepting.until(() => {
			const accepted = this.blocking.tryAccept();
			return accepted && new LocalSocket(accepted);
		}, settings);
	}

	/**
	 * Sends one datagram or packet, or all of these bytes on a stream, after what was given to `send` before; waits for
	 * room. False when that took too long: `onTaken` is called for every part of a stream that was sent all the same, also
	 * before an abort. send(2)
	 *
	 * @param settings.descriptors open files that the receiver gets with the first byte.
	 */
	async send(
		data: Uint8Array,
		{
			descriptors = [],
			onTaken,
			...settings
		}: WaitSettings & {descriptors?: readonly number[]; onTaken?: (bytes: number) => void} = {},
	): Promise<boolean> {
		let taken = 0;
		const attempt = () => {
			const before = taken;
			const isSent = this.blocking.send(data.subarray(before), {
				descriptors: taken > 0 ? [] : descriptors,
				timeoutMs: 0,
				onTaken: (bytes) => {
					taken = before + bytes;
					onTaken?.(taken);
				},
			});
			return isSent || undefined;
		};
		return (await this.senders.until(attempt, settings)) ?? false;
	}

	/** Connections as they arrive, without end; rejected once the listener is closed. */
	async *[Symbol.asyncIterator](): AsyncGenerator<LocalSocket> {
		for (;;) yield (await this.accept()) as LocalSocket;
	}

	/** Closes the socket, and removes its file if it is a listener; what is pending is rejected. */
	[Symbol.dispose](): void {
		const shown = quoted(this.blocking.shownName);
		this.accepting.close(`cannot accept on ${shown}`);
		this.senders.close(`cannot send to ${shown}`);
		this.blocking.close();
	}

	close(): void {
		this[Symbol.dispose]();
	}
}
